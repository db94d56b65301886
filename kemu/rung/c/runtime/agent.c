// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk of the Linux rung's agent, as it is, over this kernel: the names of libc that it uses are bound to the kernel's system
 * calls before its files are included.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "agent.h"

#pragma GCC visibility push(default)
#include "kemu_api.h"
#pragma GCC visibility pop

extern int kemu_armed;
extern void *kemu_back[5];
void kemu_trap(const char *fmt, ...) __attribute__((noreturn));
void kemu_fail_none(void);
long kemu_sys_open(const char *path, int flags);
long kemu_sys_close(int fd);
long kemu_sys_read(int fd, void *buffer, unsigned long len);
long kemu_sys_getdents(int fd, void *buffer, unsigned long len);
long kemu_sys_statx(int fd, const char *path, unsigned int flags, unsigned int mask, void *buffer);
long kemu_sys_readlink(const char *path, char *buffer, unsigned long len);
long kemu_sys_llistxattr(const char *path, char *list, unsigned long len);
long kemu_sys_lgetxattr(const char *path, const char *name, void *value, unsigned long len);
long kemu_sys_fchdir(int fd);
long kemu_sys_chdir(const char *path);
long kemu_sys_lseek(int fd, long at, int whence);
long kemu_sys_statfs(const char *path, void *buffer);
long kemu_sys_ioctl(int fd, unsigned int cmd, unsigned long arg);
long kemu_sys_map(int fd, unsigned long len);
int kemu_map_copy(void *map, unsigned long at, void *to, unsigned long len);
void kemu_map_end(void *map);

static long said(long r)
{
	if (r >= -4095 && r < 0) {
		errno = -r;
		return -1;
	}
	return r;
}

/* The names in a folder, each with its NUL; the bytes that they take. */
int kemu_list(const char *path, char *names, unsigned int room)
{
	static char chunk[32768];
	unsigned int len = 0;
	long fd, n;

	if (kemu_armed || __builtin_setjmp(kemu_back))
		return KEMU_TRAP;
	kemu_armed = 1;
	fd = kemu_sys_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	n = fd;
	while (fd >= 0 && (n = kemu_sys_getdents(fd, chunk, sizeof(chunk))) > 0) {
		for (char *p = chunk; p < chunk + n; p += *(unsigned short *)(p + 16)) {
			unsigned int size = strlen(p + 19) + 1;

			if (strcmp(p + 19, ".") && strcmp(p + 19, "..") && len + size <= room) {
				memcpy(names + len, p + 19, size);
				len += size;
			}
		}
	}
	if (fd >= 0)
		kemu_sys_close(fd);
	kemu_armed = 0;
	return n < 0 ? n : (int)len;
}

int kemu_statfs(const char *path, struct kemu_statfs *out)
{
	struct statfs fs;
	int err;

	if (kemu_armed || __builtin_setjmp(kemu_back))
		return KEMU_TRAP;
	kemu_armed = 1;
	err = kemu_sys_statfs(path, &fs);
	*out = (struct kemu_statfs){ fs.f_type, fs.f_bsize, fs.f_blocks, fs.f_files, fs.f_ffree, fs.f_namelen };
	kemu_armed = 0;
	return err;
}

static int k_lstat(const char *path, struct stat *st)
{
	struct statx x;

	if (said(kemu_sys_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x)))
		return -1;
	memset(st, 0, sizeof(*st));
	st->st_mode = x.stx_mode;
	st->st_uid = x.stx_uid;
	st->st_gid = x.stx_gid;
	st->st_nlink = x.stx_nlink;
	st->st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor);
	st->st_dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	st->st_mtim.tv_sec = x.stx_mtime.tv_sec;
	st->st_mtim.tv_nsec = x.stx_mtime.tv_nsec;
	st->st_size = x.stx_size;
	return 0;
}

static int k_clock_gettime(clockid_t clock, struct timespec *t)
{
	*t = (struct timespec){ 5000000000ll, 0 };	/* arch.c's NOW */
	return 0;
}

#define open(path, flags)		said(kemu_sys_open(path, flags))
#define close(fd)			said(kemu_sys_close(fd))
#define read(fd, p, n)			said(kemu_sys_read(fd, p, n))
#define syscall(nr, fd, p, n)		said(kemu_sys_getdents(fd, p, n))
#define lstat(path, st)			k_lstat(path, st)
#define readlink(path, p, n)		said(kemu_sys_readlink(path, p, n))
#define llistxattr(path, p, n)		said(kemu_sys_llistxattr(path, p, n))
#define lgetxattr(path, name, p, n)	said(kemu_sys_lgetxattr(path, name, p, n))
#define fchdir(fd)			said(kemu_sys_fchdir(fd))
#define lseek(fd, at, whence)		said(kemu_sys_lseek(fd, at, whence))
#define statx(fd, path, flags, mask, p)	said(kemu_sys_statx(fd, path, flags, mask, p))
#define statfs(path, p)			said(kemu_sys_statfs(path, p))
#define ioctl(fd, cmd, arg)		said(kemu_sys_ioctl(fd, cmd, (unsigned long)(arg)))
#define map_file(fd, len)		said(kemu_sys_map(fd, len))
#define map_copy(map, at, to, n)	kemu_map_copy((void *)(map), at, to, n)
#define map_end(map, len)		kemu_map_end((void *)(map))
#define clock_gettime(clock, t)		k_clock_gettime(clock, t)

void die(const char *fmt, ...)
{
	kemu_trap("the walk ends: %s", fmt);
}

void put(struct buffer *b, const void *data, size_t len)
{
	if (b->len + len > b->room) {
		b->room = (b->len + len) * 2 + 4096;
		b->data = realloc(b->data, b->room);
		if (!b->data)
			die("out of memory for an answer");
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

#include "walk.c"
#include "facts.c"

static struct walk walk;
static struct buffer facts;

int kemu_walk(const char *root, unsigned long long cap, unsigned int most, int flags, struct kemu_walk *out)
{
	if (kemu_armed || __builtin_setjmp(kemu_back))
		return KEMU_TRAP;
	kemu_armed = 1;
	facts.len = 0;
	walk.cap = cap;
	walk.most = most;
	walk.room = 1ul << 30;
	walk.facts = flags & KEMU_WALK_FACTS ? &facts : NULL;
	walk.unread = !!(flags & KEMU_WALK_UNREAD);
	walk.since = flags & KEMU_WALK_CLOCK ? 5000000000ll : 0;
	walk_tree(&walk, root);
	kemu_fail_none();		/* the walk's own way back */
	kemu_sys_chdir("/");
	out->entries = walk.out.data;
	out->entries_len = walk.out.len;
	out->facts = facts.data;
	out->facts_len = facts.len;
	out->count = walk.entries;
	out->full = walk.full;
	kemu_armed = 0;
	return 0;
}
