// SPDX-License-Identifier: GPL-2.0-only
/* A counter without a lock: what the bench's own search for schedules is tested with. */
#include <linux/compiler.h>
#include <linux/kernel.h>
#include "kemu_sched.h"

static unsigned long kemu_counter;

static noinline void kemu_increment(void)
{
	unsigned long v = READ_ONCE(kemu_counter);

	if (v < ULONG_MAX)
		v++;
	WRITE_ONCE(kemu_counter, v);
}

void kemu_count(unsigned long n)
{
	while (n--)
		kemu_increment();
}

unsigned long kemu_counted(void)
{
	unsigned long v = kemu_counter;

	kemu_counter = 0;
	return v;
}
