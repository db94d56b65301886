// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks, as far as they sleep and wake: each has a stack; who runs next when one sleeps is a choice. Work items, RCU callbacks and
 * timers run when the running task sleeps, or at the end of a call into the kernel. Nothing is preempted.
 */
#include <linux/async.h>
#include <linux/completion.h>
#include <linux/init_task.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/rcuwait.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/wake_q.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "runtime.h"

struct task_struct *cpu_tasks[NR_CPUS];
unsigned long volatile jiffies;
u64 jiffies_64;

#define WORKERS		16
#define STACK_BYTES	(1ul << 20)	/* who chooses runs on it, too: Python, and what it calls */

struct worker {
	struct task_struct task;
	void *sp;
	char *stack;
	struct work_struct *busy;
	struct workqueue_struct *of;
	int (*thread)(void *data);	/* a kthread's; a worker has none */
	void *data;
	struct completion exited;
	bool stop, dead;
	long result;
};

static void *main_sp;
static struct worker *workers[WORKERS];
static int worker_count;
static kemu_choose_t chooser;
static struct task_struct *waiting;	/* for the others to have nothing more to do */
static u64 progress;

void kemu_choose(kemu_choose_t choose)
{
	chooser = choose;
}

unsigned int kemu_pick(unsigned int kind, unsigned int n)
{
	unsigned int i;

	if (n < 2 || !chooser)
		return 0;
	i = chooser(kind, n);
	return i < n ? i : 0;
}

/* ---- switching: callee-saved registers on the old stack, the new stack's from it ---- */

void kemu_switch(void **from, void *to);
asm(".text\n.type kemu_switch,@function\nkemu_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n.size kemu_switch,.-kemu_switch\n");

static struct worker *worker_of(struct task_struct *task)
{
	return task == &init_task ? NULL : container_of(task, struct worker, task);
}

static void switch_to_task(struct task_struct *next)
{
	struct worker *from = worker_of(current), *to = worker_of(next);

	if (next == current)
		return;
	kemu_stats.switches++;
	if (next != waiting)
		progress++;
	cpu_tasks[0] = next;
	kemu_switch(from ? &from->sp : &main_sp, to ? to->sp : main_sp);
}

static unsigned int runnable(struct task_struct **list)
{
	unsigned int n = 0;
	int i;

	if (READ_ONCE(init_task.__state) == TASK_RUNNING)
		list[n++] = &init_task;
	for (i = 0; i < worker_count; i++)
		if (READ_ONCE(workers[i]->task.__state) == TASK_RUNNING)
			list[n++] = &workers[i]->task;
	return n;
}

static bool run_idle(void);
static struct worker *willing(void);

/* Whoever is chosen; behind the tasks that can run stands a worker that takes up what waits to be done. */
static void switch_to_one_of(struct task_struct **list, unsigned int n)
{
	struct worker *w = chooser ? willing() : NULL;
	unsigned int pick = kemu_pick(KEMU_PICK_TASK, n + !!w);

	if (pick == n) {
		WRITE_ONCE(w->task.__state, TASK_RUNNING);
		progress++;
		list[n] = &w->task;
	}
	switch_to_task(list[pick]);
}

void schedule(void)
{
	struct task_struct *list[WORKERS + 2];
	unsigned int n;

	for (;;) {
		n = runnable(list);
		if (n)
			break;
		if (run_idle())
			continue;
		if (!waiting || READ_ONCE(waiting->__state) == TASK_RUNNING)
			kemu_trap("deadlock: every task sleeps");
		WRITE_ONCE(waiting->__state, TASK_RUNNING);
	}
	switch_to_one_of(list, n);
}

void schedule_preempt_disabled(void)
{
	schedule();
}

void io_schedule(void)
{
	schedule();
}

int io_schedule_prepare(void)
{
	return 0;
}

void io_schedule_finish(int token)
{
}

long io_schedule_timeout(long timeout)
{
	return schedule_timeout(timeout);
}

/* Time passes when nobody runs. */
long schedule_timeout(long timeout)
{
	struct task_struct *list[WORKERS + 1];

	while (!runnable(list) && run_idle())
		;
	if (runnable(list)) {
		schedule();
		return timeout;
	}
	jiffies += timeout;
	__set_current_state(TASK_RUNNING);
	return 0;
}

void kick_process(struct task_struct *p)
{
}

