// SPDX-License-Identifier: GPL-2.0-only
/* More steps of a program: those that change names and attributes, advise, or read what somebody else changes meanwhile. */
#include <linux/fadvise.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init_syscalls.h>
#include <linux/loop.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <linux/xattr.h>
#include "../fs/internal.h"
#include "kemu_sched.h"

static long change_rename(const char *from, const char *to)
{
	CLASS(filename_kernel, old)(from);
	CLASS(filename_kernel, new)(to);
	return filename_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}

static long change_xattr(const char *name, const char *key, const char *value)
{
	struct path path;
	long err = kern_path(name, 0, &path);

	if (err)
		return err;
	err = mnt_want_write(path.mnt);
	if (!err) {
		err = vfs_setxattr(mnt_idmap(path.mnt), path.dentry, key, value, strlen(value), 0);
		mnt_drop_write(path.mnt);
	}
	path_put(&path);
	return err;
}

/* Mapped, copied, unmapped; a page that cannot be read is EFAULT, where user space has a signal. */
static ssize_t read_mapped(struct file *file, char *buffer, size_t len, loff_t pos)
{
	unsigned long at = vm_mmap(file, 0, len, PROT_READ, MAP_PRIVATE, pos), left;

	if (IS_ERR_VALUE(at))
		return at;
	left = copy_from_user(buffer, (void __user *)at, len);
	vm_munmap(at, len);
	return left ? -EFAULT : len;
}

/* How many bytes of a file are neither what it had, nor what it gets, nor zero. */
static long read_foreign(struct file *file, const struct kemu_op *op, const char *right, char *buffer)
{
	size_t len = min_t(u64, op->b, KEMU_BUFFER);
	loff_t pos = op->a;
	ssize_t n = op->text2 ? read_mapped(file, buffer, len, pos) : kernel_read(file, buffer, len, &pos);
	long foreign = 0;

	for (ssize_t i = 0; i < n; i++)
		foreign += buffer[i] && buffer[i] != right[i] && buffer[i] != (char)op->c;
	return n < 0 ? n : foreign;
}

/* The loop device has the file, read-only, until it is told to let it go. */
static long change_loop(struct file *backing, const char *device, bool clear)
{
	struct file *loop;
	long err;
	int fd = -1;

	if (!backing && !clear)
		return -EBADF;
	loop = filp_open(device, O_RDONLY | O_LARGEFILE, 0);
	if (IS_ERR(loop))
		return PTR_ERR(loop);
	if (!clear) {
		fd = get_unused_fd_flags(O_CLOEXEC);
		if (fd >= 0)
			fd_install(fd, get_file(backing));
	}
	err = clear ? loop->f_op->unlocked_ioctl(loop, LOOP_CLR_FD, 0) : fd < 0 ? fd : loop->f_op->unlocked_ioctl(loop, LOOP_SET_FD, fd);
	if (fd >= 0)
		close_fd(fd);
	fput(loop);
	return err;
}

static long change_file(struct file *file, const struct kemu_op *op, const char *right, char *buffer)
{
	if (!file)
		return -EBADF;
	switch (op->what) {
	case KEMU_OP_FADVISE:
		return vfs_fadvise(file, op->a, op->b, op->c);
	case KEMU_OP_FOREIGN:
		return read_foreign(file, op, right, buffer);
	case KEMU_OP_FALLOCATE:
		return vfs_fallocate(file, op->c, op->a, op->b);
	}
	return -EINVAL;
}

long __ref kemu_op_change(struct kemu_files *files, const struct kemu_op *op, char *buffer)
{
	const char *path = files->strings + op->text, *to = files->strings + op->text2;

	switch (op->what) {
	case KEMU_OP_RENAME:
		return change_rename(path, to);
	case KEMU_OP_LINK:
		return init_link(path, to);
	case KEMU_OP_SETXATTR:
		return change_xattr(path, to, files->strings + op->text3);
	case KEMU_OP_RMDIR:
		return init_rmdir(path);
	case KEMU_OP_SYNC:
		ksys_sync();
		return 0;
	case KEMU_OP_LOOP:
		return change_loop(files->slot[op->slot], path, op->a);
	case KEMU_OP_LATE_FILE:
		return kemu_late_file(path);
	}
	return change_file(files->slot[op->slot], op, path, buffer);
}
