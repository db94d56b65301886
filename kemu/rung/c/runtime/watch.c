// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the objects under test do, for a comparison of two kernels: which basic blocks have run, which locks were taken, what was called
 * outside of them and in which order; and calls that are told that they failed.
 */
#include <linux/kernel.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include "guards.h"
#include "runtime.h"

extern const char __ehdr_start[], _end[] __attribute__((visibility("hidden")));	/* the linker's */

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

/* ---- what is compared with what, in the code of kemu_fault_around()'s ranges ---- */

#define CMPS	1024u
#define TIMES	48				/* of one place: there is to be room for all places */

static struct kemu_cmp cmps[CMPS];
static unsigned int cmp_count;
static unsigned char cmp_near[CODE];		/* 1: no, 2: yes */
static unsigned char cmp_times[CODE];
static bool watching;

/* The last values that were converted: what is compared in those ranges soon behind them may depend on them. */
#define RECENT	24u
static unsigned short recent[RECENT];		/* 1 + a place in values */
static unsigned int recent_count;

static void close_to_what_was_converted(void);

static void compared(u64 a, u64 b, unsigned int size, unsigned long pc)
{
	unsigned long at = pc - (unsigned long)__ehdr_start;
	unsigned int i;

	if (!watching || at >= CODE)
		return;
	if (!cmp_near[at])
		cmp_near[at] = kemu_fault_is_near(pc) ? 2 : 1;
	if (cmp_near[at] == 1)
		return;
	close_to_what_was_converted();
	if (a == b || cmp_count == CMPS)
		return;
	if (cmp_times[at] == TIMES)
		return;
	for (i = cmp_count; i && i + 32 > cmp_count; i--)
		if (cmps[i - 1].a == a && cmps[i - 1].b == b && cmps[i - 1].at == at)
			return;
	cmp_times[at]++;
	cmps[cmp_count++] = (struct kemu_cmp){ .a = a, .b = b, .size = size, .at = at };
}

#define COMPARED(name, type)						\
	void __sanitizer_cov_trace_##name(type a, type b);		\
	void __sanitizer_cov_trace_##name(type a, type b)		\
	{								\
		compared(a, b, sizeof(type), (unsigned long)__builtin_return_address(0)); \
	}
COMPARED(cmp1, u8)
COMPARED(cmp2, u16)
COMPARED(cmp4, u32)
COMPARED(cmp8, u64)
COMPARED(const_cmp1, u8)
COMPARED(const_cmp2, u16)
COMPARED(const_cmp4, u32)
COMPARED(const_cmp8, u64)

void __sanitizer_cov_trace_switch(u64 value, u64 *cases);

void __sanitizer_cov_trace_switch(u64 value, u64 *cases)
{
	u64 i;

	for (i = 0; i < cases[0] && i < 16; i++)
		compared(cases[2 + i], value, cases[1] / 8, (unsigned long)__builtin_return_address(0));
}

unsigned int kemu_watch_cmps(const struct kemu_cmp **out)
{
	*out = cmps;
	return cmp_count;
}

/* ---- what is converted from the disk's byte order, and where in a page it was loaded from ---- */

#define VALUES	8192u
#define LOADS	16u

static struct kemu_value values[VALUES];
static unsigned short value_at[2 * VALUES];	/* 1 + a place in values, by a hash */
static unsigned int value_count;
static unsigned long loads[LOADS];		/* addresses, in turn */
static unsigned int load_count;

static void close_to_what_was_converted(void)
{
	while (recent_count) {
		unsigned int i = recent[--recent_count];

		if (i)
			values[i - 1].close = 1;
	}
}

static void has_converted(unsigned int i)
{
	if (recent_count == RECENT)
		memmove(&recent[0], &recent[1], --recent_count * sizeof(recent[0]));
	recent[recent_count++] = i;
}

