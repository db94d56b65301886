// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent: init of a kernel that serves cases, or (argv[1] "walk") a helper that shows the tree a boot has made.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent.h"

static int open_channel(void)
{
	int fd;

	if (mknod("channel", S_IFCHR | 0600, makedev(KEMU_MAJOR, 0)))
		die("mknod channel: %s", strerror(errno));
	fd = open("channel", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("channel: %s", strerror(errno));
	unlink("channel");
	return fd;
}

static void files_limit(void)
{
	struct rlimit many = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_NOFILE, &many);
}

int main(int argc, char **argv)
{
	umask(022);
	files_limit();
	if (argc > 1 && !strcmp(argv[1], "walk")) {
		kmsg_open(1);
		boot_walk(open_channel());
		return 0;
	}

	/* a place of our own, whatever the initramfs holds */
	if (mkdir("/.kemu", 0700) || mount("kemu", "/.kemu", "tmpfs", 0, "mode=0700") || chdir("/.kemu"))
		die("/.kemu: %s", strerror(errno));
	kmsg_open(1);
	mkdir("mnt", 0755);
	mkdir("proc", 0755);
	mkdir("sys", 0755);
	mkdir("debug", 0755);
	mkdir("files", 0755);
	mkdir("dev", 0755);
	mount("proc", "proc", "proc", 0, NULL);
	mount("sysfs", "sys", "sysfs", 0, NULL);
	if (mount("files", "files", "ramfs", 0, NULL))
		die("files: %s", strerror(errno));
	mount("debugfs", "debug", "debugfs", 0, NULL);	/* absent in the fast flavour */
	channel = open_channel();
	serve();
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
