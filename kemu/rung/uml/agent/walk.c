// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tree as user space sees it. For each inode, in this order: lstat, listxattr and getxattr, then readlink, or getdents to the end, or
 * read to the end; the first of them that fails is the entry's error. A directory's own entry is complete before its children are
 * looked up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "agent.h"

struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static char chunk[1 << 17];
static char names_of_xattrs[1 << 16];

static void failed(struct entry *e, int error)
{
	if (!e->error)
		e->error = error;
}

static void take_xattrs(const char *name, struct entry *e, struct buffer *x)
{
	ssize_t len = llistxattr(name, names_of_xattrs, sizeof(names_of_xattrs));
	char *p;

	if (len < 0) {
		if (errno == ENOTSUP || errno == ENOSYS)
			e->flags |= HAS_XATTRS;
		else
			failed(e, errno);
		return;
	}
	e->flags |= HAS_XATTRS;
	for (p = names_of_xattrs; p < names_of_xattrs + len; p += strlen(p) + 1) {
		ssize_t n = lgetxattr(name, p, chunk, sizeof(chunk));
		uint16_t name_len = strlen(p);
		uint32_t value_len = n < 0 ? ~0u : (uint32_t)n;

		put(x, &name_len, sizeof(name_len));
		put(x, &value_len, sizeof(value_len));
		put(x, p, name_len);
		if (n > 0)
			put(x, chunk, n);
	}
}

static void read_file(struct walk *w, const char *name, struct entry *e, unsigned char sum[32])
{
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_LARGEFILE);
	struct sha256 s;
	uint64_t total = 0;
	ssize_t n;

	if (fd < 0) {
		failed(e, errno);
		return;
	}
	sha256_init(&s);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		sha256_update(&s, chunk, n);
		total += n;
		if (total > w->cap) {
			e->flags |= IS_CAPPED;
			close(fd);
			return;
		}
	}
	if (n < 0) {
		failed(e, errno);
	} else {
		sha256_final(&s, sum);
		e->flags |= HAS_SHA256;
	}
	close(fd);
}

/* The names in a directory, each with its NUL. Returns its descriptor, or -1. */
static int read_dir(const char *name, struct entry *e, struct buffer *names)
{
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	long n;

	if (fd < 0) {
		failed(e, errno);
		return -1;
	}
	while ((n = syscall(SYS_getdents64, fd, chunk, 32768)) > 0) {
		char *p = chunk;

		while (p < chunk + n) {
			struct dirent64 *d = (void *)p;

			if (strcmp(d->name, ".") && strcmp(d->name, ".."))
				put(names, d->name, strlen(d->name) + 1);
			p += d->reclen;
		}
	}
	if (n < 0)
		failed(e, errno);
	return fd;
}

static int hidden(struct walk *w, dev_t dev)
{
	for (int i = 0; i < w->others; i++)
		if (w->other[i] == dev)
			return 1;
	return 0;
}

/* Whether the clock has shown this second since w->since. */
static int from_clock(struct walk *w, int64_t sec)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return sec >= w->since && sec <= now.tv_sec;
}

/* One inode, a name in the working directory. Returns a directory's descriptor with the names in it, -1 for everything else. */
static int visit(struct walk *w, const char *name, const struct buffer *path, struct buffer *names)
{
	struct entry e = { .path_len = path->len ? path->len : 1 };
	struct buffer xattrs = { 0 };
	static unsigned char sum[32];
	static char target[8192];
	struct stat st;
	int dir = -1;

	w->entries++;
	if (lstat(name, &st)) {
		failed(&e, errno);
	} else {
		e.flags |= HAS_STAT;
		e.mode = st.st_mode;
		e.uid = st.st_uid;
		e.gid = st.st_gid;
		e.nlink = st.st_nlink;
		e.major = major(st.st_rdev);
		e.minor = minor(st.st_rdev);
		e.sec = st.st_mtim.tv_sec;
		e.nsec = st.st_mtim.tv_nsec;
		e.size = st.st_size;
		if (w->since && (!path->len || from_clock(w, e.sec)))
			e.flags |= CLOCK_MTIME;
		take_xattrs(name, &e, &xattrs);
		if (S_ISLNK(st.st_mode)) {
			ssize_t n = readlink(name, target, sizeof(target));

			if (n < 0) {
				failed(&e, errno);
			} else {
				e.flags |= HAS_TARGET;
				e.target_len = n;
			}
		} else if (S_ISREG(st.st_mode)) {
			if (!w->unread)
				read_file(w, name, &e, sum);
		} else if (S_ISDIR(st.st_mode) && !hidden(w, st.st_dev)) {
			dir = read_dir(name, &e, names);
		}
	}
	if (w->facts)
		facts_inode(w->facts, name, path);
	e.xattrs_len = xattrs.len;
	put(&w->out, &e, sizeof(e));
	put(&w->out, path->len ? path->data : "/", e.path_len);
	put(&w->out, target, e.target_len);
	if (e.flags & HAS_SHA256)
		put(&w->out, sum, sizeof(sum));
	put(&w->out, xattrs.data, xattrs.len);
	free(xattrs.data);
	return dir;
}

/* A directory that is being walked. Trees are as deep as they like: this is no recursion. */
struct level {
	int fd;
	struct buffer names;
	char *next;
	size_t path_len;
};

static void enter(int fd)
{
	if (fchdir(fd))
		die("fchdir: %s", strerror(errno));
}

/* @root is a name in the working directory, which afterwards may be another one. */
void walk_tree(struct walk *w, const char *root)
{
	struct level *levels = NULL;
	struct buffer path = { 0 };
	const char *name = root;
	size_t depth = 0, room = 0;

	w->out.len = 0;
	w->entries = 0;
	w->full = 0;
	for (;;) {
		struct buffer names = { 0 };
		int dir = -1;

		if (w->out.len > w->room)
			w->full = 1;
		else if (w->entries < w->most)
			dir = visit(w, name, &path, &names);
		if (dir >= 0) {
			if (depth == room) {
				room = room * 2 + 64;
				levels = realloc(levels, room * sizeof(*levels));
				if (!levels)
					die("out of memory for a tree %zu deep", depth);
			}
			levels[depth++] = (struct level){ dir, names, names.data, path.len };
			enter(dir);
		} else {
			free(names.data);
		}
		do {
			while (depth && levels[depth - 1].next == levels[depth - 1].names.data + levels[depth - 1].names.len) {
				depth--;
				close(levels[depth].fd);
				free(levels[depth].names.data);
				if (depth)
					enter(levels[depth - 1].fd);
			}
			if (!depth) {
				free(levels);
				free(path.data);
				return;
			}
			name = levels[depth - 1].next;
			levels[depth - 1].next += strlen(name) + 1;
			path.len = levels[depth - 1].path_len;
			put(&path, "/", 1);
			put(&path, name, strlen(name));
		} while (w->skip && path.len == strlen(w->skip) && !memcmp(path.data, w->skip, path.len));
	}
}
