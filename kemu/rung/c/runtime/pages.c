// SPDX-License-Identifier: GPL-2.0-only
/* The page allocator: a flat memory map over an arena of the host's, which vmap() maps a second time. Free pages are poisoned. */
#include <linux/mm.h>
#include <linux/memblock.h>
#include <linux/mmzone.h>
#include <linux/pagemap.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/folio_batch.h>
#include <as-layout.h>
#include "runtime.h"

unsigned long uml_physmem, high_physmem;
struct page *mem_map;
unsigned long max_mapnr, task_size = 0x7ffffffff000ul;
struct pglist_data contig_page_data;
atomic_long_t vm_zone_stat[NR_VM_ZONE_STAT_ITEMS];
atomic_long_t vm_node_stat[NR_VM_NODE_STAT_ITEMS];
atomic_long_t _totalram_pages;
unsigned long totalreserve_pages;
unsigned long zero_page_pfn;

#define AHEAD	(16ul << 20)

static unsigned long count, next, fills, poisoned;
static struct page *free_first[MAX_PAGE_ORDER + 1];

/* What was never allocated is poisoned as well, but only when somebody comes near. */
static void poison_ahead(void)
{
	unsigned long n;

	while (poisoned < count && poisoned < next + (AHEAD >> PAGE_SHIFT)) {
		n = min(count - poisoned, AHEAD >> PAGE_SHIFT);
		kemu_poison((void *)uml_physmem + poisoned * PAGE_SIZE, n * PAGE_SIZE, SHADOW_PAGE);
		poisoned += n;
	}
}

void pages_start(unsigned long n, unsigned long flags)
{
	struct zone *zone = &contig_page_data.node_zones[ZONE_NORMAL];

	fills = flags;
	count = n;
	uml_physmem = (unsigned long)host_pages(n);
	high_physmem = uml_physmem + n * PAGE_SIZE;
	mem_map = host_reserve(n * sizeof(struct page));
	max_mapnr = n;
	next = 2;
	zero_page_pfn = 1;
	atomic_long_set(&_totalram_pages, n);
	lruvec_init(&contig_page_data.__lruvec);
	zone->zone_pgdat = &contig_page_data;
	contig_page_data.nr_zones = ZONE_NORMAL + 1;
	init_page_count(mem_map + 1);
	poison_ahead();
	kemu_unpoison((void *)uml_physmem + PAGE_SIZE, PAGE_SIZE);
}

/* What nobody has written yet: zeros, as with init_on_alloc, or a pattern that can be told from them. */
void kemu_fill(void *p, size_t n, gfp_t gfp)
{
	memset(p, fills & KEMU_FILL_PATTERN && !(gfp & __GFP_ZERO) ? (fills >> 8) & 0xff : 0, n);
}

static struct page *take(unsigned int order, gfp_t gfp)
{
	struct page *page;
	unsigned long i, n = 1ul << order;

	if (kemu_should_fail(gfp))
		return NULL;
	page = free_first[order];
	if (page) {
		free_first[order] = (struct page *)page->private;
	} else {
		unsigned long pfn = ALIGN(next, n);

		if (pfn + n > count)
			return NULL;
		next = pfn + n;
		poison_ahead();
		page = mem_map + pfn;
	}
	for (i = 0; i < n; i++) {
		memset(page + i, 0, sizeof(*page));
		set_page_zone(page + i, ZONE_NORMAL);
		atomic_set(&page[i]._mapcount, -1);
	}
	init_page_count(page);
	if (order && (gfp & __GFP_COMP))
		kemu_trap("a compound page of order %u: there are none here", order);
	kemu_unpoison(page_address(page), n * PAGE_SIZE);
	kemu_fill(page_address(page), n * PAGE_SIZE, gfp);
	kemu_stats.pages += n;
	kemu_stats.allocations++;
	if (kemu_stats.pages > kemu_stats.pages_peak)
		kemu_stats.pages_peak = kemu_stats.pages;
	return page;
}

static void give(struct page *page, unsigned int order)
{
	if (page_ref_count(page))
		kemu_trap("a page is freed that has %d references", page_ref_count(page));
	if (page->mapping && !PageAnon(page))
		kemu_trap("a page is freed that is in the page cache: BUG: Bad page state");
	if (PageLocked(page) || PageLRU(page))
		kemu_trap("a page is freed that is locked or on a list: BUG: Bad page state");
	page->private = (unsigned long)free_first[order];
	free_first[order] = page;
	kemu_stats.pages -= 1ul << order;
	kemu_poison(page_address(page), PAGE_SIZE << order, SHADOW_PAGE);
}

struct page *__alloc_pages_noprof(gfp_t gfp, unsigned int order, int preferred_nid, nodemask_t *nodemask)
{
	return take(order, gfp);
}

