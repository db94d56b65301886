// SPDX-License-Identifier: GPL-2.0-only
/* Into the middle of EROFS: where a byte of a file is. */
#include <linux/namei.h>
#include "../fs/erofs/internal.h"
#include "runtime.h"

int kemu_erofs_open(const char *path, void **inode)
{
	struct path p;
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = kern_path(path, 0, &p);
	if (!err) {
		*inode = d_inode(p.dentry);
		if (p.dentry->d_sb->s_magic != EROFS_SUPER_MAGIC_V1)
			err = -EINVAL;
		path_put(&p);		/* the dentry keeps it until the file system is unmounted */
	}
	KEMU_LEAVE();
	return err;
}

unsigned long long kemu_erofs_size(void *inode)
{
	return i_size_read(inode);
}

static int map(struct inode *inode, u64 la, int flags, struct kemu_map *out)
{
	struct erofs_map_blocks map = { .m_la = la };
	int err;

	if (erofs_inode_is_data_compressed(EROFS_I(inode)->datalayout))
		err = z_erofs_map_blocks_iter(inode, &map, flags);
	else
		err = erofs_map_blocks(inode, &map);
	erofs_put_metabuf(&map.buf);
	out->la = map.m_la;
	out->pa = map.m_pa;
	out->llen = map.m_llen;
	out->plen = map.m_plen;
	out->flags = map.m_flags;
	out->deviceid = map.m_deviceid;
	out->algorithm = map.m_algorithmformat;
	out->error = err;
	return err;
}

/* Many at once: the answer for each of @n offsets. */
int kemu_erofs_maps(void *inode, const unsigned long long *la, unsigned int n, int flags, struct kemu_map *out)
{
	unsigned int i;

	KEMU_ENTER(KEMU_TRAP);
	for (i = 0; i < n; i++)
		map(inode, la[i], flags, out + i);
	KEMU_LEAVE();
	return 0;
}

int kemu_erofs_map(void *inode, unsigned long long la, int flags, struct kemu_map *out)
{
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = map(inode, la, flags, out);
	KEMU_LEAVE();
	return err;
}
