// SPDX-License-Identifier: GPL-2.0-only
/*
 * A backing file with asynchronous direct reads: a worker ends them, and who submits one looks at the request after that, as ext4's reads
 * do. The file systems of this configuration have none that EROFS is mounted on.
 */
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/workqueue.h>
#include "kemu_sched.h"

struct kemu_late {
	struct work_struct work;
	struct kiocb *iocb;
	struct iov_iter to;
};

static const struct file_operations *kemu_late_of;	/* what the file's operations were */
static struct file_operations kemu_late_fops;

static void kemu_late_work(struct work_struct *work)
{
	struct kemu_late *late = container_of(work, struct kemu_late, work);
	struct kiocb *iocb = late->iocb, sync;
	ssize_t n;

	init_sync_kiocb(&sync, iocb->ki_filp);
	sync.ki_pos = iocb->ki_pos;
	n = kemu_late_of->read_iter(&sync, &late->to);
	kfree(late);
	iocb->ki_complete(iocb, n);
}

static ssize_t kemu_late_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct kemu_late *late;

	if (is_sync_kiocb(iocb) || !(iocb->ki_flags & IOCB_DIRECT)) {
		iocb->ki_flags &= ~IOCB_DIRECT;
		return kemu_late_of->read_iter(iocb, to);
	}
	late = kzalloc_obj(*late, GFP_KERNEL | __GFP_NOFAIL);
	late->iocb = iocb;
	late->to = *to;
	INIT_WORK(&late->work, kemu_late_work);
	queue_work(system_percpu_wq, &late->work);
	file_accessed(iocb->ki_filp);
	return -EIOCBQUEUED;
}

static int kemu_late_open(struct inode *inode, struct file *file)
{
	int err = kemu_late_of->open ? kemu_late_of->open(inode, file) : 0;

	file->f_mode |= FMODE_CAN_ODIRECT;
	return err;
}

/* From now on the file is one of these. */
long kemu_late_file(const char *name)
{
	struct path path;
	struct inode *inode;
	long err = kern_path(name, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	inode = d_inode(path.dentry);
	if (!S_ISREG(inode->i_mode)) {
		err = -EINVAL;
	} else if (inode->i_fop != &kemu_late_fops) {
		kemu_late_of = inode->i_fop;
		kemu_late_fops = *kemu_late_of;
		kemu_late_fops.open = kemu_late_open;
		kemu_late_fops.read_iter = kemu_late_read_iter;
		inode->i_fop = &kemu_late_fops;
	}
	path_put(&path);
	return err;
}