/* Where the kernel lets others run if they want to, they may. */
int __cond_resched(void)
{
	struct task_struct *list[WORKERS + 2];
	unsigned int n, i;

	if (!chooser || READ_ONCE(current->__state) != TASK_RUNNING)
		return 0;
	n = runnable(list);
	for (i = 0; list[i] != current; i++)
		;
	swap(list[0], list[i]);
	switch_to_one_of(list, n);
	return 0;
}

int try_to_wake_up(struct task_struct *p, unsigned int state, int wake_flags)
{
	if (!(READ_ONCE(p->__state) & state))
		return 0;
	WRITE_ONCE(p->__state, TASK_RUNNING);
	return 1;
}

int wake_up_process(struct task_struct *p)
{
	return try_to_wake_up(p, TASK_NORMAL, 0);
}

int wake_up_state(struct task_struct *p, unsigned int state)
{
	return try_to_wake_up(p, state, 0);
}

int default_wake_function(wait_queue_entry_t *curr, unsigned mode, int wake_flags, void *key)
{
	return try_to_wake_up(curr->private, mode, wake_flags);
}

void wake_q_add(struct wake_q_head *head, struct task_struct *task)
{
	struct wake_q_node *node = &task->wake_q;

	if (node->next)
		return;
	node->next = WAKE_Q_TAIL;
	get_task_struct(task);
	*head->lastp = node;
	head->lastp = &node->next;
}

void wake_q_add_safe(struct wake_q_head *head, struct task_struct *task)
{
	wake_q_add(head, task);
	put_task_struct(task);
}

void wake_up_q(struct wake_q_head *head)
{
	struct wake_q_node *node = head->first;

	while (node != WAKE_Q_TAIL) {
		struct task_struct *task = container_of(node, struct task_struct, wake_q);

		node = node->next;
		task->wake_q.next = NULL;
		wake_up_process(task);
		put_task_struct(task);
	}
}

void __put_task_struct_rcu_cb(struct rcu_head *rhp)
{
	kemu_trap("a task's last reference is dropped");
}

/* ---- work queues ---- */

struct workqueue_struct {
	struct list_head pending;
	unsigned int running, max_active;
	struct list_head all;
};

static LIST_HEAD(queues);
static struct workqueue_struct the_system_wq;
struct workqueue_struct *system_percpu_wq = &the_system_wq;
struct workqueue_struct *system_unbound_wq = &the_system_wq;
struct workqueue_struct *system_wq = &the_system_wq;
struct workqueue_struct *system_dfl_wq = &the_system_wq;

static void queue_init(struct workqueue_struct *wq, unsigned int max_active)
{
	INIT_LIST_HEAD(&wq->pending);
	wq->max_active = max_active ?: 256;
	list_add_tail(&wq->all, &queues);
}

static struct work_struct *next_work(struct workqueue_struct **of)
{
	struct workqueue_struct *wq;
	struct work_struct *work;
	unsigned int n = 0, pick;

	list_for_each_entry(wq, &queues, all)
		if (wq->running < wq->max_active)
			n += list_count_nodes(&wq->pending);
	if (!n)
		return NULL;
	pick = kemu_pick(KEMU_PICK_WORK, n);
	list_for_each_entry(wq, &queues, all) {
		if (wq->running >= wq->max_active)
			continue;
		list_for_each_entry(work, &wq->pending, entry)
			if (!pick--) {
				*of = wq;
				return work;
			}
	}
	return NULL;
}

static void run_work(struct worker *w)
{
	struct workqueue_struct *wq;
	struct work_struct *work = next_work(&wq);

	if (!work)
		return;
	list_del_init(&work->entry);
	clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
	w->busy = work;
	w->of = wq;
	wq->running++;
	kemu_stats.works++;
	work->func(work);
	wq->running--;
	w->busy = NULL;
	w->of = NULL;
}

static void __noreturn worker_main(void)
{
	for (;;) {
		run_work(container_of(current, struct worker, task));
		WRITE_ONCE(current->__state, TASK_IDLE);
		schedule();
	}
}

/* Another task, which begins at @main when it runs first; one that is dead gives its stack. */
static struct worker *new_task(void (*main)(void), unsigned int flags)
{
	struct worker *w = NULL;
	void **sp;
	char *stack;
	int i;

