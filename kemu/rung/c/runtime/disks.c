// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of memory, and read-only disks over them: kemu0, kemu1, ... As a loop device over a file would, a disk ends at the next
 * multiple of 4096 bytes and reads zeros behind the data. Bios are completed in the submitter's context. The block device, its page
 * cache and the bios are the kernel's; add_disk() and the device model are not here.
 */
#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/bio.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/init_syscalls.h>
#include <linux/kobject.h>
#include <linux/percpu-refcount.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include "../block/blk.h"
#include "runtime.h"

#define MAJOR_OF_DISKS	240

struct kemu_region kemu_regions[KEMU_DISKS];

/* A page of an image that a back end has been given the memory of is not its to free. */
void regions_keep(const void *page, unsigned long bytes)
{
	struct kemu_region *r;

	for (r = kemu_regions; r < kemu_regions + KEMU_DISKS; r++)
		if (r->lent && (char *)page < r->data + r->len && (char *)page + bytes > (char *)r->block)
			kemu_trap("BUG: a page of the region is freed that the image lies in");
}

static struct {
	struct gendisk disk;
	struct request_queue queue;
} disks[KEMU_DISKS];

/* ---- completions that come later: each is a work item, so who is done first is a choice ---- */

#define LATE	64

static struct late {
	struct work_struct work;
	struct bio *bio;
} late[LATE];
static struct workqueue_struct *late_ones;
static bool delayed;

static void carry_out(struct bio *bio);

static void late_work(struct work_struct *work)
{
	struct late *l = container_of(work, struct late, work);
	struct bio *bio = l->bio;

	l->bio = NULL;
	carry_out(bio);
}

static void kemu_submit_bio(struct bio *bio)
{
	struct late *l;

	for (l = late; delayed && l < late + LATE; l++)
		if (!l->bio) {
			l->bio = bio;
			queue_work_on(0, late_ones, &l->work);
			return;
		}
	carry_out(bio);
}

/* From now on bios end when somebody sleeps, or at once again. */
void kemu_delay(int on)
{
	delayed = on;
}

static void carry_out(struct bio *bio)
{
	struct kemu_region *r = bio->bi_bdev->bd_disk->private_data;
	loff_t pos = (loff_t)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec bv;

	kemu_stats.bios++;
	if (!r->data || bio_op(bio) != REQ_OP_READ || kemu_should_fail(0)) {
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
		kunmap_local(dst);
		pos += bv.bv_len;
		kemu_stats.bio_bytes += bv.bv_len;
	}
	bio_endio(bio);
}

static const struct block_device_operations kemu_fops = {
	.owner = THIS_MODULE,
	.submit_bio = kemu_submit_bio,
};

static const struct kobj_type disk_ktype = { };

static void no_release(struct percpu_ref *ref)
{
}

static void make_disk(unsigned int slot)
{
	struct gendisk *disk = &disks[slot].disk;
	struct request_queue *q = &disks[slot].queue;

	q->limits.logical_block_size = SECTOR_SIZE;
	q->limits.physical_block_size = SECTOR_SIZE;
	q->limits.io_min = SECTOR_SIZE;
	q->limits.max_hw_sectors = q->limits.max_sectors = 2560;	/* drivers/block/loop.c's */
	q->limits.max_segments = USHRT_MAX;
	q->limits.max_segment_size = UINT_MAX;
	q->limits.seg_boundary_mask = BLK_SEG_BOUNDARY_MASK;
	q->limits.dma_alignment = SECTOR_SIZE - 1;
	q->limits.features = BLK_FEAT_SYNCHRONOUS | BLK_FEAT_NOWAIT;
	q->disk = disk;
	if (percpu_ref_init(&q->q_usage_counter, no_release, PERCPU_REF_INIT_ATOMIC, GFP_KERNEL))
		kemu_trap("kemu%u: percpu_ref_init", slot);
	disk->queue = q;
	disk->major = MAJOR_OF_DISKS;
	disk->first_minor = 16 + slot;
	disk->minors = 1;
	disk->flags = GENHD_FL_NO_PART;
	disk->fops = &kemu_fops;
	disk->private_data = &kemu_regions[slot];
	disk->bdi = bdi_alloc(NUMA_NO_NODE);
	if (!disk->bdi)
		kemu_trap("kemu%u: bdi_alloc", slot);
	disk->bdi->io_pages = q->limits.max_sectors >> PAGE_SECTORS_SHIFT;	/* blk_apply_bdi_limits() */
	snprintf(disk->disk_name, DISK_NAME_LEN, "kemu%u", slot);
	mutex_init(&disk->open_mutex);
	xa_init(&disk->part_tbl);
	disk->part0 = bdev_alloc(disk, 0);
	if (!disk->part0)
		kemu_trap("kemu%u: bdev_alloc", slot);
	bdev_set_flag(disk->part0, BD_HAS_SUBMIT_BIO);
	bdev_set_flag(disk->part0, BD_READ_ONLY);
	kobject_init(&disk->part0->bd_device.kobj, &disk_ktype);
	kobject_set_name(&disk->part0->bd_device.kobj, "%s", disk->disk_name);
	disk->part0->bd_device.init_name = NULL;
	bdev_add(disk->part0, MKDEV(disk->major, disk->first_minor));
}

