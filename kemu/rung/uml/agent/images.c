// SPDX-License-Identifier: GPL-2.0-only
/* What an image is mounted from. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "agent.h"

static int loop_fds[KEMU_DISKS], file_fds[KEMU_DISKS];

#define SPARE	(KEMU_DISKS - 1)		/* the disk by way of which a shared image comes into a file */

/* The image from the shared memory into a file: read from a disk, so that every boot does the same. An errno, or 0. */
static int copy_shared(struct request *r, uint64_t shared, uint64_t len, int out)
{
	static char copy[1 << 16];
	struct kemu_place region = { SPARE, KEMU_VMALLOC, 0, len, shared, 0 };
	int in, error = 0;

	if (place(&region))
		return errno;
	in = open("dev/kemu7", O_RDONLY | O_CLOEXEC);
	for (uint64_t at = 0; !error && at < len; at += sizeof(copy)) {
		ssize_t n = pread(in, copy, sizeof(copy), at);

		if (n < 0 || pwrite(out, copy, n, at) != n)
			error = errno ?: EIO;
	}
	close(in);
	drop(SPARE);
	return error ?: ftruncate(out, r->backend == BACKEND_LOOP ? (len + 4095) & ~4095ULL : len) ? errno : 0;
}

/* A shared image on a loop device, or in a file of a ramfs. An errno, or 0. */
static int take_shared(struct request *r, unsigned int slot, uint64_t shared, char *source)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_READ_ONLY };
	int fd, error;

	if (r->backend == BACKEND_FILE) {
		snprintf(source, SOURCE, "files/%u", slot);
		fd = open(source, O_RDWR | O_CREAT | O_EXCL | O_LARGEFILE | O_CLOEXEC, 0600);
		error = fd < 0 ? errno : copy_shared(r, shared, r->len[slot], fd);
		close(fd);
		return error;
	}
	snprintf(source, SOURCE, "dev/loop%u", slot);
	fd = memfd_create("image", MFD_CLOEXEC);
	error = fd < 0 ? errno : copy_shared(r, shared, r->len[slot], fd);
	if (error)
		return error;
	config.fd = file_fds[slot] = fd;
	loop_fds[slot] = open(source, O_RDONLY | O_CLOEXEC);
	return loop_fds[slot] < 0 || ioctl(loop_fds[slot], LOOP_CONFIGURE, &config) ? errno : 0;
}

/* The image in a file of memory, padded with zeros to a multiple of 4096. */
static int image_file(uint64_t len)
{
	static char copy[1 << 16];
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0)
		die("memfd_create: %s", strerror(errno));
	while (len) {
		size_t n = len < sizeof(copy) ? len : sizeof(copy);

		read_all(channel, copy, n);
		write_all(fd, copy, n);
		len -= n;
	}
	if (ftruncate(fd, (lseek(fd, 0, SEEK_END) + 4095) & ~4095LL))
		die("ftruncate: %s", strerror(errno));
	return fd;
}

/* The image in a file of a ramfs, with its holes. What finds no room is taken from the channel all the same; errno of that, or 0. */
static int sparse_file(const char *name, uint64_t len)
{
	static char copy[1 << 16];
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_LARGEFILE | O_CLOEXEC, 0600), error = 0;
	struct piece p;

	if (fd < 0)
		die("%s: %s", name, strerror(errno));
	if (ftruncate(fd, len))
		error = errno;
	for (;;) {
		read_all(channel, &p, sizeof(p));
		if (!p.len)
			break;
		while (p.len) {
			size_t n = p.len < sizeof(copy) ? p.len : sizeof(copy);

			read_all(channel, copy, n);
			if (!error && pwrite(fd, copy, n, p.at) != (ssize_t)n)
				error = errno;
			p.at += n;
			p.len -= n;
		}
	}
	close(fd);
	return error;
}

/* An errno, or 0. */
int take_image(struct request *r, unsigned int slot, uint64_t shared, char *source)
{
	struct kemu_place region = { slot, r->memory, slot ? 0 : r->at, r->len[slot], shared, 0 };
	struct loop_config config = { .info.lo_flags = LO_FLAGS_READ_ONLY };

	if (shared != KEMU_CHANNEL && r->backend != BACKEND_DISK && r->backend != BACKEND_REGION)
		return take_shared(r, slot, shared, source);
	switch (r->backend) {
	case BACKEND_DISK:
	case BACKEND_REGION:
		snprintf(source, SOURCE, "dev/kemu%u", slot);
		return place(&region) ? errno : 0;
	case BACKEND_LOOP:
		snprintf(source, SOURCE, "dev/loop%u", slot);
		file_fds[slot] = image_file(r->len[slot]);
		config.fd = file_fds[slot];
		loop_fds[slot] = open(source, O_RDONLY | O_CLOEXEC);
		return loop_fds[slot] < 0 || ioctl(loop_fds[slot], LOOP_CONFIGURE, &config) ? errno : 0;
	case BACKEND_FILE:
		snprintf(source, SOURCE, "files/%u", slot);
		return sparse_file(source, r->len[slot]);
	}
	die("request %u: no backend %u", r->id, r->backend);
}

void drop_image(struct request *r, unsigned int slot)
{
	if (r->backend == BACKEND_DISK || r->backend == BACKEND_REGION)
		drop(slot);
	if (r->backend == BACKEND_FILE) {
		char name[SOURCE];

		snprintf(name, sizeof(name), "files/%u", slot);
		unlink(name);
	}
	if (loop_fds[slot] > 0) {
		ioctl(loop_fds[slot], LOOP_CLR_FD, 0);
		close(loop_fds[slot]);
	}
	if (file_fds[slot] > 0)
		close(file_fds[slot]);
	loop_fds[slot] = file_fds[slot] = 0;
}