	for (i = 0; i < worker_count && !w; i++)
		if (workers[i]->dead)
			w = workers[i];
	if (!w) {
		if (worker_count == WORKERS)
			return NULL;
		w = host_reserve(sizeof(*w));
		w->stack = host_reserve(STACK_BYTES);
		host_forbid(w->stack, PAGE_SIZE);	/* behind its end is somebody else's memory */
		workers[worker_count++] = w;
	}
	stack = w->stack;
	i = w->task.pid ?: 1 + worker_count;
	memset(w, 0, sizeof(*w));
	memcpy(&w->task, &init_task, sizeof(init_task));
	w->stack = stack;
	w->task.flags = PF_KTHREAD | flags;
	w->task.task_works = NULL;	/* as copy_process() */
	w->task.__state = TASK_UNINTERRUPTIBLE;
	w->task.pid = w->task.tgid = i;
	sp = (void **)(w->stack + STACK_BYTES - 64);
	*--sp = NULL;			/* the caller of @main, with the stack aligned as at a call */
	*--sp = main;
	sp -= 6;
	memset(sp, 0, 6 * sizeof(*sp));
	w->sp = sp;
	return w;
}

static struct worker *idle_worker(void)
{
	struct worker *w;
	int i;

	for (i = 0; i < worker_count; i++)
		if (READ_ONCE(workers[i]->task.__state) == TASK_IDLE && !workers[i]->busy && !workers[i]->thread)
			return workers[i];
	w = new_task(worker_main, PF_WQ_WORKER);
	if (!w)
		return NULL;
	w->task.__state = TASK_IDLE;
	strscpy(w->task.comm, "kworker", sizeof(w->task.comm));
	return w;
}

/* ---- kthreads: as kernel/kthread.c has them, without kthreadd, affinity and parking ---- */

static void __noreturn thread_main(void)
{
	struct worker *w = container_of(current, struct worker, task);

	kthread_exit(w->thread(w->data));
}

struct task_struct *kthread_create_on_node(int (*threadfn)(void *data), void *data, int node, const char namefmt[], ...)
{
	struct worker *w;
	va_list ap;

	if (kemu_should_fail(GFP_KERNEL))
		return ERR_PTR(-ENOMEM);
	w = new_task(thread_main, 0);
	if (!w)
		return ERR_PTR(-EAGAIN);
	w->thread = threadfn;
	w->data = data;
	init_completion(&w->exited);
	w->task.vfork_done = &w->exited;
	va_start(ap, namefmt);
	vsnprintf(w->task.comm, sizeof(w->task.comm), namefmt, ap);
	va_end(ap);
	return &w->task;
}

void __noreturn do_exit(long code)
{
	struct worker *w = worker_of(current);

	if (!w || !w->thread)
		kemu_trap("do_exit() of a task that is no kthread");
	w->result = code;
	current->vfork_done = NULL;
	complete(&w->exited);
	w->dead = true;
	WRITE_ONCE(current->__state, TASK_DEAD);
	schedule();
	kemu_trap("a task that is dead runs");
}

bool kthread_should_stop(void)
{
	struct worker *w = worker_of(current);

	return w && w->stop;
}

int kthread_stop(struct task_struct *k)
{
	struct worker *w = worker_of(k);

	w->stop = true;
	wake_up_process(k);
	wait_for_completion(&w->exited);
	return w->result;
}

/* Something to do where nobody runs: a work item, else RCU callbacks. */
static bool run_rcu(void);

/* A worker that could take up work, if some waits. */
static struct worker *willing(void)
{
	struct workqueue_struct *wq;

	list_for_each_entry(wq, &queues, all)
		if (!list_empty(&wq->pending) && wq->running < wq->max_active)
			return idle_worker();
	return NULL;
}

static bool run_idle(void)
{
	struct worker *w = willing();

	if (w) {
		w->task.__state = TASK_RUNNING;
		progress++;
		return true;
	}
	return run_rcu();
}

bool queue_work_on(int cpu, struct workqueue_struct *wq, struct work_struct *work)
{
	if (test_and_set_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work)))
		return false;
	list_add_tail(&work->entry, &wq->pending);
	return true;
}

bool queue_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *dwork, unsigned long delay)
{
	return queue_work_on(cpu, wq, &dwork->work);
}

bool mod_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *dwork, unsigned long delay)
{
	return !queue_work_on(cpu, wq, &dwork->work);
}

void delayed_work_timer_fn(struct timer_list *t)
{
}

void set_worker_desc(const char *fmt, ...)
{
}

