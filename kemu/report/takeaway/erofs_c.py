# SPDX-License-Identifier: GPL-2.0-only
"""The C of an EROFS case that does not depend on its image."""
from __future__ import annotations

INCLUDES = """\
#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init_syscalls.h>
#include <linux/initrd.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#define T_DIR	"/kemu_kunit"
#define T_MNT	T_DIR "/mnt"
#define T_CHUNK	(1 << 17)

/* Bytes of an image that are not zero */
struct t_run {
	u32 at, len;
};
"""

IMAGES = """\
/* Store an image in a file of a ramfs. */
static int __init t_put(const char *path, const u8 *bytes,
			const struct t_run *runs, size_t count, u64 size)
{
	struct file *file = filp_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int err = 0;

	if (IS_ERR(file))
		return PTR_ERR(file);
	for (size_t i = 0; i < count && !err; i++) {
		loff_t pos = runs[i].at;
		ssize_t n = kernel_write(file, bytes, runs[i].len, &pos);

		if (n != runs[i].len)
			err = n < 0 ? n : -ENOSPC;
		bytes += runs[i].len;
	}
	if (!err)
		err = vfs_truncate(&file->f_path, size);
	__fput_sync(file);
	return err;
}

#define T_PUT(test, n, size)						\\
	KUNIT_ASSERT_EQ(test, t_put(T_DIR "/image" #n, t_bytes##n,	\\
				    t_runs##n, ARRAY_SIZE(t_runs##n),	\\
				    size), 0)

static char t_buf[T_CHUNK] __initdata;

/* Read a file to its end: its size, or -errno; *@crc is that of its bytes. */
static s64 __init t_read(const char *path, u32 *crc)
{
	struct file *file = filp_open(path, O_RDONLY, 0);
	loff_t pos = 0;
	ssize_t n;

	if (IS_ERR(file))
		return PTR_ERR(file);
	*crc = ~0;
	while ((n = kernel_read(file, t_buf, T_CHUNK, &pos)) > 0)
		*crc = crc32c(*crc, t_buf, n);
	__fput_sync(file);
	return n < 0 ? n : pos;
}

/* Read a symlink's target into t_buf: 0 or -errno. */
static int __init t_readlink(const char *path)
{
	DEFINE_DELAYED_CALL(done);
	const char *target;
	struct path p;
	int err = kern_path(path, 0, &p);

	if (err)
		return err;
	target = vfs_get_link(p.dentry, &done);
	if (IS_ERR(target))
		err = PTR_ERR(target);
	else
		strscpy(t_buf, target, T_CHUNK);
	do_delayed_call(&done);
	path_put(&p);
	return err;
}

struct t_names {
	struct dir_context ctx;
	size_t len;
	char *buf;
};

static bool __init t_take(struct dir_context *ctx, const char *name, int len,
			  loff_t pos, u64 ino, unsigned int type)
{
	struct t_names *names = container_of(ctx, struct t_names, ctx);

	if ((len == 1 && name[0] == '.') ||
	    (len == 2 && name[0] == '.' && name[1] == '.'))
		return true;
	if (names->len + len + 1 > T_CHUNK)
		return false;
	memcpy(names->buf + names->len, name, len);
	names->buf[names->len + len] = '\\0';
	names->len += len + 1;
	return true;
}

/* The names in a directory, one behind the other: 0 or -errno. */
static int __init t_names(const char *path, struct t_names *names)
{
	struct file *file = filp_open(path, O_RDONLY | O_DIRECTORY, 0);
	size_t before;
	int err;

	if (IS_ERR(file))
		return PTR_ERR(file);
	do {
		before = names->len;
		err = iterate_dir(file, &names->ctx);
	} while (!err && names->len > before);
	__fput_sync(file);
	return err;
}
"""