void disks_start(void)
{
	unsigned int slot, i;
	char name[32];

	late_ones = alloc_workqueue("late", 0, LATE);
	if (!late_ones)
		kemu_trap("a queue of late bios: no memory");
	for (i = 0; i < LATE; i++)
		INIT_WORK(&late[i].work, late_work);
	for (slot = 0; slot < KEMU_DISKS; slot++) {
		make_disk(slot);
		snprintf(name, sizeof(name), "/dev/kemu%u", slot);
		if (init_mknod(name, S_IFBLK | 0600, new_encode_dev(MKDEV(MAJOR_OF_DISKS, 16 + slot))))
			kemu_trap("%s: mknod", name);
	}
}

/*
 * Linear memory: pages behind which there is nothing, as at the end of RAM. Those of a small image stay with its slot, for the next one of
 * as many pages: as pages that are free, only that the host need not be asked to forbid the one behind them again.
 */
#define STAYS		(64ul << PAGE_SHIFT)

static struct {
	void *block;
	unsigned long bytes;
} spares[KEMU_DISKS];

static unsigned long pages_of(unsigned long bytes)
{
	return 1ul << get_order(PAGE_ALIGN(bytes) + PAGE_SIZE);
}

static void keep_spare(unsigned int slot, void *block, unsigned long bytes)
{
	spares[slot].block = block;
	spares[slot].bytes = PAGE_ALIGN(bytes);
	kemu_stats.pages -= pages_of(bytes);
	kemu_poison(block, PAGE_ALIGN(bytes), SHADOW_PAGE);
}

/* The slot's, if it is of that size: with what was in it before. */
static void *take_spare(unsigned int slot, unsigned long bytes)
{
	void *block = spares[slot].block;

	if (!block)
		return NULL;
	spares[slot].block = NULL;
	kemu_stats.pages += pages_of(spares[slot].bytes);
	if (spares[slot].bytes == PAGE_ALIGN(bytes)) {
		kemu_unpoison(block, PAGE_ALIGN(bytes));
		kemu_stats.allocations++;
		return block;
	}
	host_permit(block + spares[slot].bytes, PAGE_SIZE);
	free_pages_exact(block, spares[slot].bytes + PAGE_SIZE);
	return NULL;
}

static void *pages_alone(unsigned int slot, unsigned long at, unsigned long len)
{
	unsigned long bytes = at + len;
	void *block = take_spare(slot, bytes);

	if (block) {
		kemu_fill(block, at, GFP_KERNEL);
		kemu_fill(block + bytes, PAGE_ALIGN(bytes) - bytes, GFP_KERNEL);
		return block;
	}
	block = alloc_pages_exact(PAGE_ALIGN(bytes) + PAGE_SIZE, GFP_KERNEL | __GFP_NOFAIL);
	if (block)
		host_forbid(block + PAGE_ALIGN(bytes), PAGE_SIZE);
	return block;
}

/* What is left of them: the kernel gives an initrd's whole pages back. */
static void free_pages_alone(struct kemu_region *r)
{
	unsigned long bytes = r->data - (char *)r->block + r->len;
	struct page *page = virt_to_page(r->block), *end = page + pages_of(bytes);

	if (!r->freed && bytes <= STAYS) {
		keep_spare(r - kemu_regions, r->block, bytes);
		return;
	}
	host_permit(r->block + PAGE_ALIGN(bytes), PAGE_SIZE);
	if (!r->freed) {
		free_pages_exact(r->block, PAGE_ALIGN(bytes) + PAGE_SIZE);
		return;
	}
	for (; page < end; page++) {
		if (page >= r->first_freed && page < r->first_freed + r->freed)
			continue;
		init_page_count(page);
		__free_page(page);
	}
}

