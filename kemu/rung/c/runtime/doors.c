// SPDX-License-Identifier: GPL-2.0-only
/* What else a mounted file system can be asked than a walk does: by user space, by NFS, by /proc/mounts, by memory pressure. */
#include <linux/exportfs.h>
#include <linux/fadvise.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/seq_file.h>
#include <linux/shrinker.h>
#include <linux/stat.h>
#include <linux/syscalls.h>
#include <linux/task_work.h>
#include "../mm/internal.h"
#include "runtime.h"

/* as name_to_handle_at() and open_by_handle_at(), and knfsd's reconnecting */
static void by_handle(struct dentry *dentry)
{
	struct super_block *sb = dentry->d_sb;
	const struct export_operations *ops = sb->s_export_op;
	struct dentry *d;
	__u32 fh[8];
	int with_parent, type, len;

	if (!ops || !ops->encode_fh)
		return;
	for (with_parent = 0; with_parent < 2; with_parent++) {
		len = 1;
		ops->encode_fh(d_inode(dentry), fh, &len, with_parent ? d_inode(dentry->d_parent) : NULL);
		len = ARRAY_SIZE(fh);
		type = ops->encode_fh(d_inode(dentry), fh, &len, with_parent ? d_inode(dentry->d_parent) : NULL);
		d = ops->fh_to_dentry(sb, (struct fid *)fh, len, type);
		if (!IS_ERR_OR_NULL(d))
			dput(d);
		d = ops->fh_to_parent(sb, (struct fid *)fh, len, type);
		if (!IS_ERR_OR_NULL(d))
			dput(d);
		d = ops->fh_to_dentry(sb, (struct fid *)fh, 1, 0);
		if (!IS_ERR_OR_NULL(d))
			dput(d);
	}
	if (d_is_dir(dentry)) {
		d = ops->get_parent(dentry);
		if (!IS_ERR_OR_NULL(d))
			dput(d);
	}
}

/* as show_vfsmnt() does for /proc/mounts */
static void options_shown(struct dentry *root)
{
	static char room[PAGE_SIZE];
	struct seq_file m = { .buf = room, .size = sizeof(room) };

	if (root->d_sb->s_op->show_options)
		root->d_sb->s_op->show_options(&m, root);
}

static void read_direct(const char *path)
{
	struct file *file = filp_open(path, O_RDONLY | O_DIRECT | O_LARGEFILE, 0);
	char *room = alloc_pages_exact(2 * PAGE_SIZE, GFP_KERNEL);
	loff_t pos;

	if (!IS_ERR(file) && room) {
		for (pos = 0; pos < 4 * PAGE_SIZE; )
			if (kernel_read(file, room, 2 * PAGE_SIZE, &pos) <= 0)
				break;
		pos = 1;
		kernel_read(file, room, 10, &pos);
	}
	if (room)
		free_pages_exact(room, 2 * PAGE_SIZE);
	if (!IS_ERR(file))
		fput(file);
}

/* One name of what is mounted; 0, or -errno if it cannot be looked up. */
int kemu_doors(const char *path)
{
	static char label[FSLABEL_MAX];
	struct kstat stat;
	struct file *file;
	struct path p;
	long fd;
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = kern_path(path, 0, &p);
	if (!err) {
		vfs_getattr(&p, &stat, STATX_BASIC_STATS | STATX_DIOALIGN, 0);
		by_handle(p.dentry);
		if (IS_ROOT(p.dentry))
			options_shown(p.dentry);
		if (d_is_reg(p.dentry))
			read_direct(path);
		fd = kemu_sys_open(path, O_RDONLY | O_LARGEFILE);
		if (fd >= 0) {
			kemu_sys_ioctl(fd, FS_IOC_GETFSLABEL, (unsigned long)label);
			kemu_sys_ioctl(fd, FS_IOC_GETVERSION, (unsigned long)label);
			if (d_is_reg(p.dentry))
				kemu_sys_ioctl(fd, FIBMAP, (unsigned long)label);
			kemu_sys_lseek(fd, 0, SEEK_END);
			file = fget(fd);
			if (file) {
				vfs_fadvise(file, 0, PAGE_SIZE, POSIX_FADV_WILLNEED);
				vfs_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
				fput(file);
			}
			kemu_sys_close(fd);
		}
		kemu_sys_llistxattr(path, NULL, 0);
		path_put(&p);
	}
	if (task_work_pending(current))
		task_work_run();
	tasks_settle();
	KEMU_LEAVE();
	return err;
}

/* Memory is short: every shrinker gives back what it can; how many objects they say that was. */
int kemu_shrink(void)
{
	unsigned long freed;

	KEMU_ENTER(KEMU_TRAP);
	freed = shrink_slab(GFP_KERNEL, 0, NULL, 1);	/* as much as there is, and no more */
	freed += shrink_slab(GFP_KERNEL, 0, NULL, 0);
	tasks_settle();
	KEMU_LEAVE();
	return min(freed, 1ul << 30);
}

long long kemu_write(int fd, const void *data, unsigned long long len)
{
	long long n;

	KEMU_ENTER(KEMU_TRAP);
	n = ksys_write(fd, data, len);
	if (task_work_pending(current))
		task_work_run();
	KEMU_LEAVE();
	return n;
}
