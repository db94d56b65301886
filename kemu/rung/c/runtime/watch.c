// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the objects under test do, for a comparison of two kernels: which basic blocks have run, which locks were taken, what was called
 * outside of them and in which order; and calls that are told that they failed.
 */
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include "runtime.h"

extern const char __ehdr_start[] __attribute__((visibility("hidden")));		/* the linker's */

/* Tokens that stand for what has no lock of its own. */
#undef RCU
const struct __ctx_lock_RCU *RCU = (void *)1, *RCU_BH = (void *)2, *RCU_SCHED = (void *)3;

/* ---- basic blocks ---- */

#define CODE	(16u << 20)
#define RAN	(1u << 16)

static unsigned char has_run[CODE];
static unsigned int ran[RAN], ran_count;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
	unsigned long at = (unsigned long)__builtin_return_address(0) - (unsigned long)__ehdr_start;

	if (at < CODE && !has_run[at] && ran_count < RAN) {
		has_run[at] = 1;
		ran[ran_count++] = at;
	}
}

/* ---- calls and locks ---- */

#define EVENTS	(1u << 16)

static struct kemu_event events[EVENTS];
static unsigned int event_count, fail_what, fail_left;
static unsigned char wanted[1024];
static bool watching;

static void note(unsigned int what, unsigned long of, unsigned long from)
{
	if (watching && event_count < EVENTS)
		events[event_count++] = (struct kemu_event){ .what = what, .of = of, .from = from - (unsigned long)__ehdr_start };
}

int kemu_called(unsigned int what, unsigned long first, unsigned long from);

/* The trampolines': whether the call is to fail. */
int kemu_called(unsigned int what, unsigned long first, unsigned long from)
{
	if (what < sizeof(wanted) && wanted[what])
		note(what, first, from);
	return watching && fail_left && what == fail_what && !--fail_left;
}

void kemu_lock_taken(const volatile void *lock, int shared);
void kemu_lock_left(const volatile void *lock, int shared);

void kemu_lock_taken(const volatile void *lock, int shared)
{
	note(KEMU_EVENT_TAKEN + !!shared, (unsigned long)lock, (unsigned long)__builtin_return_address(0));
}

void kemu_lock_left(const volatile void *lock, int shared)
{
	note(KEMU_EVENT_LEFT + !!shared, (unsigned long)lock, (unsigned long)__builtin_return_address(0));
}

/* From now on it is watched, or not; nothing has run. @nth: of the calls of that number, which one fails. */
void kemu_watch(int on, unsigned int what, unsigned int nth)
{
	while (ran_count)
		has_run[ran[--ran_count]] = 0;
	event_count = 0;
	fail_what = what;
	fail_left = nth;
	watching = on;
}

void kemu_watch_want(unsigned int what)
{
	if (what < sizeof(wanted))
		wanted[what] = 1;
}

unsigned int kemu_watch_ran(const unsigned int **offsets)
{
	*offsets = ran;
	return ran_count;
}

unsigned int kemu_watch_events(const struct kemu_event **out)
{
	*out = events;
	return event_count;
}
