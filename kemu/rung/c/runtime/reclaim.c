// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kswapd does, here between two system calls: when the page cache has grown by a given size, what is clean in it and used by nobody
 * goes, and so do objects that shrinkers give back. A file of any size can be read in little memory.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include "../mm/internal.h"
#include "runtime.h"

#define GROWTH		(16ul << (20 - PAGE_SHIFT))

static unsigned long kept;		/* pages that did not go the last time */

/* fs/drop_caches.c's */
static void drop_pagecache_sb(struct super_block *sb, void *unused)
{
	struct inode *inode, *toput_inode = NULL;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		spin_lock(&inode->i_lock);
		if ((inode_state_read(inode) & (I_FREEING | I_WILL_FREE | I_NEW)) || mapping_empty(inode->i_mapping)) {
			spin_unlock(&inode->i_lock);
			continue;
		}
		__iget(inode);
		spin_unlock(&inode->i_lock);
		spin_unlock(&sb->s_inode_list_lock);
		invalidate_mapping_pages(inode->i_mapping, 0, -1);
		iput(toput_inode);
		toput_inode = inode;
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(toput_inode);
}

static unsigned long cached(void)
{
	return global_node_page_state(NR_ACTIVE_FILE) + global_node_page_state(NR_INACTIVE_FILE);
}

void kemu_reclaim(void)
{
	kept = min(kept, cached());
	if (cached() - kept < GROWTH)
		return;
	lru_add_drain();
	iterate_supers(drop_pagecache_sb, NULL);
	shrink_slab(GFP_KERNEL, 0, NULL, 0);
	rcu_barrier();
	kept = cached();
}
