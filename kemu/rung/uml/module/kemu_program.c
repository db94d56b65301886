// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs: a beginning, tasks that run beside each other under a plan, and an end. A batch of plans of one program is run for each byte
 * that comes on the channel; a byte back says that what became of them is in the shared memory.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/panic.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/xxhash.h>
#include "kemu.h"
#include "kemu_sched.h"

#define KEMU_PATIENCE	(300 * HZ)	/* of virtual time: who sleeps longer is not going to be woken */

struct kemu_task {
	struct task_struct *task;
	struct completion go;
	char *buffer;
	u32 number;
};

static struct kemu_task kemu_pool[KEMU_TASKS];
static struct completion kemu_finished;
static atomic_t kemu_left;

static struct kemu_op kemu_ops[KEMU_OPS];	/* the program, out of the host's reach */
static char kemu_strings[KEMU_STRINGS + 1];
static struct kemu_said kemu_said[KEMU_OPS], kemu_right[KEMU_OPS];
static struct kemu_files kemu_files = { .strings = kemu_strings };
static u32 kemu_count_ops, kemu_right_lines;
static bool kemu_damaged;		/* a read fails alone, and nobody makes calls fail: the image is damaged */
static char *kemu_buffer;

static void kemu_steps(u32 task, char *buffer)
{
	for (u32 i = 0; i < kemu_count_ops; i++)
		if (kemu_ops[i].task == task)
			kemu_op(&kemu_files, &kemu_ops[i], buffer, &kemu_said[i]);
}

static int kemu_worker(void *arg)
{
	struct kemu_task *t = arg;

	snprintf(current->comm, sizeof(current->comm), "task%u", t->number);
	kemu_take_part(current);
	for (;;) {
		wait_for_completion(&t->go);
		kemu_steps(t->number, t->buffer);
		if (atomic_dec_and_test(&kemu_left))
			complete(&kemu_finished);
	}
	return 0;
}

static u32 kemu_has_steps(u32 task)
{
	for (u32 i = 0; i < kemu_count_ops; i++)
		if (kemu_ops[i].task == task)
			return 1;
	return 0;
}

static void kemu_show_tasks(void)
{
	struct task_struct *p, *t;

	rcu_read_lock();
	for_each_process_thread(p, t)
		if (READ_ONCE(t->__state) & TASK_UNINTERRUPTIBLE && !(READ_ONCE(t->__state) & TASK_NOLOAD))
			sched_show_task(t);
	rcu_read_unlock();
}

static u64 kemu_signature(u32 end)
{
	u64 h = end;

	for (u32 i = 0; i < kemu_count_ops; i++) {
		u64 said[] = { kemu_said[i].run, kemu_said[i].value, kemu_said[i].digest };

		h = xxh64(said, sizeof(said), h);
	}
	return h;
}

/*
 * Of a damaged file who reads a page gets the decompressor's error, and who waited for it EIO; and whether there is an error at all depends on
 * which pages of a pcluster are asked for first.
 */
static bool kemu_same_damage(const struct kemu_op *op, const struct kemu_said *right, const struct kemu_said *said)
{
	return kemu_damaged && (op->what == KEMU_OP_READ || op->what == KEMU_OP_MAP) && right->run && said->run &&
	       (right->value < 0 || said->value < 0);
}

/* How often the kernel says that of a damaged image, too, depends on who reads what. */
static bool kemu_is_damaged(void)
{
	bool damaged = false;

	for (u32 i = 0; i < kemu_count_ops; i++) {
		const struct kemu_op *op = &kemu_ops[i];

		if (op->what == KEMU_OP_FAIL)
			return false;
		damaged |= (op->what == KEMU_OP_READ || op->what == KEMU_OP_MAP) &&
			   (kemu_right[i].value == -EUCLEAN || kemu_right[i].value == -EIO || kemu_right[i].value == -EFAULT);
	}
	return damaged;
}

static bool kemu_may(const struct kemu_op *op, const struct kemu_said *said)
{
	for (size_t i = 0; i < ARRAY_SIZE(op->may); i++)
		if (op->may[i] == KEMU_ANY || (op->may[i] && op->may[i] == said->value))
			return true;
	return false;
}

