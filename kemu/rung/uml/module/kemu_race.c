// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data races by KCSAN's rules, where the schedule is chosen: the compiler calls in at every access of the objects that are built for it, and
 * each is a scheduling point. Who is preempted before a plain access leaves a watchpoint on it. Whoever makes a conflicting access until the
 * first one goes on could have made it at the same time: if the value has changed then, that is a data race, whatever locks there are, for
 * nobody waited for one. Nothing is sampled and nothing is guessed, so there is no false report; a race is found when a plan meets it.
 *
 * As in KCSAN: marked are volatile and atomic accesses and those in a reader's seqcount section; plain aligned writes of a word or less pass
 * for atomic; data_race() is not looked at; a value that did not change is no report; one that changed with nobody seen to change it is.
 */
#include "kemu_kcsan.h"			/* before all that would include kcsan-checks.h without */
#include <linux/kernel.h>
#include <linux/panic.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/pid.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include "kemu_sched.h"

#define DEPTH	16

struct kemu_watch {
	const volatile void *ptr;
	size_t size;
	bool write, hit, other_write, other_marked;
	struct task_struct *task;
	unsigned long pc, other_pc;
	u64 before;
	char other[TASK_COMM_LEN];
	pid_t other_pid;
	unsigned long stack[DEPTH];
	unsigned int depth;
};

static struct kemu_watch kemu_watches[KEMU_SWITCHES];
static u32 kemu_watching;		/* how many are in use */
static u32 kemu_quiet;			/* data_race() and its like */
static u32 kemu_nested;			/* sections whose accesses pass for marked: writers of a seqcount */
static int kemu_next_marked;		/* accesses to come that do: readers of one */
static bool kemu_flat;
bool kemu_raced;

static u64 kemu_value(const volatile void *ptr, size_t size)
{
	u64 v = 0;

	memcpy(&v, (const void *)ptr, min(size, sizeof(v)));
	return v;
}

static void kemu_conflict(const volatile void *ptr, size_t size, bool write, bool marked, unsigned long pc)
{
	for (u32 i = 0; i < KEMU_SWITCHES; i++) {
		struct kemu_watch *w = &kemu_watches[i];

		if (!w->task || w->task == current || w->hit || ptr >= w->ptr + w->size || w->ptr >= ptr + size || !(write || w->write))
			continue;
		w->hit = true;
		w->other_write = write;
		w->other_marked = marked;
		w->other_pc = pc;
		w->other_pid = task_pid_nr(current);
		get_task_comm(w->other, current);
		w->depth = stack_trace_save(w->stack, DEPTH, 2);
	}
}

static const char *kemu_kind(bool write, bool marked)
{
	return write ? (marked ? "write (marked)" : "write") : (marked ? "read (marked)" : "read");
}

static void kemu_report(const struct kemu_watch *w, u64 after)
{
	pr_err("==================================================================\n");
	if (w->hit)
		pr_err("BUG: KCSAN: data-race in %ps / %ps\n\n", (void *)w->other_pc, (void *)w->pc);
	else
		pr_err("BUG: KCSAN: data-race in %ps\n\n", (void *)w->pc);
	if (w->hit) {
		pr_err("%s to 0x%px by task %s/%d on cpu 0:\n", kemu_kind(w->other_write, w->other_marked), w->ptr, w->other, w->other_pid);
		pr_err(" %pS\n", (void *)w->other_pc);
		stack_trace_print(w->stack, w->depth, 1);
		pr_err("\n%s to 0x%px of %zu bytes by task %s/%d on cpu 0:\n", kemu_kind(w->write, false), w->ptr, w->size, current->comm,
		       task_pid_nr(current));
	} else {
		pr_err("race at unknown origin, with %s to 0x%px of %zu bytes by task %s/%d on cpu 0:\n", kemu_kind(w->write, false), w->ptr,
		       w->size, current->comm, task_pid_nr(current));
	}
	pr_err(" %pS\n", (void *)w->pc);
	pr_err("\nvalue changed: 0x%0*llx -> 0x%0*llx\n\n", (int)min(w->size, sizeof(u64)) * 2, w->before,
	       (int)min(w->size, sizeof(u64)) * 2, after);
	pr_err("Reported by Kernel Concurrency Sanitizer on:\n");
	dump_stack_print_info(KERN_ERR);
	pr_err("==================================================================\n");
	kemu_raced = true;
}

struct kemu_watch *kemu_watch_begin(const struct kemu_access *a)
{
	if (!a || a->marked || a->size > sizeof(u64))
		return NULL;
	for (u32 i = 0; i < KEMU_SWITCHES; i++) {
		struct kemu_watch *w = &kemu_watches[i];

		if (w->task)
			continue;
		*w = (struct kemu_watch){ .ptr = a->ptr, .size = a->size, .write = a->write, .task = current, .pc = a->pc,
					  .before = kemu_value(a->ptr, a->size) };
		kemu_watching++;
		return w;
	}
	return NULL;
}

void kemu_watch_end(struct kemu_watch *w)
{
	u64 after;

	if (!w || w->task != current)
		return;
	after = kemu_value(w->ptr, w->size);
	w->task = NULL;
	kemu_watching--;
	if (after != w->before)
		kemu_report(w, after);
}

/* A case is over. */
void kemu_watch_none(void)
{
	memset(kemu_watches, 0, sizeof(kemu_watches));
	kemu_watching = kemu_quiet = kemu_nested = kemu_next_marked = 0;
	kemu_flat = false;
}

