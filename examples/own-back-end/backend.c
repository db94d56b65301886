// SPDX-License-Identifier: GPL-2.0-only
/* How the erofs-memback series mounts: a region object is given to the fs_context, and what comes of it is mounted on a path. */
#include <linux/fs_context.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include "../internal.h"
#include "internal.h"

static struct vfsmount *mounted(struct fs_context *fc, struct erofs_memback_region *region, const char *options)
{
	int err = vfs_parse_fs_string(fc, "source", "region") ?: parse_monolithic_mount_data(fc, (void *)options) ?:
		  erofs_fc_set_memback(fc, region);

	return err ? ERR_PTR(err) : fc_mount(fc);
}

long kemu_backend_mount(const void *base, unsigned long size, const char *dir, const char *options)
{
	struct erofs_memback_region *region = erofs_memback_region_alloc((void *)base, size, NULL, NULL);
	struct file_system_type *type;
	struct fs_context *fc;
	struct path path;
	int err;

	if (!region)
		return -ENOMEM;
	err = kern_path(dir, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
	if (err)
		goto out_region;
	type = get_fs_type("erofs");
	fc = fs_context_for_mount(type, SB_RDONLY);
	put_filesystem(type);
	err = PTR_ERR_OR_ZERO(fc);
	if (!err) {
		err = finish_automount(mounted(fc, region, options), &path);
		put_fs_context(fc);
	}
	path_put(&path);
out_region:
	erofs_memback_region_put(region);
	return err;
}
