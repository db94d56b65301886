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
atomic_long_t vm_zone_stat[NR_VM_ZONE_STAT_ITEMS];
atomic_long_t vm_node_stat[NR_VM_NODE_STAT_ITEMS];
atomic_long_t _totalram_pages;
unsigned long totalreserve_pages;
unsigned long zero_page_pfn;
struct page *__zero_page;

#define AHEAD	(16ul << 20)

static unsigned long count, next, fills, poisoned;
static struct list_head free_list[MAX_PAGE_ORDER + 1];

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
	int i;

	fills = flags;
	count = n;
	uml_physmem = (unsigned long)host_pages(n);
	high_physmem = uml_physmem + n * PAGE_SIZE;
	mem_map = host_reserve(n * sizeof(struct page));
	max_mapnr = n;
	next = 1ul << MAX_PAGE_ORDER;	/* the first block is nobody's; its second page is the one of zeros */
	zero_page_pfn = 1;
	__zero_page = mem_map + 1;
	for (i = 0; i <= MAX_PAGE_ORDER; i++)
		INIT_LIST_HEAD(&free_list[i]);
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

/* ---- buddies: a free block is on the list of its order, its first page marked and knowing the order ---- */

static void put_free(unsigned long pfn, unsigned int order)
{
	struct page *page = mem_map + pfn;

	while (order < MAX_PAGE_ORDER) {
		unsigned long other = pfn ^ (1ul << order);
		struct page *buddy = mem_map + other;

		if (other + (1ul << order) > next || !PageBuddy(buddy) || buddy->private != order)
			break;
		list_del(&buddy->buddy_list);
		__ClearPageBuddy(buddy);
		pfn &= ~(1ul << order);
		page = mem_map + pfn;
		order++;
	}
	__SetPageBuddy(page);
	page->private = order;
	list_add(&page->buddy_list, &free_list[order]);
}

static struct page *get_free(unsigned int order)
{
	unsigned int have = order;
	struct page *page;

	while (have <= MAX_PAGE_ORDER && list_empty(&free_list[have]))
		have++;
	if (have > MAX_PAGE_ORDER) {
		if (next + (1ul << MAX_PAGE_ORDER) > count)
			return NULL;
		have = MAX_PAGE_ORDER;
		page = mem_map + next;
		next += 1ul << MAX_PAGE_ORDER;
		poison_ahead();
	} else {
		page = list_first_entry(&free_list[have], struct page, buddy_list);
		list_del(&page->buddy_list);
		__ClearPageBuddy(page);
	}
	while (have > order) {
		have--;
		atomic_set(&page[1ul << have]._mapcount, -1);
		put_free(page_to_pfn(page) + (1ul << have), have);
	}
	return page;
}

/*
 * Single pages come one after the other out of a larger block: those of files (as of MIGRATE_MOVABLE) out of one, those of block devices,
 * which stay longer, out of another, the rest out of a third. What a file is read into mostly lies in a row then, as in Linux. Pages of
 * files that nobody would wait for are asked for from the last to the first (z_erofs_pcluster_readmore()): they have a block of their
 * own, which is given from its end. What is freed at the end of a row is the next that is given.
 */
#define RUN_ORDER	9
#define RUN		(1ul << RUN_ORDER)

enum { OF_FILES, OF_FILES_DOWN, OF_DEVICES, OF_ALL, RUNS };

static struct run {
	unsigned long start, next;
	DECLARE_BITMAP(freed, RUN);	/* of those before @next */
} runs[RUNS];

/* The n-th page of a run, or of a page, which it is. */
static unsigned long in_run(struct run *run, unsigned long n)
{
	return run == &runs[OF_FILES_DOWN] ? RUN - 1 - n : n;
}

static void end_run(struct run *run)
{
	unsigned long i;

	if (!run->start)
		return;
	for (i = 0; i < RUN; i++)
		if (i >= run->next || test_bit(i, run->freed))
			put_free(run->start + in_run(run, i), 0);
	memset(run, 0, sizeof(*run));
}

