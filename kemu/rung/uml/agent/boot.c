// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows the tree that a boot has made, once, and lets the boot go on. The working directory is a file system of our own that is
 * mounted nowhere; "/" is what PID 1 has.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "agent.h"

#ifndef PROC_SUPER_MAGIC
#define PROC_SUPER_MAGIC 0x9fa0
#endif

void boot_walk(int channel)
{
	struct answer a = { .magic = ANSWER_MAGIC };
	struct walk w = { .cap = 1ull << 26, .most = 1u << 20, .room = ANSWER_ROOM };
	static const char *const others[] = { "/dev", "/proc", "/sys" };
	struct stat root, st;

	if (chdir("/") || stat(".", &root))
		die("/: %s", strerror(errno));
	w.since = KEMU_CLOCK;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!lstat(others[i], &st) && S_ISDIR(st.st_mode) && st.st_dev != root.st_dev)
			w.other[w.others++] = st.st_dev;
	walk_tree(&w, ".");
	a.entries = w.entries;
	a.entries_len = w.out.len;
	a.full = w.full;
	write_all(channel, &a, sizeof(a));
	write_all(channel, w.out.data, w.out.len);
}
