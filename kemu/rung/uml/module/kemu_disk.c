// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read-only disks over memory regions: kemu0, kemu1, ...
 *
 * As a loop device over a file would, a disk ends at the next multiple of 4096 bytes and reads zeros behind the data. Bios are
 * completed in the submitter's context; or, where schedules are chosen and that is asked for, later by a thread of their own with
 * softirqs off, as by a device.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/slab.h>
#include "kemu.h"

static struct {
	struct gendisk *disk;
	struct kemu_region *region;
} kemu_disks[KEMU_DISKS];

#ifdef CONFIG_KEMU_SCHED
#include "kemu_sched.h"

#define KEMU_LATENCY	10		/* milliseconds */

u32 kemu_disk_late;			/* KEMU_LATE... */
static struct bio_list kemu_bios;
static DEFINE_SPINLOCK(kemu_bios_lock);
static struct task_struct *kemu_disk_thread;

static bool kemu_has_bios(void)
{
	guard(spinlock)(&kemu_bios_lock);
	return !bio_list_empty(&kemu_bios);
}

static struct bio *kemu_take(void)
{
	struct bio *bio, *before = NULL;

	guard(spinlock)(&kemu_bios_lock);
	bio = bio_list_pop(&kemu_bios);
	if (!bio || !(kemu_disk_late & KEMU_LATE_NEWEST))
		return bio;
	bio_list_add_head(&kemu_bios, bio);
	bio = kemu_bios.tail;
	bio_list_for_each(before, &kemu_bios)
		if (before->bi_next == bio)
			break;
	if (before)
		before->bi_next = NULL;
	kemu_bios.tail = before;
	if (!before)
		kemu_bios.head = NULL;
	return bio;
}

static int kemu_disk_work(void *unused)
{
	for (;;) {
		struct bio *bio;

		set_current_state(TASK_IDLE);
		if (!kemu_has_bios()) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		if (kemu_disk_late & KEMU_LATE_SLOW)
			msleep(KEMU_LATENCY);
		bio = kemu_take();
		if (kemu_disk_late & KEMU_LATE_RCU) {
			guard(rcu)();
			bio_endio(bio);
		} else {
			local_bh_disable();
			bio_endio(bio);
			local_bh_enable();
		}
	}
	return 0;
}

static void kemu_end(struct bio *bio)
{
	if (!kemu_disk_late || !kemu_disk_thread) {
		bio_endio(bio);
		return;
	}
	spin_lock(&kemu_bios_lock);
	bio_list_add(&kemu_bios, bio);
	spin_unlock(&kemu_bios_lock);
	wake_up_process(kemu_disk_thread);
}

static int __init kemu_disk_thread_init(void)
{
	kemu_disk_thread = kthread_run(kemu_disk_work, NULL, "device");
	if (IS_ERR(kemu_disk_thread))
		kemu_disk_thread = NULL;
	return 0;
}
late_initcall(kemu_disk_thread_init);
#else
#define kemu_end(bio) bio_endio(bio)
#endif

static void kemu_submit_bio(struct bio *bio)
{
	unsigned int slot = (unsigned long)bio->bi_bdev->bd_disk->private_data;
	struct kemu_region *r = READ_ONCE(kemu_disks[slot].region);
	loff_t pos = (loff_t)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec bv;

	if (!r || bio_op(bio) != REQ_OP_READ) {
		bio_io_error(bio);
		return;
	}

	bio_for_each_segment(bv, bio, iter) {
		void *dst = bvec_kmap_local(&bv);
		size_t have = 0;

		if (pos < r->len)
			have = min_t(size_t, bv.bv_len, r->len - pos);
		memcpy(dst, r->data + pos, have);
		memset(dst + have, 0, bv.bv_len - have);
		flush_dcache_page(bv.bv_page);
		kunmap_local(dst);
		pos += bv.bv_len;
	}
	kemu_end(bio);
}

static const struct block_device_operations kemu_fops = {
	.owner = THIS_MODULE,
	.submit_bio = kemu_submit_bio,
};

int kemu_disk_attach(unsigned int slot, struct kemu_region *r)
{
	if (slot >= KEMU_DISKS || !kemu_disks[slot].disk)
		return -ENXIO;
	WRITE_ONCE(kemu_disks[slot].region, r);
	set_capacity(kemu_disks[slot].disk, round_up(r->len, 4096) >> SECTOR_SHIFT);
	return 0;
}

void kemu_disk_detach(unsigned int slot)
{
	if (slot >= KEMU_DISKS || !kemu_disks[slot].disk)
		return;
	set_capacity(kemu_disks[slot].disk, 0);
	WRITE_ONCE(kemu_disks[slot].region, NULL);
}

static int __init kemu_disk_init(void)
{
	unsigned long slot;

	for (slot = 0; slot < KEMU_DISKS; slot++) {
		struct queue_limits lim = {
			.logical_block_size = SECTOR_SIZE,
			.features = BLK_FEAT_SYNCHRONOUS | BLK_FEAT_NOWAIT,
		};
		struct gendisk *disk = blk_alloc_disk(&lim, NUMA_NO_NODE);
		int err;

		if (IS_ERR(disk))
			return PTR_ERR(disk);
		disk->major = KEMU_MAJOR;
		disk->first_minor = 16 + slot;
		disk->minors = 1;
		disk->flags = GENHD_FL_NO_PART;
		disk->fops = &kemu_fops;
		disk->private_data = (void *)slot;
		snprintf(disk->disk_name, DISK_NAME_LEN, "kemu%lu", slot);
		set_disk_ro(disk, true);
		err = add_disk(disk);
		if (err) {
			put_disk(disk);
			return err;
		}
		kemu_disks[slot].disk = disk;
	}
	return 0;
}
device_initcall(kemu_disk_init);
