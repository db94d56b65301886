// SPDX-License-Identifier: GPL-2.0-only
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
	names->buf[names->len + len] = '\0';
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
