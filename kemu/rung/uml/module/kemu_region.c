// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory regions: where an image is placed, as firmware and a boot loader would, and what the disks are made of.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <os.h>
#include "kemu.h"

static struct kemu_region *kemu_regions[KEMU_DISKS];

/*
 * Behind a linear region the host takes a page away, as at the end of RAM, where UML puts its initrd: who reads on into it oopses.
 * (A fault on vmalloc's own guard page is retried for ever by UML: a hang.)
 */
static void *kemu_guard(struct kemu_region *r)
{
	return r->base + PAGE_ALIGN(r->size);
}

static void kemu_region_free(struct kemu_region *r)
{
	if (!r)
		return;
	switch (r->memory) {
	case KEMU_LINEAR:
		os_protect_memory(kemu_guard(r), PAGE_SIZE, 1, 1, 1);
		free_pages_exact(r->base, PAGE_ALIGN(r->size) + PAGE_SIZE);
		break;
	case KEMU_VMALLOC:
		vfree(r->base);
		break;
	case KEMU_SLAB:
		kfree(r->base);
		break;
	}
	kfree(r);
}

static struct kemu_region *kemu_region_alloc(unsigned int memory, u64 at, u64 len)
{
	struct kemu_region *r;

	if (at >= PAGE_SIZE || len > SZ_1G)
		return ERR_PTR(-EINVAL);
	r = kzalloc_obj(*r);
	if (!r)
		return ERR_PTR(-ENOMEM);
	r->memory = memory;
	r->size = max_t(u64, at + len, 1);
	r->len = len;
	switch (memory) {
	case KEMU_LINEAR:
		r->base = alloc_pages_exact(PAGE_ALIGN(r->size) + PAGE_SIZE, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
		if (r->base)
			os_protect_memory(kemu_guard(r), PAGE_SIZE, 0, 0, 0);
		break;
	case KEMU_VMALLOC:
		r->base = vzalloc(r->size);
		break;
	case KEMU_SLAB:
		r->base = kzalloc(r->size, GFP_KERNEL | __GFP_NOWARN);
		break;
	default:
		kfree(r);
		return ERR_PTR(-EINVAL);
	}
	if (!r->base) {
		kfree(r);
		return ERR_PTR(-ENOMEM);
	}
	r->data = r->base + at;
	return r;
}

void kemu_drop(unsigned int slot)
{
	kemu_disk_detach(slot);
	kemu_region_free(kemu_regions[slot]);
	kemu_regions[slot] = NULL;
}

struct kemu_region *kemu_region(unsigned int slot)
{
	return slot < KEMU_DISKS ? kemu_regions[slot] : NULL;
}

static int kemu_fill(struct kemu_region *r, const struct kemu_place *p)
{
	const void *from;

	if (p->shared == KEMU_CHANNEL)
		return kemu_host_read(r->data, p->len);
	from = kemu_shared(p->shared, p->len);
	if (!from)
		return -EFAULT;
	memcpy(r->data, from, p->len);
	return 0;
}

/* The data is taken from the channel even if there is no memory for it: otherwise the next request would be read out of it. */
long kemu_place(struct kemu_place *p)
{
	struct kemu_region *r;
	int err;

	if (p->slot >= KEMU_DISKS)
		return -EINVAL;
	kemu_drop(p->slot);
	r = kemu_region_alloc(p->memory, p->at, p->len);
	if (IS_ERR(r)) {
		err = p->shared == KEMU_CHANNEL ? kemu_host_discard(p->len) : 0;
		return err ?: PTR_ERR(r);
	}
	err = kemu_fill(r, p);
	if (!err)
		err = kemu_disk_attach(p->slot, r);
	if (err) {
		kemu_region_free(r);
		return err;
	}
	kemu_regions[p->slot] = r;
	p->address = (unsigned long)r->data;
	return 0;
}

/* What a series' own back end defines, if one is built in. */
long kemu_backend_mount(const void *base, unsigned long size, const char *dir, const char *options) __weak;

/* @options are a page: those who take them may write to its last byte. */
long kemu_mount_region(unsigned int slot, const char *dir, const char *options)
{
	struct kemu_region *r = kemu_region(slot);
	char *page;
	long err;

	if (!kemu_backend_mount)
		return -ENOTTY;
	if (!r)
		return -EINVAL;
	page = (char *)get_zeroed_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	strscpy(page, options, PAGE_SIZE);
	err = kemu_backend_mount(r->data, r->len, dir, page);
	free_page((unsigned long)page);
	return err;
}

void kemu_unpack_region(struct kemu_unpack *u)
{
	struct kemu_region *r = kemu_regions[u->slot];
	char *message = kemu_unpack_to_rootfs(r->data, r->len);

	u->failed = !!message;
	memset(u->message, 0, sizeof(u->message));
	if (message)
		strscpy(u->message, message);
}