static u32 kemu_wrong(void)
{
	for (u32 i = 0; i < kemu_count_ops; i++)
		if (kemu_ops[i].what == KEMU_OP_FOREIGN && kemu_said[i].run && kemu_said[i].value >= 0) {
			if (kemu_said[i].value)		/* whatever it was alone */
				return i + 1;
		} else if ((kemu_said[i].run != kemu_right[i].run || kemu_said[i].value != kemu_right[i].value ||
		     kemu_said[i].digest != kemu_right[i].digest) && !kemu_may(&kemu_ops[i], &kemu_said[i]) &&
		    !kemu_same_damage(&kemu_ops[i], &kemu_right[i], &kemu_said[i]))
			return i + 1;
	return 0;
}

static void kemu_run(const struct kemu_plan *plan, struct kemu_result *result)
{
	unsigned long tainted = get_taint();
	u32 order = plan->order ?: 0x654321, left = 0;
	u32 end = KEMU_END_DONE, lines = kemu_lines;

	memset(kemu_said, 0, sizeof(kemu_said));
	memset(result, 0, sizeof(*result));
	kemu_fresh = 0;
	kemu_steps(0, kemu_buffer);
	for (u32 i = 1; i <= KEMU_TASKS; i++)
		left += kemu_has_steps(i);
	if (left) {
		atomic_set(&kemu_left, left);
		reinit_completion(&kemu_finished);
		preempt_disable();
		kemu_arm(plan, result);
		for (; order; order >>= 4) {
			u32 i = order & 15;

			if (i && i <= KEMU_TASKS && kemu_has_steps(i))
				complete(&kemu_pool[i - 1].go);
		}
		preempt_enable();
		if (!wait_for_completion_timeout(&kemu_finished, KEMU_PATIENCE))
			end = KEMU_END_HANG;
		kemu_disarm();
	}
	if (end == KEMU_END_HANG) {
		pr_err("kemu: a task of the program is not coming back\n");
		kemu_show_tasks();
	} else {
		kemu_steps(KEMU_TASKS + 1, kemu_buffer);
		for (u32 i = 0; i < KEMU_SLOTS; i++) {
			struct kemu_op close = { .what = KEMU_OP_CLOSE, .slot = i };
			struct kemu_said said;

			if (kemu_files.slot[i])
				kemu_op(&kemu_files, &close, kemu_buffer, &said);
		}
	}
	if (get_taint() != tainted || kemu_raced)
		end = KEMU_END_SPLAT;
	result->lines = kemu_lines - lines;
	result->fresh = kemu_fresh;
	result->signature = kemu_signature(end);
	result->end = end;
}

/* The program as it is now: what the host writes meanwhile is the next batch's. */
static int kemu_take_program(const void *share, const struct kemu_sched *head)
{
	kemu_count_ops = READ_ONCE(head->ops);
	if (READ_ONCE(head->magic) != KEMU_SCHED_MAGIC || kemu_count_ops > KEMU_OPS)
		return -EINVAL;
	memcpy(kemu_ops, share + KEMU_AT_OPS, kemu_count_ops * sizeof(*kemu_ops));
	memcpy(kemu_strings, share + KEMU_AT_STRINGS, KEMU_STRINGS);
	for (u32 i = 0; i < kemu_count_ops; i++) {
		const struct kemu_op *op = &kemu_ops[i];

		if (op->slot >= KEMU_SLOTS || max3(op->text, op->text2, op->text3) >= KEMU_STRINGS)
			return -EINVAL;
	}
	return 0;
}

