// SPDX-License-Identifier: GPL-2.0-only
/* Small things that other parts of the kernel give to the files that are linked. */
#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/highuid.h>
#include <linux/jump_label.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/proc_ns.h>
#include <linux/swap.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>
#include "../block/blk-mq.h"
#include "../mm/internal.h"
#include "runtime.h"

bool static_key_initialized = true;
int overflowuid = DEFAULT_OVERFLOWUID, overflowgid = DEFAULT_OVERFLOWGID;
struct uts_namespace init_uts_ns;

int kobject_uevent(struct kobject *kobj, enum kobject_action action)
{
	return 0;
}

int kobject_uevent_env(struct kobject *kobj, enum kobject_action action, char *envp[])
{
	return 0;
}

int proc_alloc_inum(unsigned int *inum)
{
	static unsigned int next = 0xF0000000U;

	*inum = next++;
	return 0;
}

void proc_free_inum(unsigned int inum)
{
}

/* Nothing is mapped by a user. */
void unmap_mapping_pages(struct address_space *mapping, pgoff_t start, pgoff_t nr, bool even_cows)
{
	if (!RB_EMPTY_ROOT(&mapping->i_mmap.rb_root))
		kemu_trap("unemulated: unmap_mapping_pages() of a mapping that is mapped");
}

void unmap_mapping_range(struct address_space *mapping, loff_t const holebegin, loff_t const holelen, int even_cows)
{
	unmap_mapping_pages(mapping, 0, 0, even_cows);
}

void unmap_mapping_folio(struct folio *folio)
{
	unmap_mapping_pages(folio->mapping, 0, 0, false);
}

/* No module is loaded: as mm/vmalloc.c without MODULES_VADDR. */
int is_vmalloc_or_module_addr(const void *x)
{
	return is_vmalloc_addr(x);
}

/*
 * A clean folio that nobody else has leaves its mapping: mm/vmscan.c's __remove_mapping() of what is not reclaimed (no shadow) and in no
 * swap cache. The caller's reference becomes the only one.
 */
long remove_mapping(struct address_space *mapping, struct folio *folio)
{
	int refcount = 1 + folio_nr_pages(folio);
	void (*free_folio)(struct folio *);

	BUG_ON(!folio_test_locked(folio));
	BUG_ON(mapping != folio_mapping(folio));
	spin_lock(&mapping->host->i_lock);
	xa_lock_irq(&mapping->i_pages);
	if (!folio_ref_freeze(folio, refcount))
		goto cannot_free;
	if (unlikely(folio_test_dirty(folio))) {
		folio_ref_unfreeze(folio, refcount);
		goto cannot_free;
	}
	free_folio = mapping->a_ops->free_folio;
	__filemap_remove_folio(folio, NULL);
	xa_unlock_irq(&mapping->i_pages);
	if (mapping_shrinkable(mapping))
		inode_lru_list_add(mapping->host);
	spin_unlock(&mapping->host->i_lock);
	if (free_folio)
		free_folio(folio);
	folio_ref_unfreeze(folio, 1);
	return folio_nr_pages(folio);

cannot_free:
	xa_unlock_irq(&mapping->i_pages);
	spin_unlock(&mapping->host->i_lock);
	return 0;
}

/* What panic_show_mem() prints before it panics: as with no node and no zone, "Mem-Info:" alone. */
void __show_mem(unsigned int filter, nodemask_t *nodemask, int max_zone_idx)
{
	_printk("Mem-Info:\n");
}

/* ---- the device model: a device is its name ---- */

struct device *device_create(const struct class *class, struct device *parent, dev_t devt, void *drvdata, const char *fmt, ...)
{
	struct device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	va_list ap;
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	va_start(ap, fmt);
	err = kobject_set_name_vargs(&dev->kobj, fmt, ap);
	va_end(ap);
	if (err) {
		kfree(dev);
		return ERR_PTR(err);
	}
	dev->devt = devt;
	dev_set_drvdata(dev, drvdata);
	return dev;
}

void device_unregister(struct device *dev)
{
	kfree_const(dev->kobj.name);
	kfree(dev);
}

/* ---- requests: the disks take bios, so there are none ---- */

void blk_mq_flush_plug_list(struct blk_plug *plug, bool from_schedule)
{
	if (plug->rq_count)
		kemu_trap("unemulated: blk_mq_flush_plug_list() of %u requests", plug->rq_count);
}

/* ---- no page is locked in memory, and no user has one mapped ---- */

void mlock_drain_local(void)
{
}
