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
#include "kemu_calls.h"

#pragma GCC visibility push(default)
#include "kemu_api.h"
#pragma GCC visibility pop

extern int kemu_armed;
extern void *kemu_back[5];
void kemu_trap(const char *fmt, ...) __attribute__((noreturn));
void kemu_fail_none(void);

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

#include "bound.h"

/*
 * The kernel has memory for as much as it is asked for, and zeroes it here: most lists and values are short, and the others are asked
 * for again. So does a caller who does not know how much there is.
 */
#define SHORT	4096

static long k_llistxattr(const char *path, char *list, unsigned long len)
{
	long n = kemu_sys_llistxattr(path, list, len < SHORT ? len : SHORT);

	return said(n == -ERANGE && len > SHORT ? kemu_sys_llistxattr(path, list, len) : n);
}

static long k_lgetxattr(const char *path, const char *name, void *value, unsigned long len)
{
	long n = kemu_sys_lgetxattr(path, name, value, len < SHORT ? len : SHORT);

	return said(n == -ERANGE && len > SHORT ? kemu_sys_lgetxattr(path, name, value, len) : n);
}

#undef llistxattr
#undef lgetxattr
#define llistxattr(path, p, n)		k_llistxattr(path, p, n)
#define lgetxattr(path, name, p, n)	k_lgetxattr(path, name, p, n)

static int k_clock_gettime(clockid_t clock, struct timespec *t)
{
	*t = (struct timespec){ 5000000000ll, 0 };	/* arch.c's NOW */
	return 0;
}

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