/* The objects under test load from there. */
void kemu_loaded(unsigned long at)
{
	if (watching && at >= uml_physmem && at < high_physmem)
		loads[load_count++ % LOADS] = at;
}

/* Where in its page the value was loaded from, if it comes from one. */
static unsigned int loaded_from(unsigned long value, unsigned int bytes)
{
	unsigned long found = 0;
	unsigned int i;

	for (i = 1; i <= LOADS && i <= load_count; i++) {
		unsigned long at = loads[(load_count - i) % LOADS];

		if ((at & ~PAGE_MASK) + bytes > PAGE_SIZE)
			continue;
		/* not with memcpy(): it may be gone by now, and that is no report */
		found = bytes == 2 ? *(volatile u16 *)at : bytes == 4 ? *(volatile u32 *)at : *(volatile u64 *)at;
		if (found == value)
			return at & ~PAGE_MASK;
	}
	return PAGE_SIZE;
}

void kemu_converted(unsigned long value, unsigned int bytes);

void kemu_converted(unsigned long value, unsigned int bytes)
{
	unsigned int at, from;

	if (!watching || value_count == VALUES)
		return;
	from = loaded_from(value, bytes);
	for (at = ((value + from) * 0x9e3779b97f4a7c15ull >> 40) + bytes;; at++) {
		unsigned short *p = &value_at[at % (2 * VALUES)];

		if (!*p) {
			values[value_count] = (struct kemu_value){ .value = value, .bytes = bytes, .from = from, .hash = at % (2 * VALUES) };
			*p = ++value_count;
			has_converted(*p);
			return;
		}
		if (values[*p - 1].value == value && values[*p - 1].bytes == bytes && values[*p - 1].from == from) {
			has_converted(*p);
			return;
		}
	}
}

unsigned int kemu_watch_values(const struct kemu_value **out)
{
	*out = values;
	return value_count;
}

/* ---- calls and locks ---- */

#define HELD	1024u
#define DEPTH	16
#define KEMU_LEAVES_FILE	3

static struct kemu_told told[KEMU_TOLD];
static struct {
	unsigned long of;
	unsigned int what;
	int times;
} held[HELD];
static unsigned int serial, fail_what, fail_left;
long kemu_failed_with = -EIO;			/* the trampolines': of a call that fails, and gives no NULL */
static signed char ways[KEMU_TOLD];
static bool can_fail[KEMU_TOLD];

/*
 * Of the one that is taken, or left: -1. What has no place in the table is not counted; what is left more often than it was taken was
 * taken by trying.
 */
static void hold(unsigned int what, unsigned long of, int way, bool shared)
{
	unsigned int i, at;

	guarded(of, way, shared);
	for (i = 0, at = of / 8 % HELD; i < HELD; i++, at = (at + 1) % HELD) {
		if (held[at].of && held[at].of != of)
			continue;
		held[at].of = of;
		held[at].times = max(held[at].times + way, 0);
		if (way > 0)
			held[at].what = what;
		return;
	}
}

/* A call that can fail, from what is changed or from what that has called: by each way once. */
static void from_where(struct kemu_told *t, void *frame)
{
	unsigned long pcs[DEPTH];
	unsigned int n, i, h = 0x811c9dc5;
	bool near = false;

	n = host_stack(pcs, DEPTH, frame);
	for (i = 0; i < n && !near; i++) {
		near = kemu_fault_is_near(pcs[i]);
		h = (h ^ (unsigned int)(pcs[i] - (unsigned long)__ehdr_start)) * 0x01000193;
	}
	if (!near)
		return;
	t->near = 1;
	for (i = 0; i < t->sites; i++)
		if (t->site[i].stack == h)
			return;
	if (i < KEMU_SITES) {
		t->site[i] = (struct kemu_site){ .stack = h, .number = t->times };
		t->sites++;
	}
}