CHECK = """\
static ssize_t __init t_getxattr(const char *path, const char *name)
{
	struct path p;
	ssize_t n = kern_path(path, 0, &p);

	if (n)
		return n;
	n = vfs_getxattr(mnt_idmap(p.mnt), p.dentry, name, t_buf, T_CHUNK);
	path_put(&p);
	return n;
}

/* What else there is to an inode; the first thing that fails is its error. */
static int __init t_open(struct kunit *test, const struct t_entry *e,
			 const char *path)
{
	struct t_names names = { .ctx.actor = t_take };
	u32 crc = 0;
	s64 n;

	switch (e->mode & S_IFMT) {
	case S_IFREG:
		n = t_read(path, &crc);
		if (n < 0)
			return n;
		if (!e->error)
			KUNIT_EXPECT_EQ_MSG(test, (u64)n, e->size, "%s", path);
		if (e->has_data)
			KUNIT_EXPECT_EQ_MSG(test, crc, e->crc, "%s", path);
		return 0;
	case S_IFLNK:
		n = t_readlink(path);
		if (!n && e->target)
			KUNIT_EXPECT_STREQ_MSG(test, (const char *)t_buf, e->target,
					       "%s", path);
		return n;
	case S_IFDIR:
		names.buf = kvmalloc(T_CHUNK, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, names.buf);
		n = t_names(path, &names);
		kvfree(names.buf);
		return n;
	}
	return 0;
}

static void __init t_look(struct kunit *test, const struct t_entry *e)
{
	char *path = kasprintf(GFP_KERNEL, T_MNT "%s", e->path);
	const struct t_xattr *x;
	struct kstat st;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, path);
	err = init_stat(path, &st, AT_SYMLINK_NOFOLLOW);
	if (!err && e->mode) {
		KUNIT_EXPECT_EQ_MSG(test, st.mode, e->mode, "%s", path);
		KUNIT_EXPECT_EQ_MSG(test, from_kuid(&init_user_ns, st.uid),
				    e->uid, "%s", path);
		KUNIT_EXPECT_EQ_MSG(test, from_kgid(&init_user_ns, st.gid),
				    e->gid, "%s", path);
		if (S_ISREG(e->mode) && !e->error)
			KUNIT_EXPECT_EQ_MSG(test, (u64)st.size, e->size, "%s",
					    path);
		for (x = e->xattrs; x && x->name; x++) {
			KUNIT_EXPECT_EQ_MSG(test, t_getxattr(path, x->name),
					    (ssize_t)x->len, "%s: %s", path,
					    x->name);
			KUNIT_EXPECT_TRUE_MSG(test,
					      !memcmp(t_buf, x->value, x->len),
					      "%s: %s", path, x->name);
		}
		err = t_open(test, e, path);
	}
	KUNIT_EXPECT_EQ_MSG(test, err, e->error, "%s", path);
	kfree(path);
}
"""

TABLE = """\
struct t_xattr {
	const char *name;
	const u8 *value;
	size_t len;
};

struct t_entry {
	const char *path, *target;
	const struct t_xattr *xattrs;
	u64 size;
	u32 uid, gid, crc;
	umode_t mode;
	bool has_data;
	int error;		/* of the first operation that fails */
};
"""

WALK = """\
#define T_DEEPEST 16

/* Look at everything, whatever it says: there has to be no report. */
static void __init t_walk(struct kunit *test, const char *path, int depth)
{
	struct t_names names = { .ctx.actor = t_take };
	struct kstat st;
	struct path p;
	u32 crc;

	if (init_stat(path, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (!kern_path(path, 0, &p)) {
		vfs_listxattr(p.dentry, t_buf, T_CHUNK);
		path_put(&p);
	}
	if (S_ISREG(st.mode))
		t_read(path, &crc);
	else if (S_ISLNK(st.mode))
		t_readlink(path);
	if (!S_ISDIR(st.mode) || depth == T_DEEPEST)
		return;
	names.buf = kvmalloc(T_CHUNK, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, names.buf);
	t_names(path, &names);
	for (size_t at = 0; at < names.len; at += strlen(names.buf + at) + 1) {
		char *below = kasprintf(GFP_KERNEL, "%s/%s", path,
					names.buf + at);

		if (below)
			t_walk(test, below, depth + 1);
		kfree(below);
	}
	kvfree(names.buf);
}
"""

SUITE = """\
static int __init t_suite_init(struct kunit_suite *suite)
{
	int err;

	/* the root file system is still being filled */
	wait_for_initramfs();
	err = init_mkdir(T_DIR, 0700);
	if (err)
		return err;
	/* EROFS mounts files of file systems that have ->read_folio() */
	err = init_mount("kunit", T_DIR, "ramfs", 0, NULL);
	if (!err)
		err = init_mkdir(T_MNT, 0700);
	return err;
}

static void __init t_suite_exit(struct kunit_suite *suite)
{
	init_umount(T_DIR, 0);
	init_rmdir(T_DIR);
}

static struct kunit_case __refdata t_cases[] = {
	KUNIT_CASE(t_case),
	{}
};

static struct kunit_suite __refdata t_suite = {
	.name = "NAME",
	.suite_init = t_suite_init,
	.suite_exit = t_suite_exit,
	.test_cases = t_cases,
};
kunit_test_init_section_suites(&t_suite);

MODULE_DESCRIPTION("A KUnit case by kemu");
MODULE_LICENSE("GPL");
"""