struct folio *__folio_alloc_noprof(gfp_t gfp, unsigned int order, int preferred_nid, nodemask_t *nodemask)
{
	struct page *page = take(order, gfp | __GFP_COMP);

	return page ? page_folio(page) : NULL;
}

unsigned long get_free_pages_noprof(gfp_t gfp_mask, unsigned int order)
{
	struct page *page = take(order, gfp_mask);

	return page ? (unsigned long)page_address(page) : 0;
}

unsigned long alloc_pages_bulk_noprof(gfp_t gfp, int preferred_nid, nodemask_t *nodemask, int nr_pages, struct page **page_array)
{
	int i;

	for (i = 0; i < nr_pages; i++) {
		if (!page_array[i])
			page_array[i] = take(0, gfp);
		if (!page_array[i])
			break;
	}
	return i;
}

void free_frozen_pages(struct page *page, unsigned int order)
{
	give(page, order);
}

void __free_pages(struct page *page, unsigned int order)
{
	if (put_page_testzero(page))
		give(page, order);
}

void free_pages(unsigned long addr, unsigned int order)
{
	if (addr)
		__free_pages(virt_to_page((void *)addr), order);
}

void *alloc_pages_exact_noprof(size_t size, gfp_t gfp_mask)
{
	struct page *page = take(get_order(size), gfp_mask);

	return page ? page_address(page) : NULL;
}

void free_pages_exact(void *virt, size_t size)
{
	__free_pages(virt_to_page(virt), get_order(size));
}

void free_unref_folios(struct folio_batch *folios)
{
	int i;

	for (i = 0; i < folios->nr; i++)
		give(&folios->folios[i]->page, folio_order(folios->folios[i]));
	folio_batch_reinit(folios);
}

void drain_local_pages(struct zone *zone)
{
}

/* ---- a second mapping: pages that lie in a row need none ---- */

static char *windows, *window;
#define WINDOWS	(1ul << 30)

static bool in_a_row(struct page **pages, unsigned int n)
{
	unsigned int i;

	for (i = 1; i < n; i++)
		if (pages[i] != pages[0] + i)
			return false;
	return true;
}

static void *map(struct page **pages, unsigned int n)
{
	unsigned long len = n * PAGE_SIZE;
	unsigned int i, run;
	char *va;

	if (in_a_row(pages, n))
		return page_address(pages[0]);
	if (!windows) {
		windows = window = host_hole(WINDOWS);
	}
	if (window + len + PAGE_SIZE > windows + WINDOWS)
		window = windows;
	va = window;
	window += len + PAGE_SIZE;
	for (i = 0; i < n; i += run) {
		run = 1;
		while (i + run < n && pages[i + run] == pages[i] + run)
			run++;
		if (!host_alias(va + i * PAGE_SIZE, page_to_pfn(pages[i]), run))
			return NULL;
	}
	kemu_unpoison(va, len);
	return va;
}

static void unmap(const void *p, unsigned long len)
{
	if ((char *)p >= windows && (char *)p < windows + WINDOWS) {
		host_unalias((void *)p, len);
		kemu_poison(p, len, SHADOW_HOLE);
	}
}

void *vmap(struct page **pages, unsigned int n, unsigned long flags, pgprot_t prot)
{
	return map(pages, n);
}

void vunmap(const void *addr)
{
	/* how long it is nobody says: erofs's global buffers are all that use it, and they stay */
}

void *vm_map_ram(struct page **pages, unsigned int n, int node)
{
	return map(pages, n);
}

void vm_unmap_ram(const void *mem, unsigned int n)
{
	unmap(mem, n * PAGE_SIZE);
}

void vm_unmap_aliases(void)
{
}

struct page *vmalloc_to_page(const void *vmalloc_addr)
{
	kemu_trap("vmalloc_to_page(%px)", vmalloc_addr);
}

/* What an address is that no object of slab is near. */
const char *region_of(const void *p)
{
	int i;

	for (i = 0; i < KEMU_DISKS; i++) {
		struct kemu_region *r = &kemu_regions[i];

		if (r->data && (char *)p >= r->data - 64 && (char *)p < r->data + r->len + PAGE_SIZE)
			return (char *)p < r->data ? ", before the image" : (char *)p < r->data + r->len ? ", inside the image" : ", behind the image";
	}
	if ((unsigned long)p >= uml_physmem && (unsigned long)p < high_physmem)
		return ", in the direct map";
	if (windows && (char *)p >= windows && (char *)p < windows + WINDOWS)
		return ", in the vmap area";
	return "";
}

int pages_live(void)
{
	return kemu_stats.pages;
}
