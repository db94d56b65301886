// SPDX-License-Identifier: GPL-2.0-only
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

#define T_PUT(test, n, size)						\
	KUNIT_ASSERT_EQ(test, t_put(T_DIR "/image" #n, t_bytes##n,	\
				    t_runs##n, ARRAY_SIZE(t_runs##n),	\
				    size), 0)