static struct page *get_one(gfp_t gfp)
{
	bool waits = gfp & __GFP_DIRECT_RECLAIM;
	struct run *run = &runs[gfp & __GFP_MOVABLE ? waits ? OF_FILES : OF_FILES_DOWN : gfp & __GFP_HARDWALL ? OF_DEVICES : OF_ALL];
	struct page *page;

	if (!run->start || run->next == RUN) {
		end_run(run);
		page = get_free(RUN_ORDER);
		if (!page)
			return NULL;
		run->start = page_to_pfn(page);
	}
	return mem_map + run->start + in_run(run, run->next++);
}

static bool give_one(unsigned long pfn)
{
	struct run *run;

	for (run = runs; run < runs + RUNS; run++) {
		if (!run->start || pfn - run->start >= RUN)
			continue;
		set_bit(in_run(run, pfn - run->start), run->freed);
		while (run->next && test_and_clear_bit(run->next - 1, run->freed))
			run->next--;
		return true;
	}
	return false;
}

static struct page *take(unsigned int order, gfp_t gfp)
{
	struct page *page;
	unsigned long i, n = 1ul << order;

	if (WARN_ON(order > MAX_PAGE_ORDER) || kemu_should_fail(gfp))
		return NULL;
	page = order ? get_free(order) : get_one(gfp);
	if (!page) {
		for (i = 0; i < RUNS; i++)
			end_run(&runs[i]);
		page = get_free(order);
	}
	if (!page)
		return NULL;
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
	regions_keep(page_address(page), PAGE_SIZE << order);
	if (page_ref_count(page))
		kemu_trap("a page is freed that has %d references", page_ref_count(page));
	if (page->mapping && !PageAnon(page))
		kemu_trap("a page is freed that is in the page cache: BUG: Bad page state");
	if (PageLocked(page) || PageLRU(page))
		kemu_trap("a page is freed that is locked or on a list: BUG: Bad page state");
	atomic_set(&page->_mapcount, -1);
	if (order || !give_one(page_to_pfn(page)))
		put_free(page_to_pfn(page), order);
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

#define WINDOWS		(64ul << 30)
#define WINDOW_COUNT	(1u << 16)
#define WINDOW_PAGES	4096u

static struct window {
	char *va;
	unsigned int pages;
	struct page *page;		/* of window_alloc() */
	struct window *next;		/* free, of the same size; or the next that vmap() made */
} *table, *free_windows[WINDOW_PAGES + 1], *by_vmap;
static unsigned int window_count;
static char *windows, *windows_end;

static struct window *get_window(unsigned int n)
{
	struct window *w;

