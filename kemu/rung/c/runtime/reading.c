// SPDX-License-Identifier: GPL-2.0-only
/*
 * All files of a tree, read to their ends and dropped: nothing is copied, hashed or kept, and of an inode nothing is asked but its
 * contents. Several kernels that read the same tree can divide it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "agent.h"
#include "kemu_calls.h"

#pragma GCC visibility push(default)
#include "kemu_api.h"
#pragma GCC visibility pop

extern int kemu_armed;
extern void *kemu_back[5];
long kemu_sys_openat(int dfd, const char *path, int flags);
long kemu_sys_drain(int fd, unsigned long long *len);

/* A folder that is being read: trees are as deep as they like, this is no recursion. */
struct folder {
	int fd;
	struct buffer folders;		/* names in it, each with its NUL */
	size_t next, path_len;
};

static struct {
	struct buffer path, failures;
	struct folder *levels;
	size_t depth, room;
	unsigned long long seen;	/* regular files */
} now;

static void failed(struct kemu_reading *r, const char *name, long err)
{
	int32_t code = -err;

	r->failed++;
	put(&now.failures, &code, sizeof(code));
	put(&now.failures, now.path.data, now.path.len);
	if (name) {
		put(&now.failures, "/", 1);
		put(&now.failures, name, strlen(name));
	}
	put(&now.failures, "", 1);
}

static void read_file(struct kemu_reading *r, int dir, const char *name)
{
	long fd = kemu_sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_LARGEFILE), err = fd;
	unsigned long long len = 0;

	if (fd >= 0) {
		err = kemu_sys_drain(fd, &len);
		kemu_sys_close(fd);
	}
	r->files++;
	r->bytes += len;
	if (err < 0)
		failed(r, name, err);
}

static int type_of(int dir, const struct dirent64 *d)
{
	struct statx x;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type;
	return kemu_sys_statx(dir, d->d_name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x) ? DT_REG : IFTODT(x.stx_mode);
}

/* Those of its files that are ours are read, and its folders are kept for later. */
static void read_folder(struct kemu_reading *r, struct folder *f, unsigned int part, unsigned int of)
{
	static char chunk[32768];
	long n;

	while ((n = kemu_sys_getdents(f->fd, chunk, sizeof(chunk))) > 0) {
		for (char *p = chunk; p < chunk + n && r->names < r->most; p += ((struct dirent64 *)p)->d_reclen) {
			struct dirent64 *d = (void *)p;
			int type;

			if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
				continue;
			r->names++;
			type = type_of(f->fd, d);
			if (type == DT_DIR)
				put(&f->folders, d->d_name, strlen(d->d_name) + 1);
			else if (type == DT_REG && now.seen++ % of == part)
				read_file(r, f->fd, d->d_name);
		}
	}
	if (n < 0)
		failed(r, NULL, n);
}

static void enter(struct kemu_reading *r, int dir, const char *name, size_t path_len)
{
	long fd = kemu_sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	if (fd < 0) {
		failed(r, NULL, fd);
		return;
	}
	if (now.depth == now.room) {
		now.room = now.room * 2 + 64;
		now.levels = realloc(now.levels, now.room * sizeof(*now.levels));
		if (!now.levels)
			die("out of memory for a tree %zu deep", now.depth);
	}
	now.levels[now.depth] = (struct folder){ .fd = fd, .path_len = path_len };
	read_folder(r, &now.levels[now.depth++], r->part, r->of);
}

static void leave(struct folder *f)
{
	kemu_sys_close(f->fd);
	free(f->folders.data);
	now.depth--;
}

int kemu_read_tree(const char *root, struct kemu_reading *r)
{
	if (kemu_armed || __builtin_setjmp(kemu_back))
		return KEMU_TRAP;
	kemu_armed = 1;
	r->files = r->bytes = 0;
	r->names = r->failed = 0;
	now.seen = 0;
	now.failures.len = now.path.len = 0;
	enter(r, AT_FDCWD, root, 0);
	while (now.depth) {
		struct folder *f = &now.levels[now.depth - 1];
		const char *name = f->folders.data + f->next;

		if (f->next == f->folders.len || r->names >= r->most) {
			leave(f);
			continue;
		}
		f->next += strlen(name) + 1;
		now.path.len = f->path_len;
		put(&now.path, "/", 1);
		put(&now.path, name, strlen(name));
		enter(r, f->fd, name, now.path.len);
	}
	r->failures = now.failures.data;
	r->failures_len = now.failures.len;
	kemu_armed = 0;
	return 0;
}