bool current_is_workqueue_rescuer(void)
{
	return false;
}

static bool is_busy(struct work_struct *work)
{
	int i;

	for (i = 0; i < worker_count; i++)
		if (workers[i]->busy == work)
			return true;
	return work_pending(work);
}

/* Let the others run until they can do nothing more; whether they did anything. */
static bool let_run(void)
{
	struct task_struct *before = waiting;
	u64 done = progress;

	waiting = current;
	WRITE_ONCE(current->__state, TASK_UNINTERRUPTIBLE);
	schedule();
	waiting = before;
	return progress != done;
}

static void wait_for(struct work_struct *work)
{
	while (is_busy(work))
		if (!let_run())
			kemu_trap("deadlock: a work item is waited for that never ends");
}

bool flush_work(struct work_struct *work)
{
	bool was = is_busy(work);

	wait_for(work);
	return was;
}

bool flush_delayed_work(struct delayed_work *dwork)
{
	return flush_work(&dwork->work);
}

bool cancel_work_sync(struct work_struct *work)
{
	bool was = work_pending(work);

	if (was) {
		list_del_init(&work->entry);
		clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
	}
	wait_for(work);
	return was;
}

bool cancel_delayed_work_sync(struct delayed_work *dwork)
{
	return cancel_work_sync(&dwork->work);
}

void __flush_workqueue(struct workqueue_struct *wq)
{
	while (!list_empty(&wq->pending) || wq->running)
		if (!let_run())
			kemu_trap("deadlock: a work queue is waited for that never empties");
}

struct workqueue_struct *alloc_workqueue_noprof(const char *fmt, unsigned int flags, int max_active, ...)
{
	struct workqueue_struct *wq = kzalloc(sizeof(*wq), GFP_KERNEL);

	if (wq)
		queue_init(wq, max_active);
	return wq;
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	__flush_workqueue(wq);
	list_del(&wq->all);
	kfree(wq);
}

/* ---- async calls are work ---- */

struct async_call {
	struct work_struct work;
	async_func_t func;
	void *data;
	async_cookie_t cookie;
};

static async_cookie_t last_cookie;

static void run_async(struct work_struct *work)
{
	struct async_call *call = container_of(work, struct async_call, work);

	call->func(call->data, call->cookie);
	kfree(call);
}

async_cookie_t async_schedule_node_domain(async_func_t func, void *data, int node, struct async_domain *domain)
{
	struct async_call *call = kzalloc(sizeof(*call), GFP_ATOMIC);
	async_cookie_t cookie = ++last_cookie;

	if (!call) {
		func(data, cookie);
		return cookie;
	}
	INIT_WORK(&call->work, run_async);
	call->func = func;
	call->data = data;
	call->cookie = cookie;
	queue_work_on(0, system_wq, &call->work);
	return cookie;
}

void async_synchronize_cookie_domain(async_cookie_t cookie, struct async_domain *domain)
{
	__flush_workqueue(system_wq);
}

/* ---- RCU: a grace period ends when nobody runs, or somebody waits for it ---- */

static struct rcu_head *callbacks, **last_callback = &callbacks;
static bool soon;

/* A grace period may also be over at once: who has freed something is then not to use it any more. */
void kemu_rcu_soon(int on)
{
	soon = on;
}

bool kemu_is_soon(void)
{
	return soon;
}

void call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	if (soon) {
		if (slab_has(func))
			kvfree(func);
		else
			func(head);
		return;
	}
	head->func = func;
	head->next = NULL;
	*last_callback = head;
	last_callback = &head->next;
}

static bool run_rcu(void)
{
	struct rcu_head *head = callbacks;
	bool any = head;

	progress += any;
	callbacks = NULL;
	last_callback = &callbacks;
	while (head) {
		struct rcu_head *next = head->next;

		if (slab_has(head->func))
			kvfree(head->func);	/* kvfree_rcu() */
		else
			head->func(head);
		head = next;
	}
	return any;
}

void synchronize_rcu(void)
{
	run_rcu();
}

void rcu_barrier(void)
{
	while (run_rcu())
		;
}

/* ---- the end of a call into the kernel ---- */

void tasks_settle(void)
{
	while (let_run())
		;
}

void tasks_start(void)
{
	cpu_tasks[0] = &init_task;
	init_task.flags &= ~PF_KTHREAD;
	queue_init(&the_system_wq, 0);
}