static __always_inline void kemu_accessed(const volatile void *ptr, size_t size, int type, unsigned long pc)
{
	bool write = type & KCSAN_ACCESS_WRITE, marked, section;

	if (likely(!kemu_armed) || kemu_quiet || in_interrupt())
		return;
	section = kemu_nested || kemu_flat || kemu_next_marked > 0;
	if (kemu_next_marked > 0)
		kemu_next_marked--;
	marked = (type & KCSAN_ACCESS_ATOMIC) || section ||
		 ((type & (KCSAN_ACCESS_WRITE | KCSAN_ACCESS_COMPOUND)) == KCSAN_ACCESS_WRITE && size <= sizeof(long) &&
		  IS_ALIGNED((unsigned long)ptr, size));
	if (kemu_watching)
		kemu_conflict(ptr, size, write, (type & KCSAN_ACCESS_ATOMIC) || section, pc);
	if (!section) {
		struct kemu_access a = { .ptr = ptr, .size = size, .write = write, .marked = marked, .pc = pc };

		kemu_question(pc, &a);
	}
}

/* ---- what the compiler calls ---- */

#define TSAN_ACCESS(size)							\
	void __tsan_read##size(void *ptr);					\
	void __tsan_read##size(void *ptr)					\
	{									\
		kemu_accessed(ptr, size, 0, _RET_IP_);				\
	}									\
	void __tsan_unaligned_read##size(void *ptr);				\
	void __tsan_unaligned_read##size(void *ptr)				\
	{									\
		kemu_accessed(ptr, size, 0, _RET_IP_);				\
	}									\
	void __tsan_write##size(void *ptr);					\
	void __tsan_write##size(void *ptr)					\
	{									\
		kemu_accessed(ptr, size, KCSAN_ACCESS_WRITE, _RET_IP_);		\
	}									\
	void __tsan_unaligned_write##size(void *ptr);				\
	void __tsan_unaligned_write##size(void *ptr)				\
	{									\
		kemu_accessed(ptr, size, KCSAN_ACCESS_WRITE, _RET_IP_);		\
	}									\
	void __tsan_read_write##size(void *ptr);				\
	void __tsan_read_write##size(void *ptr)					\
	{									\
		kemu_accessed(ptr, size, KCSAN_ACCESS_COMPOUND | KCSAN_ACCESS_WRITE, _RET_IP_);	\
	}									\
	void __tsan_volatile_read##size(void *ptr);				\
	void __tsan_volatile_read##size(void *ptr)				\
	{									\
		kemu_accessed(ptr, size, size <= sizeof(long) ? KCSAN_ACCESS_ATOMIC : 0, _RET_IP_);	\
	}									\
	void __tsan_volatile_write##size(void *ptr);				\
	void __tsan_volatile_write##size(void *ptr)				\
	{									\
		kemu_accessed(ptr, size, KCSAN_ACCESS_WRITE | (size <= sizeof(long) ? KCSAN_ACCESS_ATOMIC : 0), _RET_IP_);	\
	}									\
	void __tsan_unaligned_volatile_read##size(void *ptr);			\
	void __tsan_unaligned_volatile_read##size(void *ptr)			\
	{									\
		kemu_accessed(ptr, size, 0, _RET_IP_);				\
	}									\
	void __tsan_unaligned_volatile_write##size(void *ptr);			\
	void __tsan_unaligned_volatile_write##size(void *ptr)			\
	{									\
		kemu_accessed(ptr, size, KCSAN_ACCESS_WRITE, _RET_IP_);		\
	}

TSAN_ACCESS(1)
TSAN_ACCESS(2)
TSAN_ACCESS(4)
TSAN_ACCESS(8)
TSAN_ACCESS(16)

void __tsan_read_range(void *ptr, size_t size);
void __tsan_read_range(void *ptr, size_t size)
{
	kemu_accessed(ptr, size, 0, _RET_IP_);
}

void __tsan_write_range(void *ptr, size_t size);
void __tsan_write_range(void *ptr, size_t size)
{
	kemu_accessed(ptr, size, KCSAN_ACCESS_WRITE, _RET_IP_);
}

void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc)
{
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

void __tsan_init(void);
void __tsan_init(void)
{
}

/* ---- what linux/kcsan-checks.h declares ---- */

void __kcsan_check_access(const volatile void *ptr, size_t size, int type)
{
	if (!(type & (KCSAN_ACCESS_ASSERT | KCSAN_ACCESS_SCOPED)))
		kemu_accessed(ptr, size, type, _RET_IP_);
}

void kcsan_disable_current(void)
{
	kemu_quiet++;
}

void kcsan_enable_current(void)
{
	if (kemu_quiet)
		kemu_quiet--;
}

void kcsan_enable_current_nowarn(void)
{
	if (kemu_quiet)
		kemu_quiet--;
}

void kcsan_nestable_atomic_begin(void)
{
	kemu_nested++;
}

void kcsan_nestable_atomic_end(void)
{
	if (kemu_nested)
		kemu_nested--;
}

void kcsan_flat_atomic_begin(void)
{
	kemu_flat = true;
}

void kcsan_flat_atomic_end(void)
{
	kemu_flat = false;
}

void kcsan_atomic_next(int n)
{
	kemu_next_marked = n;
}

void kcsan_set_access_mask(unsigned long mask)
{
}

struct kcsan_scoped_access *kcsan_begin_scoped_access(const volatile void *ptr, size_t size, int type, struct kcsan_scoped_access *sa)
{
	return sa;
}

void kcsan_end_scoped_access(struct kcsan_scoped_access *sa)
{
}

void __kcsan_mb(void)
{
}

void __kcsan_wmb(void)
{
}

void __kcsan_rmb(void)
{
}

void __kcsan_release(void)
{
}
