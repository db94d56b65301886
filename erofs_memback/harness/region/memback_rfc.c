// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/init_syscalls.h>
#include <uapi/linux/mount.h>
#include "internal.h"

long __ref kemu_backend_mount(const void *base, unsigned long size, const char *dir, const char *options)
{
	erofs_memback_set_pending((void *)base, size);
	return init_mount("none", dir, "erofs", MS_RDONLY, (void *)options);
}