	if (n > WINDOW_PAGES)
		return NULL;
	if (!windows) {
		windows = windows_end = host_hole(WINDOWS);
		table = host_reserve(WINDOW_COUNT * sizeof(*table));
	}
	w = free_windows[n];
	if (w) {
		free_windows[n] = w->next;
		return w;
	}
	if (window_count == WINDOW_COUNT || windows_end + (n + 1) * PAGE_SIZE > windows + WINDOWS)
		return NULL;
	w = &table[window_count++];
	w->va = windows_end;
	w->pages = n;
	windows_end += (n + 1) * PAGE_SIZE;	/* nothing behind it */
	kemu_poison(w->va, (n + 1) * PAGE_SIZE, SHADOW_HOLE);
	return w;
}

static void put_window(struct window *w)
{
	kemu_poison(w->va, w->pages * PAGE_SIZE, SHADOW_HOLE);
	w->next = free_windows[w->pages];
	free_windows[w->pages] = w;
}

static bool in_a_row(struct page **pages, unsigned int n)
{
	unsigned int i;

	for (i = 1; i < n; i++)
		if (pages[i] != pages[0] + i)
			return false;
	return true;
}

/* The mapping, and in @made the window if one was needed. */
static void *map(struct page **pages, unsigned int n, struct window **made)
{
	unsigned int i, run;
	struct window *w;

	*made = NULL;
	if (in_a_row(pages, n))
		return page_address(pages[0]);
	w = get_window(n);
	if (!w)
		return NULL;
	for (i = 0; i < n; i += run) {
		run = 1;
		while (i + run < n && pages[i + run] == pages[i] + run)
			run++;
		if (!host_alias(w->va + i * PAGE_SIZE, page_to_pfn(pages[i]), run)) {
			put_window(w);
			return NULL;
		}
	}
	host_populate(w->va, n);
	kemu_unpoison(w->va, n * PAGE_SIZE);
	*made = w;
	return w->va;
}

/* ---- what is mapped now: of how many pages, and whether those are still somebody's when it ends ---- */

#ifdef KEMU_REVIEW
#define MAPPED	256u

static struct {
	const void *va;
	struct page *first;
	unsigned int n;
} mapped[MAPPED];

static void is_mapped(const void *va, struct page *first, unsigned int n)
{
	unsigned int i;

	for (i = 0; va && i < MAPPED; i++) {
		if (mapped[i].va)
			continue;
		mapped[i].va = va;
		mapped[i].first = first;
		mapped[i].n = n;
		return;
	}
}

/* @n: 0 if whoever unmaps it does not say. */
static void no_more_mapped(const void *va, unsigned int n)
{
	unsigned int i, other = 0;
	struct page *first;

	for (i = 0; i < MAPPED; i++) {
		if (mapped[i].va != va || !va)
			continue;
		if (n && mapped[i].n != n) {
			other = mapped[i].n;
			continue;
		}
		first = mapped[i].first;
		mapped[i].va = NULL;
		if (!page_ref_count(first))
			kemu_trap("BUG: pages were freed before what maps them was unmapped");
		return;
	}
	if (other)
		kemu_trap("BUG: %u pages are unmapped of a mapping of %u", n, other);
}
#else
static void is_mapped(const void *va, struct page *first, unsigned int n) { }
static void no_more_mapped(const void *va, unsigned int n) { }
#endif

void *vmap(struct page **pages, unsigned int n, unsigned long flags, pgprot_t prot)
{
	struct window *w;
	void *va = map(pages, n, &w);

	is_mapped(va, pages[0], n);
	if (w) {
		w->next = by_vmap;
		by_vmap = w;
	}
	return va;
}

void vunmap(const void *addr)
{
	struct window **p;

	no_more_mapped(addr, 0);
	for (p = &by_vmap; *p; p = &(*p)->next)
		if ((*p)->va == addr) {
			struct window *w = *p;

			*p = w->next;
			put_window(w);
			return;
		}
}

/* Its first page says which window it is: they are in the order of their addresses. */
static struct window *window_of(const void *va)
{
	unsigned int low = 0, high = window_count;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (table[middle].va < (char *)va)
			low = middle + 1;
		else
			high = middle;
	}
	return low < window_count && table[low].va == va ? &table[low] : NULL;
}

void *vm_map_ram(struct page **pages, unsigned int n, int node)
{
	struct window *w;
	void *va = map(pages, n, &w);

	is_mapped(va, pages[0], n);
	return va;
}

void vm_unmap_ram(const void *mem, unsigned int n)
{
	struct window *w = window_of(mem);

	no_more_mapped(mem, n);
	if (w)
		put_window(w);
}

void vm_unmap_aliases(void)
{
}

/* Pages in a window, where a touch of what lies behind them is a signal. */
void *window_alloc(unsigned long bytes)
{
	unsigned int order = get_order(bytes), n = PAGE_ALIGN(bytes) >> PAGE_SHIFT;
	struct page *page = take(order, GFP_KERNEL | __GFP_NOFAIL);
	struct window *w;

	if (!page)
		return NULL;
	w = get_window(n);
	if (!w || !host_alias(w->va, page_to_pfn(page), n)) {
		if (w)
			put_window(w);
		__free_pages(page, order);
		return NULL;
	}
	w->page = page;
	kemu_unpoison(w->va, bytes);
	return w->va;
}

void window_free(void *va)
{
	struct window *w = window_of(va);

	put_window(w);
	__free_pages(w->page, get_order(w->pages * PAGE_SIZE));
}

/* What objects under test have for virt_to_page(), flavour asan-review. */
struct page *kemu_virt_to_page(const void *p)
{
	if ((unsigned long)p < uml_physmem || (unsigned long)p >= high_physmem)
		kemu_trap("BUG: virt_to_page() of an address that is not in the direct map%s", region_of(p));
	return virt_to_page(p);
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
