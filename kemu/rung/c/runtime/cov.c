// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage of the files under test, for a search: which block ran after which, in cells. Addresses are counted from the library's own
 * code, so that every loaded copy fills the same cells.
 */
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "runtime.h"

static unsigned char cells[KEMU_CELLS];
static unsigned short touched[KEMU_CELLS];
static unsigned int touched_count;
static unsigned int previous;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
	unsigned long pc = (unsigned long)__builtin_return_address(0) - (unsigned long)kemu_cov_reset;
	unsigned int here = (unsigned int)pc * 0x9e3779b1u >> 16;
	unsigned int cell = (here ^ previous) & (KEMU_CELLS - 1);

	previous = here >> 1;
	if (!cells[cell])
		touched[touched_count++] = cell;
	if (cells[cell] != 255)
		cells[cell]++;
}

void kemu_cov_reset(void)
{
	while (touched_count)
		cells[touched[--touched_count]] = 0;
	previous = 0;
}

/* How often, as a bit: 1, 2, 3, 4.., 8.., 16.., 32.., 128 times and more. */
static unsigned char class_of(unsigned char times)
{
	if (times < 4)
		return 1 << (times - 1);
	return times < 8 ? 8 : times < 16 ? 16 : times < 32 ? 32 : times < 128 ? 64 : 128;
}

/* Adds what has run to @seen; what is new in that, and in @cells how many cells nobody has filled before. */
int kemu_cov_merge(unsigned char *seen, unsigned int *new_cells)
{
	unsigned int i;
	int found = 0;

	*new_cells = 0;
	for (i = 0; i < touched_count; i++) {
		unsigned char bit = class_of(cells[touched[i]]), *s = &seen[touched[i]];

		if (*s & bit)
			continue;
		found++;
		*new_cells += !*s;
		*s |= bit;
	}
	return found;
}