/* mm/page_alloc.c's, of what was placed: each page at most once, one after the other, as free_reserved_area() goes. */
void free_reserved_page(struct page *page)
{
	struct kemu_region *r;
	struct page *first;

	for (r = kemu_regions; r < kemu_regions + KEMU_DISKS; r++) {
		if (!r->block || r->memory != KEMU_PLACE_LINEAR)
			continue;
		first = virt_to_page(r->block);
		if (page < first || page >= virt_to_page(r->data + r->len - !!r->len) + 1)
			continue;
		if (!r->freed)
			r->first_freed = page;
		else if (page != r->first_freed + r->freed)
			kemu_trap("free_reserved_page: page %lu of an initrd is freed twice, or out of turn", (unsigned long)(page - first));
		r->freed++;
		init_page_count(page);
		__free_page(page);
		return;
	}
	kemu_trap("free_reserved_page: nobody has reserved it");
}

/* The region ends with the data: under the sanitizer the next byte is poisoned. */
static int place(unsigned int slot, const void *data, u64 len, u32 memory, u32 at)
{
	struct kemu_region *r = &kemu_regions[slot];

	if (r->block || at >= PAGE_SIZE)
		return -EINVAL;
	if (memory == KEMU_PLACE_LINEAR && at + len < PAGE_SIZE << MAX_PAGE_ORDER && len)
		r->block = pages_alone(slot, at, len);
	else if (memory == KEMU_PLACE_VMALLOC && at + len <= PAGE_SIZE << MAX_PAGE_ORDER && len)
		r->block = window_alloc(at + len);
	else
		memory = KEMU_PLACE_SLAB;
	if (memory == KEMU_PLACE_SLAB)
		r->block = vmalloc(at + len + !len);
	if (!r->block)
		return -ENOMEM;
	r->memory = memory;
	r->data = r->block + at;
	r->len = len;
	memcpy(r->data, data, len);
	if (r->memory == KEMU_PLACE_LINEAR)
		kemu_poison(r->data + len, PAGE_ALIGN((unsigned long)r->data + len) - (unsigned long)(r->data + len), SHADOW_REDZONE);
	set_capacity(&disks[slot].disk, round_up(len, 4096) >> SECTOR_SHIFT);
	return 0;
}

int kemu_place(unsigned int slot, const void *data, unsigned long long len, unsigned int memory, unsigned int at)
{
	int err;

	if (slot >= KEMU_DISKS)
		return -ENXIO;
	KEMU_ENTER(KEMU_TRAP);
	err = place(slot, data, len, memory, at);
	KEMU_LEAVE();
	return err;
}

int kemu_drop(unsigned int slot, unsigned int backend)
{
	struct kemu_region *r;
	char name[32];
	int err = 0;

	if (slot >= KEMU_DISKS)
		return -ENXIO;
	KEMU_ENTER(KEMU_TRAP);
	if (backend == KEMU_BACKEND_FILE) {
		snprintf(name, sizeof(name), "/files/%u", slot);
		err = init_unlink(name);
	} else {
		r = &kemu_regions[slot];
		r->lent = false;
		set_capacity(&disks[slot].disk, 0);
		invalidate_bdev(disks[slot].disk.part0);
		if (r->memory == KEMU_PLACE_LINEAR && r->block)
			free_pages_alone(r);
		else if (r->memory == KEMU_PLACE_VMALLOC)
			window_free(r->block);
		else
			vfree(r->block);
		memset(r, 0, sizeof(*r));
	}
	KEMU_LEAVE();
	return err;
}

/* ---- what the device model is asked ---- */

void set_capacity(struct gendisk *disk, sector_t sectors)
{
	bdev_set_nr_sectors(disk->part0, sectors);
}

void disk_block_events(struct gendisk *disk)
{
}

void disk_unblock_events(struct gendisk *disk)
{
}

void disk_flush_events(struct gendisk *disk, unsigned int mask)
{
}

struct device *get_device(struct device *dev)
{
	return dev;
}

void put_device(struct device *dev)
{
}
