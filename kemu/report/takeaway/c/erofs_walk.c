// SPDX-License-Identifier: GPL-2.0-only
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
