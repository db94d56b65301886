// SPDX-License-Identifier: GPL-2.0-only
/* System calls, as PID 1 makes them: the kernel's own, with the user's memory being the kernel's. */
#include <linux/backing-dev.h>
#include <linux/fadvise.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init_syscalls.h>
#include <linux/namei.h>
#include <linux/stat.h>
#include <linux/statfs.h>
#include <linux/syscalls.h>
#include <linux/task_work.h>
#include <linux/uio.h>
#include <linux/xattr.h>
#include <uapi/linux/fiemap.h>
#include "runtime.h"

/* What happens on the way back to the user. */
static long done(long r)
{
	if (task_work_pending(current))
		task_work_run();
	kemu_reclaim();
	return r;
}

/* As copy_mount_options(): a whole page. */
static char options_page[PAGE_SIZE];

int kemu_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
	int err;

	KEMU_ENTER(KEMU_TRAP);
	/* byte by byte: behind the caller's string there may be nothing */
	memset(options_page, 0, sizeof(options_page));
	memcpy(options_page, options, strnlen(options, sizeof(options_page) - 1));
	err = done(init_mount(source, target, type, flags, options_page));
	KEMU_LEAVE();
	return err;
}

/* By the function of a series' own back end, from where the image is placed. */
int kemu_mount_region(const void *function, unsigned int slot, const char *target, const char *options)
{
	long (*backend)(const void *base, unsigned long size, const char *dir, const char *options) = function;
	struct kemu_region *r = &kemu_regions[slot];
	int err;

	if (slot >= KEMU_DISKS || !r->data || !backend)
		return -ENXIO;
	KEMU_ENTER(KEMU_TRAP);
	kemu_poison(r->block, round_down(r->data - (char *)r->block, 8), SHADOW_REDZONE);	/* what lies before it is nobody's */
	memset(options_page, 0, sizeof(options_page));
	memcpy(options_page, options, strnlen(options, sizeof(options_page) - 1));
	r->lent = true;
	err = done(backend(r->data, r->len, target, options_page));
	KEMU_LEAVE();
	return err;
}

int kemu_umount(const char *target, int flags)
{
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = done(init_umount(target, flags));
	tasks_settle();
	KEMU_LEAVE();
	return err;
}

int kemu_read_ahead(const char *path, unsigned int bytes)
{
	struct path p;
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = kern_path(path, LOOKUP_FOLLOW, &p);
	if (!err) {
		p.dentry->d_sb->s_bdi->ra_pages = bytes >> PAGE_SHIFT;
		path_put(&p);
	}
	KEMU_LEAVE();
	return err;
}

int kemu_settle(void)
{
	KEMU_ENTER(KEMU_TRAP);
	tasks_settle();
	KEMU_LEAVE();
	return 0;
}

int kemu_mkdir(const char *path, unsigned int mode)
{
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = done(init_mkdir(path, mode));
	KEMU_LEAVE();
	return err;
}

int kemu_open(const char *path, int flags)
{
	int fd;

	KEMU_ENTER(KEMU_TRAP);
	fd = done(sys_openat(AT_FDCWD, path, flags | O_LARGEFILE, 0));
	KEMU_LEAVE();
	return fd;
}

int kemu_close(int fd)
{
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = done(sys_close(fd));
	KEMU_LEAVE();
	return err;
}

long long kemu_pread(int fd, void *buffer, unsigned long long len, long long at)
{
	long long n;

	KEMU_ENTER(KEMU_TRAP);
	n = done(ksys_pread64(fd, buffer, len, at));
	KEMU_LEAVE();
	return n;
}

