// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kswapd does, here between two system calls: when the page cache has grown over a mark, the oldest of its folios go as far as they
 * are clean and used by nobody, until a lower mark is reached; and now and then objects that shrinkers give back. A file of any size
 * can be read in little memory, and that stays in the processor's caches.
 */
#include <linux/mmzone.h>
#include <linux/pagemap.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include "../mm/internal.h"
#include "runtime.h"

#define MARK(mib)	((mib) << (20 - PAGE_SHIFT))
#define HIGH		MARK(5ul)
#define LOW		MARK(4ul)
#define SHRINK		MARK(16ul)	/* pages that go between two calls of the shrinkers */

static unsigned long kept;		/* pages above the lower mark that did not go the last time */
static unsigned long gone;		/* since shrinkers were called */

static unsigned long cached(void)
{
	return global_node_page_state(NR_ACTIVE_FILE) + global_node_page_state(NR_INACTIVE_FILE);
}

/* mm/vmscan.c's shrink_folio_list() of what is clean and not mapped; what cannot go is the youngest then. */
static void shrink_list(enum lru_list lru, unsigned long pages)
{
	struct list_head *list = &contig_page_data.__lruvec.lists[lru];
	unsigned long n = global_node_page_state(NR_LRU_BASE + lru);
	struct folio *folio;

	for (; n && pages && !list_empty(list); n--) {
		folio = lru_to_folio(list);
		list_move(&folio->lru, list);
		if (!folio_try_get(folio))
			continue;
		if (folio_trylock(folio)) {
			if (mapping_evict_folio(folio_mapping(folio), folio)) {
				pages--;
				gone++;
			}
			folio_unlock(folio);
		}
		folio_put(folio);
	}
}

void kemu_reclaim(void)
{
	unsigned long lists[] = { LRU_INACTIVE_FILE, LRU_ACTIVE_FILE }, i;

	kept = min(kept, cached());
	if (cached() < HIGH + kept)
		return;
	lru_add_drain();
	for (i = 0; i < ARRAY_SIZE(lists) && cached() > LOW; i++)
		shrink_list(lists[i], cached() - LOW);
	if (gone >= SHRINK) {
		shrink_slab(GFP_KERNEL, 0, NULL, 0);
		gone = 0;
	}
	rcu_barrier();
	kept = cached() > LOW ? cached() - LOW : 0;
}
