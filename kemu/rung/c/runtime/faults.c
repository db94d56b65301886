// SPDX-License-Identifier: GPL-2.0-only
/*
 * The n-th call that can fail does, and as many behind it as are asked for; counted are allocations of memory that may fail, as fail-nth counts them, and reads of a disk.
 * While that is armed, each of them leaves a hash of where it was called from.
 */
#include <linux/idr.h>
#include <linux/kernel.h>
#include <linux/sysfs.h>
#include "../fs/kernfs/kernfs-internal.h"
#include "../fs/sysfs/sysfs.h"
#include "runtime.h"

#define SITES	(1u << 14)
#define DEPTH	12
#define FAR	32
#define RANGES	64

extern const char __ehdr_start[], __etext[] __asm__("etext") __attribute__((visibility("hidden")));	/* the linker's */

static unsigned int left, more, sites[SITES];
static unsigned char near[SITES];
static unsigned long ranges[2 * RANGES], fired_at[DEPTH];
static unsigned int range_count;
static bool over;

/*
 * The numbers of sysfs's nodes go round and round; when they get one more digit, the tree that holds them gets more nodes. So that a
 * call has one number whatever was mounted before, they begin where they began after the boot.
 */
static unsigned int first_node;

void faults_start(void)
{
	first_node = idr_get_cursor(&kernfs_root(sysfs_root_kn)->ino_idr);
}

void kemu_fail_nth(unsigned int nth)
{
	if (nth) {
		idr_set_cursor(&kernfs_root(sysfs_root_kn)->ino_idr, first_node);
		kernfs_root(sysfs_root_kn)->last_id_lowbits = 0;
	}
	left = nth == ~0u ? nth : nth & KEMU_FAIL_NTH;
	more = nth == ~0u ? 0 : nth / (KEMU_FAIL_NTH + 1);
	over = false;
	kemu_stats.faults = 0;
	kemu_stats.fired = 0;
	if (nth)
		memset(fired_at, 0, sizeof(fired_at));
}

const unsigned int *kemu_fault_sites(void)
{
	return sites;
}

/* Return addresses of the call that failed; as many as @most. */
unsigned int kemu_fault_stack(unsigned long *pcs, unsigned int most)
{
	unsigned int i;

	for (i = 0; i < most && i < DEPTH && fired_at[i]; i++)
		pcs[i] = fired_at[i];
	return i;
}

static unsigned int hash_of(unsigned long *pcs, unsigned long n)
{
	unsigned int h = 0x811c9dc5;
	unsigned long i;

	for (i = 0; i < n && pcs[i] >= (unsigned long)__ehdr_start && pcs[i] < (unsigned long)__etext; i++)
		h = (h ^ (unsigned int)(pcs[i] - (unsigned long)__ehdr_start)) * 0x01000193;
	return h;
}

/* Nothing fails from here on, and nothing is counted; what has failed is still told. */
void kemu_fail_none(void)
{
	left = 0;
	more = 0;
	over = true;
}

void kemu_fault_around(const unsigned long *from_to, unsigned int n)
{
	range_count = min(n, (unsigned int)RANGES);
	memcpy(ranges, from_to, range_count * 2 * sizeof(*ranges));
}

const unsigned char *kemu_fault_near(void)
{
	return near;
}

bool kemu_fault_is_near(unsigned long pc)
{
	unsigned long at = pc - (unsigned long)__ehdr_start;
	unsigned int r;

	for (r = 0; r < range_count; r++)
		if (at >= ranges[2 * r] && at < ranges[2 * r + 1])
			return true;
	return false;
}

static bool is_near(unsigned long *pcs, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n && range_count; i++)
		if (kemu_fault_is_near(pcs[i]))
			return true;
	return false;
}

bool kemu_should_fail(gfp_t gfp)
{
	unsigned long pcs[FAR], n;

	if (gfp & __GFP_NOFAIL || over)
		return false;
	kemu_stats.faults++;
	if (!left && kemu_stats.fired && more) {
		more--;
		return true;
	}
	if (!left)
		return false;
	n = host_stack(pcs, range_count ? FAR : DEPTH, __builtin_frame_address(0));
	if (kemu_stats.faults <= SITES) {
		near[kemu_stats.faults - 1] = is_near(pcs, n);
		n = min(n, (unsigned long)DEPTH);
		sites[kemu_stats.faults - 1] = hash_of(pcs, n);
	}
	n = min(n, (unsigned long)DEPTH);
	if (--left)
		return false;
	memcpy(fired_at, pcs, n * sizeof(*pcs));
	kemu_stats.fired = 1;
	return true;
}