static void note(unsigned int what, unsigned long first, unsigned long from)
{
	struct kemu_told *t = &told[what];

	serial++;
	if (!t->times++)
		t->first = serial;
	if (first)
		t->last = serial;
	t->near |= kemu_fault_is_near(from);
}

/* A file was left, and what is called next finds it gone, where grace periods are over at once. */
static bool left_file;

int kemu_called(unsigned int what, unsigned long first, unsigned long from);

/* The trampolines': whether the call is to fail. */
int kemu_called(unsigned int what, unsigned long first, unsigned long from)
{
	kemu_given((void *)first, *(void **)__builtin_frame_address(0));	/* the trampoline's frame */
	if (!watching || what >= KEMU_TOLD_LOCKS)
		return 0;
	if (left_file && !guards_held()) {
		left_file = false;
		watching = false;
		flush_delayed_fput();
		if (task_work_pending(current))
			task_work_run();
		watching = true;
	}
	note(what, first, from);
	if (can_fail[what])
		from_where(&told[what], *(void **)__builtin_frame_address(0));
	if (ways[what] == KEMU_LEAVES_FILE)
		left_file = kemu_is_soon();
	else if (ways[what])
		hold(what, first, ways[what] > 0 ? 1 : -1, ways[what] == 2);
	return fail_left && what == fail_what && !--fail_left;
}

void kemu_lock_taken(const volatile void *lock, int shared);
void kemu_lock_left(const volatile void *lock, int shared);

static unsigned int kind_of(const volatile void *lock, int shared)
{
	unsigned int kind;

	if ((unsigned long)lock < 16)		/* one of the tokens */
		return KEMU_TOLD_LOCKS + 4 + ((unsigned long)lock & 3);
	kind = lock >= (void *)__ehdr_start && lock < (void *)_end ? 0 : 1;
	return KEMU_TOLD_LOCKS + 2 * kind + !!shared;
}

void kemu_lock_taken(const volatile void *lock, int shared)
{
	kemu_given(lock, __builtin_frame_address(0));
	if (!watching || !lock)
		return;
	note(kind_of(lock, shared), (unsigned long)lock, (unsigned long)__builtin_return_address(0));
	hold(kind_of(lock, shared), (unsigned long)lock, 1, shared);
}

void kemu_lock_left(const volatile void *lock, int shared)
{
	kemu_given(lock, __builtin_frame_address(0));
	if (watching && lock)
		hold(0, (unsigned long)lock, -1, shared);
}

/* From now on it is watched, or not; nothing has run. @nth: of the calls of number @what, which one fails, with @error. */
void kemu_watch(int on, unsigned int what, unsigned int nth, int error)
{
	while (ran_count)
		has_run[ran[--ran_count]] = 0;
	memset(told, 0, sizeof(told));
	memset(held, 0, sizeof(held));
	serial = 0;
	while (cmp_count)
		cmp_times[cmps[--cmp_count].at] = 0;
	load_count = 0;
	recent_count = 0;
	left_file = false;
	while (value_count)
		value_at[values[--value_count].hash] = 0;
	guards_begin(on);
	fail_what = what;
	fail_left = nth;
	kemu_failed_with = -(long)error;
	watching = on;
}

/* Calls of that number take a lock, the first argument (1; 2: shared), or leave it (-1), or leave a file (3). */
void kemu_watch_lock(unsigned int what, int way)
{
	if (what < KEMU_TOLD_LOCKS)
		ways[what] = way;
}

/* Calls of that number can fail: from where they come is told. */
void kemu_watch_fallible(unsigned int what)
{
	if (what < KEMU_TOLD_LOCKS)
		can_fail[what] = true;
}

unsigned int kemu_watch_ran(const unsigned int **offsets)
{
	*offsets = ran;
	return ran_count;
}

const struct kemu_told *kemu_watch_told(void)
{
	unsigned int i;

	for (i = 0; i < HELD; i++)
		if (held[i].of && held[i].times > 0)
			told[held[i].what].held++;
	return told;
}