static int kemu_batch(void *share)
{
	struct kemu_sched *head = share;
	u32 plans = READ_ONCE(head->plans), done = 0;
	bool learn = READ_ONCE(head->learn), stop = READ_ONCE(head->stop), talks = READ_ONCE(head->talks);
	int err = kemu_take_program(share, head);

	if (err || plans > KEMU_PLANS)
		return err ?: -EINVAL;
	kemu_disk_late = READ_ONCE(head->late);
	if (learn)
		kemu_forget_edges();
	kemu_trace = READ_ONCE(head->trace) ? share + KEMU_AT_TRACE : NULL;
	while (done < plans) {
		struct kemu_plan plan = ((struct kemu_plan *)(share + KEMU_AT_PLANS))[done];
		/* in the shared memory at once: the host may find the kernel dead */
		struct kemu_result *result = (struct kemu_result *)(share + KEMU_AT_RESULTS) + done;

		if (plan.switches > KEMU_SWITCHES)
			return -EINVAL;
		WRITE_ONCE(head->running, done);
		kemu_run(&plan, result);
		if (learn) {
			memcpy(kemu_right, kemu_said, sizeof(kemu_said));
			kemu_right_lines = result->lines;
			kemu_damaged = kemu_is_damaged();
		}
		result->wrong = kemu_wrong();
		if (!result->wrong && result->lines > kemu_right_lines && !talks && !kemu_damaged)
			result->wrong = KEMU_WRONG_LOG;
		done++;
		if (result->end != KEMU_END_DONE || (stop && result->wrong))
			break;
	}
	memcpy(share + KEMU_AT_SAID, kemu_said, sizeof(kemu_said));
	WRITE_ONCE(head->trace, min(kemu_points, (u32)KEMU_TRACE));
	WRITE_ONCE(head->done, done);
	return 0;
}

/* This task and all kernel threads that there are; those to come do it themselves. */
static void kemu_all_take_part(void)
{
	struct task_struct *p, *t;

	kemu_take_part(current);
	rcu_read_lock();
	for_each_process_thread(p, t)
		if (t->flags & PF_KTHREAD)
			kemu_take_part(t);
	rcu_read_unlock();
}

static int kemu_begin(void)
{
	if (kemu_buffer)
		return 0;
	init_completion(&kemu_finished);
	kemu_all_take_part();
	for (u32 i = 0; i < KEMU_TASKS; i++) {
		struct kemu_task *task = &kemu_pool[i];
		pid_t pid;

		task->number = i + 1;
		task->buffer = vmalloc(KEMU_BUFFER);
		init_completion(&task->go);
		/* its files are the agent's: copies of them would keep those open */
		pid = user_mode_thread(kemu_worker, task, CLONE_FILES | SIGCHLD);
		if (!task->buffer || pid < 0)
			return -ENOMEM;
	}
	kemu_buffer = vmalloc(KEMU_BUFFER);
	return kemu_buffer ? 0 : -ENOMEM;
}

long kemu_sched_serve(void)
{
	unsigned long bytes;
	void *share = kemu_share(&bytes);
	int err = share && bytes >= KEMU_SHARE_BYTES ? kemu_begin() : -ENXIO;
	char word;

	while (!err) {
		err = kemu_host_read(&word, 1);
		if (err || word == 'q')
			break;
		word = kemu_batch(share) ? 'e' : 'd';
		err = kemu_host_write(&word, 1);
	}
	return err;
}

/* ---- boots ---- */

static struct kemu_sched *kemu_boot;

static int __init kemu_boot_begins(void)
{
	unsigned long bytes;
	void *share = kemu_share(&bytes);
	static struct kemu_plan plan;

	if (!share || bytes < KEMU_SHARE_BYTES || !READ_ONCE(((struct kemu_sched *)share)->boot))
		return 0;
	kemu_boot = share;
	plan = *(struct kemu_plan *)(share + KEMU_AT_PLANS);
	plan.switches = min(plan.switches, (u32)KEMU_SWITCHES);
	kemu_trace = kemu_boot->trace ? share + KEMU_AT_TRACE : NULL;
	kemu_all_take_part();
	kemu_arm(&plan, share + KEMU_AT_RESULTS);
	return 0;
}
pure_initcall(kemu_boot_begins);

bool kemu_boot_is_chosen(void)
{
	return kemu_boot;
}

void kemu_boot_ends(void)
{
	if (!kemu_boot)
		return;
	kemu_callers_wait();
	kemu_disarm();
	WRITE_ONCE(kemu_boot->trace, min(kemu_points, (u32)KEMU_TRACE));
	kemu_boot = NULL;
	kemu_callers_tell();
}
