// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scheduling points: the compiler calls in at every basic block of the objects that are built for it. Where another task could run,
 * that is a question; a plan says which of them are answered with another task than the one that runs. Whoever is switched away from
 * is preempted by the scheduler as by a wake-up of somebody more important.
 */
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/sched/task.h>
#include <uapi/linux/sched/types.h>
#include "kemu_sched.h"

#define KEMU_LEVEL	50		/* everybody's priority; who is held is below */
#define KEMU_CANDIDATES	32
#define KEMU_SLOW	25		/* jiffies that who is held loses */
#define KEMU_SLICE	50000		/* points after which who runs on and on lets the others run */
#define KEMU_SLICES	400		/* in a row, after which it is not going to end */
#define KEMU_EDGE_BITS	18

u32 kemu_points;
u64 *kemu_trace;
bool kemu_armed, kemu_fine;
static u32 kemu_next;			/* number of the question with another answer; 0: none */
static u32 kemu_taken;			/* switches of the plan that were */
static const struct kemu_plan *kemu_plan;
static struct kemu_result *kemu_result;
static struct task_struct *kemu_held[KEMU_SWITCHES];
static u32 kemu_holds;
static u32 kemu_fuel, kemu_slices;
static struct task_struct *kemu_burner;
u32 kemu_fresh;
static u8 kemu_edges[1 << KEMU_EDGE_BITS];
static struct task_struct *kemu_edge_task;
static u32 kemu_edge_from;
static u32 kemu_stopped;		/* about where the task is that was preempted last */

static void kemu_level(struct task_struct *p, int level)
{
	struct sched_param param = { .sched_priority = level };

	sched_setscheduler_nocheck(p, SCHED_FIFO, &param);
}

/* First come, first served, and nobody is preempted by a wake-up: everybody has one priority. */
void kemu_take_part(struct task_struct *p)
{
	kemu_level(p, KEMU_LEVEL);
}

static void kemu_next_question(void)
{
	kemu_next = kemu_taken < kemu_plan->switches ? kemu_points + kemu_plan->at[kemu_taken].gap : 0;
}

/* The others that can run, in the order of their numbers. */
static u32 kemu_others(struct task_struct **others)
{
	struct task_struct *p, *t;
	u32 n = 0;

	rcu_read_lock();
	for_each_process_thread(p, t)
		if (t != current && task_is_running(t) && READ_ONCE(t->on_rq) && n < KEMU_CANDIDATES)
			others[n++] = t;
	rcu_read_unlock();
	return n;
}

static void kemu_release(void)
{
	while (kemu_holds) {
		struct task_struct *p = kemu_held[--kemu_holds];

		kemu_level(p, KEMU_LEVEL);
		put_task_struct(p);
	}
}

/* To the tail of those of its priority: lowered, and raised again. */
static void kemu_last(void)
{
	kemu_level(current, KEMU_LEVEL - KEMU_SWITCHES - 1);
	kemu_level(current, KEMU_LEVEL);
}

/* Who waits by looking again and again would wait for ever for somebody of its own priority, or who is held. */
static noinline void kemu_slice_over(void)
{
	kemu_fuel = KEMU_SLICE;
	kemu_slices = kemu_burner == current ? kemu_slices + 1 : 0;
	kemu_burner = current;
	if (kemu_slices > KEMU_SLICES)
		panic("kemu: %s runs and does not end", current->comm);
	preempt_disable();
	kemu_release();
	kemu_last();
	preempt_enable();
}

/*
 * Who is held comes back when all others sleep. A slow processor, or a long unpacking, would not have come so far yet: time passes, and
 * whoever wakes up meanwhile runs.
 */
static void kemu_slow(void)
{
	for (u32 i = 0; i < KEMU_SLOW && kemu_armed; i++)
		mdelay(1000 / HZ);
}

static noinline void kemu_switch(unsigned long pc, const struct kemu_access *access)
{
	struct kemu_watch *watch;
	const struct kemu_switch *to = &kemu_plan->at[kemu_taken];
	struct task_struct *others[KEMU_CANDIDATES], *who;
	struct kemu_switched *s;
	bool hold = to->hold;
	u32 n;

	preempt_disable();
	n = kemu_others(others);
	if (!n) {
		kemu_next++;
		preempt_enable_no_resched();
		return;
	}
	kemu_stopped = hash_32((u32)(pc >> 8), KEMU_EDGE_BITS);
	who = others[to->who % n];
	s = &kemu_result->at[kemu_taken++];
	s->point = kemu_points;
	s->pc = pc;
	s->from = task_pid_nr(current);
	s->to = task_pid_nr(who);
	get_task_comm(s->from_comm, current);
	get_task_comm(s->to_comm, who);
	kemu_result->switches = kemu_taken;
	kemu_next_question();
	kemu_fuel = KEMU_SLICE;

	/* to the head of those of its priority: raised, and lowered again */
	if (hold) {
		kemu_held[kemu_holds++] = get_task_struct(current);
		kemu_level(current, KEMU_LEVEL - (int)kemu_holds);
	} else {
		kemu_last();
	}
	kemu_level(who, KEMU_LEVEL + 1);
	kemu_level(who, KEMU_LEVEL);
	watch = kemu_watch_begin(access);
	set_tsk_need_resched(current);
	set_preempt_need_resched();
	preempt_enable();
	if (hold)
		kemu_slow();
	kemu_watch_end(watch);
}

/* A place where another task could run; @access: what is going to be accessed there, or NULL. */
void notrace kemu_question(unsigned long pc, const struct kemu_access *access)
{
	if (!preemptible())
		return;
	if (unlikely(!--kemu_fuel))
		kemu_slice_over();
	if (nr_running() < 2)
		return;
	if (unlikely(kemu_trace) && kemu_points < KEMU_TRACE)
		kemu_trace[kemu_points] = (u64)task_pid_nr(current) << KEMU_TRACE_PID | pc;
	if (++kemu_points == kemu_next)
		kemu_switch(pc, access);
}

/* Which way the code went while somebody stood where: from which block to which, of one task. A switch is no edge. */
static __always_inline void kemu_edge(unsigned long pc)
{
	struct task_struct *task = current;
	u32 at = hash_32((u32)pc, KEMU_EDGE_BITS);

	if (task == kemu_edge_task) {
		u8 *edge = &kemu_edges[kemu_edge_from ^ at ^ kemu_stopped];

		kemu_fresh += !*edge;
		*edge = 1;
	}
	kemu_edge_task = task;
	kemu_edge_from = at >> 1;
}

void notrace __sanitizer_cov_trace_pc(void);
void notrace __sanitizer_cov_trace_pc(void)
{
	if (unlikely(kemu_armed)) {
		kemu_edge(_RET_IP_);
		kemu_question(_RET_IP_, NULL);
	}
}

void kemu_forget_edges(void)
{
	memset(kemu_edges, 0, sizeof(kemu_edges));
}

void kemu_arm(const struct kemu_plan *plan, struct kemu_result *result)
{
	kemu_plan = plan;
	kemu_result = result;
	kemu_points = kemu_taken = kemu_holds = kemu_slices = kemu_stopped = 0;
	kemu_fuel = KEMU_SLICE;
	kemu_burner = kemu_edge_task = NULL;
	kemu_next_question();
	kemu_fine = plan->fine;
	kemu_armed = true;
}

void kemu_disarm(void)
{
	kemu_armed = kemu_fine = false;
	kemu_result->points = kemu_points;
	kemu_release();
	kemu_watch_none();
}
