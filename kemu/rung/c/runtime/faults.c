// SPDX-License-Identifier: GPL-2.0-only
/* The n-th call that can fail does; counted are allocations of memory that may fail, as fail-nth counts them. */
#include "runtime.h"

static unsigned int left;

void kemu_fail_nth(unsigned int nth)
{
	left = nth;
	kemu_stats.faults = 0;
	kemu_stats.fired = 0;
}

/* Nothing fails from here on; what has failed is still told. */
void kemu_fail_none(void)
{
	left = 0;
}

bool kemu_should_fail(gfp_t gfp)
{
	if (gfp & __GFP_NOFAIL)
		return false;
	kemu_stats.faults++;
	if (!left || --left)
		return false;
	kemu_stats.fired = 1;
	return true;
}
