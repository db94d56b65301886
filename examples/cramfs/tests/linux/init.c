// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a test boot: mounts each image of /images as cramfs from a loop device and prints its tree.
 *
 *	image NAME 0|ERRNO
 *	PATH st_mode uid gid size nlink mtime rdev DIGEST ERRNO
 *
 * DIGEST: FNV-1a, 64 bits, of the contents or of the target; ERRNO: of what failed first. Tabs between fields; bytes of a name that are
 * not printable are \xNN.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static uint64_t fnv(uint64_t h, const unsigned char *p, ssize_t n)
{
	while (n-- > 0)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

static void show(const char *path)
{
	for (const unsigned char *p = (const unsigned char *)path; *p; p++)
		printf(*p > ' ' && *p < 127 && *p != '\\' ? "%c" : "\\x%02x", *p);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk(const char *path, size_t skip)
{
	static unsigned char buf[1 << 16];
	char *names[4096];
	uint64_t h = 0xcbf29ce484222325ull;
	int n = 0, fd, err = 0;
	struct dirent *d;
	struct stat st;
	ssize_t got;
	DIR *dir;

	show(path[skip] ? path + skip : "/");
	/* an empty name is looked up as fstatat() does: it is not the directory */
	if (path[strlen(path) - 1] == '/' ? (errno = ENOENT) : lstat(path, &st)) {
		printf("\t-\t-\t-\t-\t-\t-\t-\t-\t%d\n", errno);
		return;
	}
	if (S_ISLNK(st.st_mode)) {
		got = readlink(path, (char *)buf, sizeof(buf));
		if (got < 0)
			err = errno;
		h = fnv(h, buf, got);
	} else if (S_ISREG(st.st_mode)) {
		fd = open(path, O_RDONLY);
		if (fd < 0)
			err = errno;
		while (!err && (got = read(fd, buf, sizeof(buf)))) {
			if (got < 0)
				err = errno;
			h = fnv(h, buf, got);
		}
		close(fd);
	} else if (S_ISDIR(st.st_mode)) {
		dir = opendir(path);
		errno = dir ? 0 : errno;
		while (dir && n < 4096 && (errno = 0, d = readdir(dir)))
			if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
				names[n++] = strdup(d->d_name);
		err = errno;
		if (dir)
			closedir(dir);
	}
	printf("\t%o\t%u\t%u\t%lld\t%u\t%lld\t%u:%u\t%016llx\t%d\n", st.st_mode, st.st_uid, st.st_gid, (long long)st.st_size, (unsigned)st.st_nlink,
	       (long long)st.st_mtime, major(st.st_rdev), minor(st.st_rdev), (unsigned long long)h, err);
	qsort(names, n, sizeof(*names), by_name);
	for (int i = 0; i < n; i++) {
		char *child;

		if (asprintf(&child, "%s/%s", path, names[i]) > 0)
			walk(child, skip);
		free(child);
	}
}

int main(void)
{
	struct dirent **images;
	int n;

	mkdir("/dev", 0755);
	mkdir("/mnt", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	n = scandir("/images", &images, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char path[300];
		int loop, fd, ret;

		if (images[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/images/%s", images[i]->d_name);
		fd = open(path, O_RDONLY);
		loop = open("/dev/loop0", O_RDONLY);
		if (fd < 0 || loop < 0 || ioctl(loop, LOOP_SET_FD, fd)) {
			printf("image %s loop: %s\n", images[i]->d_name, strerror(errno));
			continue;
		}
		ret = mount("/dev/loop0", "/mnt", "cramfs", MS_RDONLY, NULL) ? errno : 0;
		printf("image %s %d\n", images[i]->d_name, ret);
		if (!ret) {
			walk("/mnt", 4);
			umount("/mnt");
		}
		ioctl(loop, LOOP_CLR_FD, 0);
		close(loop);
		close(fd);
	}
	printf("all images\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
}