int kemu_place_file(unsigned int slot, const void *data, unsigned long long at, unsigned long long len, unsigned long long size)
{
	char name[32];
	loff_t pos = at;
	struct file *file;
	ssize_t n;
	int err;

	KEMU_ENTER(KEMU_TRAP);
	snprintf(name, sizeof(name), "/files/%u", slot);
	file = filp_open(name, O_RDWR | O_CREAT | O_LARGEFILE, 0600);
	err = PTR_ERR_OR_ZERO(file);
	if (!err) {
		err = vfs_truncate(&file->f_path, size);
		while (!err && len) {
			n = kernel_write(file, data, min_t(u64, len, 1 << 20), &pos);
			if (n <= 0) {
				err = n ?: -EIO;
			} else {
				data += n;
				len -= n;
			}
		}
		fput(file);
	}
	done(0);
	tasks_settle();
	KEMU_LEAVE();
	return err;
}

/* ---- for the walk, which runs inside of a call: -errno, or what the call returns ---- */

long kemu_sys_open(const char *path, int flags)
{
	return done(sys_openat(AT_FDCWD, path, flags, 0));
}

long kemu_sys_openat(int dfd, const char *path, int flags)
{
	return done(sys_openat(dfd, path, flags, 0));
}

/*
 * A file is read to its end as cat(1) does it, in order and in steps of 512 KiB, into nothing: what is in the page cache is not copied.
 * 0 or -errno, and how much there was.
 */
long kemu_sys_drain(int fd, unsigned long long *len)
{
	struct iov_iter nowhere;
	ssize_t n;

	CLASS(fd, f)(fd);
	if (fd_empty(f))
		return -EBADF;
	vfs_fadvise(fd_file(f), 0, 0, POSIX_FADV_SEQUENTIAL);
	do {
		iov_iter_discard(&nowhere, ITER_DEST, 512 << 10);
		n = done(vfs_iter_read(fd_file(f), &nowhere, &fd_file(f)->f_pos, 0));
		*len += max(n, 0);
	} while (n > 0);
	return n;
}

long kemu_sys_close(int fd)
{
	return done(sys_close(fd));
}

/*
 * The caller's memory has no pages that could be pinned: with O_DIRECT it is read into pages of the kernel, and copied.
 */
static long read_direct(struct file *file, void *buffer, unsigned long len)
{
	char *pages = alloc_pages_exact(len, GFP_KERNEL | __GFP_NOFAIL);
	long n = kernel_read(file, pages, len, &file->f_pos);

	if (n > 0)
		memcpy(buffer, pages, n);
	free_pages_exact(pages, len);
	return n;
}

long kemu_sys_read(int fd, void *buffer, unsigned long len)
{
	CLASS(fd, f)(fd);

	if (!fd_empty(f) && fd_file(f)->f_flags & O_DIRECT)
		return done(read_direct(fd_file(f), buffer, len));
	return done(ksys_read(fd, buffer, len));
}

long kemu_sys_getdents(int fd, void *buffer, unsigned long len)
{
	return done(sys_getdents64(fd, buffer, len));
}

long kemu_sys_statx(int fd, const char *path, unsigned int flags, unsigned int mask, void *buffer)
{
	return done(sys_statx(fd, path, flags, mask, buffer));
}

long kemu_sys_readlink(const char *path, char *buffer, unsigned long len)
{
	return done(sys_readlinkat(AT_FDCWD, path, buffer, len));
}

long kemu_sys_llistxattr(const char *path, char *list, unsigned long len)
{
	return done(sys_llistxattr(path, list, len));
}

long kemu_sys_lgetxattr(const char *path, const char *name, void *value, unsigned long len)
{
	return done(sys_lgetxattr(path, name, value, len));
}

long kemu_sys_fchdir(int fd)
{
	return done(sys_fchdir(fd));
}

long kemu_sys_chdir(const char *path)
{
	return done(sys_chdir(path));
}

long kemu_sys_chroot(const char *path)
{
	return done(sys_chroot(path));
}

long kemu_sys_lseek(int fd, long at, int whence)
{
	return done(sys_lseek(fd, at, whence));
}

long kemu_sys_statfs(const char *path, void *buffer)
{
	return done(sys_statfs(path, buffer));
}

long kemu_sys_ioctl(int fd, unsigned int cmd, unsigned long arg)
{
	return done(sys_ioctl(fd, cmd, arg));
}
