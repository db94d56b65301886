// SPDX-License-Identifier: GPL-2.0-only
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
