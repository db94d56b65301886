// SPDX-License-Identifier: GPL-2.0-only
/* A file that is read through a mapping: a page that cannot be had is an error, not the reader's end. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "agent.h"

static sigjmp_buf back;

static void on_sigbus(int sig)
{
	siglongjmp(back, sig);
}

long map_file(int fd, size_t len)
{
	void *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);

	return p == MAP_FAILED ? -1 : (long)p;
}

int map_copy(long map, size_t at, void *to, size_t len)
{
	struct sigaction bus = { .sa_handler = on_sigbus }, old;
	int err;

	sigaction(SIGBUS, &bus, &old);
	err = sigsetjmp(back, 1) ? -1 : 0;
	if (!err)
		memcpy(to, (char *)map + at, len);
	sigaction(SIGBUS, &old, NULL);
	return err;
}

void map_end(long map, size_t len)
{
	munmap((void *)map, len);
}
