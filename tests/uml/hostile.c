// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program of an input that wants to reach the host: as init, as /sbin/modprobe, as an interpreter of scripts, as a helper of the kernel.
 * It tries each way to FILE, a file of the host's, and then says on every channel there is that it ran. Compiled with -DFOLDER and -DFILE.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static char said[4096];

static void say(const char *what, const char *how, int worked)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s %s: %s\n", what, how, worked ? "worked" : strerror(errno));
}

static void touch(const char *dir)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, "written");
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	say("write", path, fd >= 0);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	static const char *const types[] = { "hostfs", "humfs", "9p", "virtiofs", "fuse" };
	static const char *const places[] = { "/", FOLDER, "" };
	static const unsigned int blocks[] = { 98, 8, 3, 253, 254 };	/* ubd and what else a disk of the host's might be */
	char path[64];
	int fd;

	snprintf(said, sizeof(said), "ran %s\n", argv[0]);
	mkdir("/h", 0755);
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		for (size_t k = 0; k < sizeof(places) / sizeof(*places); k++) {
			int failed = mount("none", "/h", types[i], 0, places[k]);

			say("mount", types[i], !failed);
			if (!failed) {
				touch("/h");
				touch("/h" FOLDER);
				umount("/h");
			}
		}
	}
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		snprintf(path, sizeof(path), "/b%u", blocks[i]);
		mknod(path, S_IFBLK | 0600, makedev(blocks[i], 0));
		fd = open(path, O_RDWR);
		say("open", path, fd >= 0);
	}
	mkdir("/p", 0755);
	mount("proc", "/p", "proc", 0, NULL);
	fd = open("/p/mconsole", O_WRONLY);
	say("open", "/proc/mconsole", fd >= 0);
	fd = open("/p/exitcode", O_WRONLY);
	mknod("/channel", S_IFCHR | 0600, makedev(240, 0));
	fd = open("/channel", O_RDWR);
	if (fd < 0 || write(fd, said, strlen(said)) < 0)
		return 1;
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
