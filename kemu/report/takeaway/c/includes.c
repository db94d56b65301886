// SPDX-License-Identifier: GPL-2.0-only
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

#define T_CHUNK	(1 << 17)

/* Bytes of an image that are not zero */
struct t_run {
	u32 at, len;
};
