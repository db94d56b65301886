// SPDX-License-Identifier: GPL-2.0-only
/* What else user space can see of an inode, beyond a manifest: one line of text each. For comparing two kernels. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "agent.h"

#define EXTENTS	64
#define MOST	(1u << 20)		/* bytes of a file that are read another time */
#define PAGE	4096

static unsigned char room[1 << 16] __attribute__((aligned(PAGE)));

static void __attribute__((format(printf, 2, 3))) say(struct buffer *b, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(b, text, strlen(text));
}

static void say_path(struct buffer *b, const struct buffer *path)
{
	if (!path->len)
		say(b, "/");
	for (size_t i = 0; i < path->len; i++) {
		unsigned char c = path->data[i];

		say(b, c > 0x20 && c < 0x7f && c != '\\' ? "%c" : "\\x%02x", c);
	}
}

static void say_extents(struct buffer *b, int fd)
{
	static struct {
		struct fiemap map;
		struct fiemap_extent extents[EXTENTS];
	} f;

	memset(&f, 0, sizeof(f));
	f.map.fm_length = FIEMAP_MAX_OFFSET;
	f.map.fm_extent_count = EXTENTS;
	if (ioctl(fd, FS_IOC_FIEMAP, &f.map)) {
		say(b, "\tfiemap=%d", errno);
		return;
	}
	say(b, "\tfiemap=");
	for (unsigned int i = 0; i < f.map.fm_mapped_extents; i++)
		say(b, "%s%llu:%llu:%llu:%x", i ? "," : "", (unsigned long long)f.extents[i].fe_logical, (unsigned long long)f.extents[i].fe_physical,
		    (unsigned long long)f.extents[i].fe_length, f.extents[i].fe_flags);
}

static void say_holes(struct buffer *b, int fd)
{
	off_t at = 0;

	say(b, "\tholes=");
	for (int i = 0; i < EXTENTS; i++) {
		at = lseek(fd, at, i % 2 ? SEEK_DATA : SEEK_HOLE);
		if (at < 0) {
			say(b, "%s%d", i ? "," : "", -errno);
			return;
		}
		say(b, "%s%lld", i ? "," : "", (long long)at);
	}
}

static void say_sum(struct buffer *b, struct sha256 *s)
{
	unsigned char sum[32];

	sha256_final(s, sum);
	for (int i = 0; i < 8; i++)
		say(b, "%02x", sum[i]);
}

/* O_DIRECT: how reading ends, the bytes that were read, their hash. */
static void say_direct(struct buffer *b, const char *name)
{
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_LARGEFILE | O_DIRECT);
	struct sha256 s;
	size_t total = 0;
	ssize_t n = 0;

	if (fd < 0) {
		say(b, "\tdirect=%d", -errno);
		return;
	}
	sha256_init(&s);
	while (total < MOST && (n = read(fd, room, sizeof(room))) > 0) {
		sha256_update(&s, room, n);
		total += n;
	}
	say(b, "\tdirect=%d,%zu,", n < 0 ? -errno : 0, total);
	say_sum(b, &s);
	close(fd);
}

/* A mapping: the pages that could not be had, the hash of the others. */
static void say_mapped(struct buffer *b, int fd, uint64_t size)
{
	size_t len = size < MOST ? size : MOST;
	struct sha256 s;
	int bad = 0;
	long map;

	map = map_file(fd, len);
	if (map == -1) {
		say(b, "\tmapped=%d", -errno);
		return;
	}
	sha256_init(&s);
	for (size_t at = 0; at < len; at += PAGE) {
		size_t n = len - at < PAGE ? len - at : PAGE;

		if (map_copy(map, at, room, n))
			bad++;
		else
			sha256_update(&s, room, n);
	}
	say(b, "\tmapped=%d,", bad);
	say_sum(b, &s);
	map_end(map, len);
}

static void say_names(struct buffer *b, int fd)
{
	static char chunk[32768];
	struct sha256 s;
	long n;

	sha256_init(&s);
	for (;;) {
		memset(chunk, 0, sizeof(chunk));	/* the kernel leaves what is between two records as it was */
		n = syscall(SYS_getdents64, fd, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		sha256_update(&s, chunk, n);
	}
	say(b, "\tdirents=%ld,", n < 0 ? -(long)errno : 0);
	say_sum(b, &s);
}

void facts_inode(struct buffer *b, const char *name, const struct buffer *path)
{
	struct statx x;
	int fd;

	say_path(b, path);
	if (statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &x)) {
		say(b, "\tstatx=%d\n", errno);
		return;
	}
	say(b, "\tblocks=%llu\tblksize=%u\tino=%llu\tattributes=%llx/%llx", (unsigned long long)x.stx_blocks, x.stx_blksize, (unsigned long long)x.stx_ino,
	    (unsigned long long)x.stx_attributes, (unsigned long long)x.stx_attributes_mask);
	say(b, "\tatime=%lld.%09u\tctime=%lld.%09u\tbtime=%d", (long long)x.stx_atime.tv_sec, x.stx_atime.tv_nsec, (long long)x.stx_ctime.tv_sec,
	    x.stx_ctime.tv_nsec, !!(x.stx_mask & STATX_BTIME));
	if (!path->len) {
		struct statfs fs;

		if (statfs(name, &fs))
			say(b, "\tstatfs=%d", errno);
		else
			say(b, "\tstatfs=%lx:%ld:%llu:%llu:%llu:%ld:%x:%x", (long)fs.f_type, (long)fs.f_bsize, (unsigned long long)fs.f_blocks,
			    (unsigned long long)fs.f_files, (unsigned long long)fs.f_ffree, (long)fs.f_namelen, fs.f_fsid.__val[0], fs.f_fsid.__val[1]);
	}
	if (S_ISREG(x.stx_mode) || S_ISDIR(x.stx_mode)) {
		fd = open(name, O_RDONLY | O_NOFOLLOW | O_LARGEFILE);
		if (fd < 0) {
			say(b, "\topen=%d", errno);
		} else if (S_ISREG(x.stx_mode)) {
			say_extents(b, fd);
			say_holes(b, fd);
			say_mapped(b, fd, x.stx_size);
			say_direct(b, name);
		} else {
			say_names(b, fd);
		}
		if (fd >= 0)
			close(fd);
	}
	say(b, "\n");
}
