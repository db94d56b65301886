/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For a walk inside a kernel, whose files are included after this: the names of libc that they use are bound to the kernel's own system
 * calls (kemu_calls.h).
 */
#ifndef _BOUND_H
#define _BOUND_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kemu_calls.h"

#ifdef BOUND_ERRNO			/* libc's is not for this kernel to change */
#undef errno
#define errno BOUND_ERRNO
static int BOUND_ERRNO;
#endif

static long said(long r)
{
	if (r >= -4095 && r < 0) {
		errno = -r;
		return -1;
	}
	return r;
}

static int k_lstat(const char *path, struct stat *st)
{
	struct statx x;

	if (said(kemu_sys_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x)))
		return -1;
	memset(st, 0, sizeof(*st));
	st->st_mode = x.stx_mode;
	st->st_uid = x.stx_uid;
	st->st_gid = x.stx_gid;
	st->st_nlink = x.stx_nlink;
	st->st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor);
	st->st_dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	st->st_mtim.tv_sec = x.stx_mtime.tv_sec;
	st->st_mtim.tv_nsec = x.stx_mtime.tv_nsec;
	st->st_size = x.stx_size;
	return 0;
}

#define open(path, flags)		said(kemu_sys_open(path, flags))
#define close(fd)			said(kemu_sys_close(fd))
#define read(fd, p, n)			said(kemu_sys_read(fd, p, n))
#define syscall(nr, fd, p, n)		said(kemu_sys_getdents(fd, p, n))
#define lstat(path, st)			k_lstat(path, st)
#define readlink(path, p, n)		said(kemu_sys_readlink(path, p, n))
#define llistxattr(path, p, n)		said(kemu_sys_llistxattr(path, p, n))
#define lgetxattr(path, name, p, n)	said(kemu_sys_lgetxattr(path, name, p, n))
#define fchdir(fd)			said(kemu_sys_fchdir(fd))
#define lseek(fd, at, whence)		said(kemu_sys_lseek(fd, at, whence))
#define statx(fd, path, flags, mask, p)	said(kemu_sys_statx(fd, path, flags, mask, p))
#define statfs(path, p)			said(kemu_sys_statfs(path, p))
#define ioctl(fd, cmd, arg)		said(kemu_sys_ioctl(fd, cmd, (unsigned long)(arg)))
#define map_file(fd, len)		said(kemu_sys_map(fd, len))
#define map_copy(map, at, to, n)	kemu_map_copy((void *)(map), at, to, n)
#define map_end(map, len)		kemu_map_end((void *)(map))

#endif
