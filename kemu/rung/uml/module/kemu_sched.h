/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chosen schedules: what the kernel's side and the host's share. In the shared memory stand, one behind the other, a header, a
 * program, plans and what became of each. kemu/rung/uml/sched/wire.py is the other side.
 */
#ifndef _KEMU_SCHED_H
#define _KEMU_SCHED_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define KEMU_IOC_SCHED		_IO('k', 32)	/* serve: one byte on the channel is one batch of plans, until a byte 'q' comes */

#define KEMU_SCHED_MAGIC	0x4853454bu	/* "KESH" */
#define KEMU_TASKS		6		/* that run beside each other */
#define KEMU_SLOTS		16		/* open files */
#define KEMU_OPS		128
#define KEMU_PLANS		1024
#define KEMU_SWITCHES		16

#define KEMU_AT_OPS		4096
#define KEMU_AT_STRINGS		(KEMU_AT_OPS + KEMU_OPS * 64)
#define KEMU_STRINGS		(64 << 10)
#define KEMU_AT_SAID		(KEMU_AT_STRINGS + KEMU_STRINGS)
#define KEMU_AT_PLANS		(KEMU_AT_SAID + KEMU_OPS * 32)
#define KEMU_AT_RESULTS		(KEMU_AT_PLANS + KEMU_PLANS * sizeof(struct kemu_plan))
#define KEMU_AT_TRACE		(KEMU_AT_RESULTS + KEMU_PLANS * sizeof(struct kemu_result))
#define KEMU_TRACE		(1 << 17)
#define KEMU_TRACE_PID		48	/* who it was, above where */
#define KEMU_SHARE_BYTES	(KEMU_AT_TRACE + KEMU_TRACE * sizeof(__u64))

/* when bios of the disks end */
#define KEMU_LATE		1	/* when the device's thread runs, with softirqs off */
#define KEMU_LATE_RCU		2	/* then, in an RCU section, as of a device on top of another */
#define KEMU_LATE_SLOW		4	/* then, and milliseconds later: the other tasks go on as far as they can */
#define KEMU_LATE_NEWEST	8	/* then, the one that was submitted last first */

struct kemu_sched {
	__u32 magic;
	__u32 ops;			/* of the program */
	__u32 plans;			/* of the batch */
	__u32 done;			/* returned: plans that were run; the last one's answers are at KEMU_AT_SAID */
	__u32 running;			/* returned: the plan that runs, for who finds the kernel dead */
	__u32 learn;			/* what the steps say under the last plan of the batch is right from then on */
	__u32 stop;			/* the batch ends behind a plan under which a step said something else */
	__u32 late;			/* bios of the disks end later, when their thread runs: kemu_disk_late */
	__u32 trace;			/* write where the tasks are at each scheduling question; returned: how many there were */
	__u32 talks;			/* the kernel may say more than it does alone */
	__u32 boot;			/* the boot itself runs under the first plan, from its first initcall until init is executed */
	__u32 unused;
};

enum kemu_what {
	KEMU_OP_MOUNT = 1,		/* text, text2: source and place; text3: type; a: flags, options behind the type's end */
	KEMU_OP_UMOUNT,			/* text: place; a: flags */
	KEMU_OP_OPEN,			/* text: path; slot; a: flags */
	KEMU_OP_CLOSE,			/* slot */
	KEMU_OP_READ,			/* slot; a: position, b: bytes; c: bytes of one read */
	KEMU_OP_WRITE,			/* slot; a: position; text: the bytes, b of them */
	KEMU_OP_READDIR,		/* slot; a: names only, in any order */
	KEMU_OP_STAT,			/* text: path; a: without what differs from mount to mount: number, blocks, times */
	KEMU_OP_GETXATTR,		/* text: path; text2: name */
	KEMU_OP_READLINK,		/* text: path */
	KEMU_OP_STATFS,			/* text: path */
	KEMU_OP_INVALIDATE,		/* slot: its page cache is dropped, as far as nobody uses it */
	KEMU_OP_DROP_SLAB,		/* every shrinker of the slab's */
	KEMU_OP_TRUNCATE,		/* slot; a: size */
	KEMU_OP_SLEEP,			/* a: milliseconds of virtual time */
	KEMU_OP_SETTLE,			/* what RCU and work queues hold back is done */
	KEMU_OP_SUPERS,			/* text: type of file system; how many of it there are */
	KEMU_OP_MKDIR,			/* text: path; a: mode */
	KEMU_OP_UNLINK,			/* text: path */
	KEMU_OP_FAIL,			/* a: from here on the a-th call of this task that can fail does; 0: none */
	KEMU_OP_FAILED,			/* whether it has */
	KEMU_OP_CHMOD,			/* text: path; a: mode */
	KEMU_OP_SEEK,			/* slot; a: offset, b: whence */
	KEMU_OP_REMOUNT,		/* text: place; text3: options; a: flags */
	KEMU_OP_MAP,			/* slot; a: position, b: bytes: mapped, and read through the mapping; c: nothing ahead */
	KEMU_OP_COUNT,			/* a increments of a counter of the bench's own, without a lock */
	KEMU_OP_COUNTED,		/* its value, which then is 0 */
	KEMU_OP_FADVISE,		/* slot; a: position, b: bytes, c: advice */
	KEMU_OP_FOREIGN,		/* slot; a: position; text: the b bytes that are right, c: another value that each may have, as 0:
					   how many have none of these; with text2 read through a mapping */
	KEMU_OP_RENAME,			/* text, text2: from and to */
	KEMU_OP_LINK,			/* text, text2: from and to */
	KEMU_OP_SETXATTR,		/* text: path; text2: name; text3: value */
	KEMU_OP_RMDIR,			/* text: path */
	KEMU_OP_SYNC,			/* all file systems */
	KEMU_OP_FALLOCATE,		/* slot; a: position, b: bytes, c: mode */
	KEMU_OP_LOOP,			/* slot; text: loop device that gets the file, or with a loses the one that it has */
	KEMU_OP_LATE_FILE,		/* text: path; its direct reads end later from now on */
};

/* One step of a task. Task 0 is who begins; those from 1 on then run beside each other; the last, KEMU_TASKS + 1, ends. */
struct kemu_op {
	__u32 what;
	__u32 task;
	__u32 slot;
	__u32 text, text2, text3;	/* offsets in the strings */
	__u64 a, b, c;
	__s32 may[4];			/* errors that are right, too; KEMU_ANY: whatever it is */
};

#define KEMU_ANY	1
#define KEMU_WRONG_LOG	(KEMU_OPS + 1)	/* no step, but the kernel has said more than it does alone */

/* What a step came to. */
struct kemu_said {
	__s64 value;			/* -errno */
	__u64 digest;			/* of the bytes, names or numbers that it gave */
	__u32 run;			/* 0: it was not reached */
	__u32 unused[3];
};

/* At the gap-th scheduling question behind the last switch the who-th of the others that could run does, and the task that ran
 * comes last; with hold it runs only when nobody else can. */
struct kemu_switch {
	__u32 gap;
	__u16 who;			/* from 0; modulo their number */
	__u16 hold;
};

struct kemu_plan {
	__u32 switches;
	__u32 order;			/* nibbles: the tasks in the order in which they are begun; 0: as they are numbered */
	__u32 fine;			/* questions at memory accesses as well, where KASAN looks at them */
	__u32 unused;
	struct kemu_switch at[KEMU_SWITCHES];
};

enum kemu_end {
	KEMU_END_DONE = 1,
	KEMU_END_HANG,			/* somebody sleeps for ever */
	KEMU_END_SPLAT,			/* the kernel is tainted */
};

struct kemu_switched {
	__u32 point;
	__u32 to;			/* pid */
	__u32 from;
	__u32 unused;
	__u64 pc;			/* where the task that was stopped is */
	char from_comm[16], to_comm[16];
};

struct kemu_result {
	__u32 end;
	__u32 points;			/* scheduling questions met */
	__u32 switches;
	__u32 wrong;			/* 1 + number of the first step that said something else than what is right; 0: none did */
	__u32 lines;			/* of the kernel's log */
	__u32 fresh;			/* edges of the code that no plan of this program has run before */
	__u64 signature;		/* over all that the steps have said */
	struct kemu_switched at[KEMU_SWITCHES];
};

#ifdef __KERNEL__
struct task_struct;

struct kemu_access {
	const volatile void *ptr;
	size_t size;
	bool write, marked;
	unsigned long pc;
};

struct kemu_watch;
#ifdef CONFIG_KEMU_RACE
extern bool kemu_raced;			/* a data race has been reported */
struct kemu_watch *kemu_watch_begin(const struct kemu_access *a);
void kemu_watch_end(struct kemu_watch *w);
void kemu_watch_none(void);
#else
#define kemu_raced false
static inline struct kemu_watch *kemu_watch_begin(const struct kemu_access *a) { return NULL; }
static inline void kemu_watch_end(struct kemu_watch *w) { }
static inline void kemu_watch_none(void) { }
#endif

extern u32 kemu_points, kemu_lines;
extern u64 *kemu_trace;			/* of KEMU_TRACE places, or NULL */
extern u32 kemu_disk_late;
extern u32 kemu_fresh;
extern bool kemu_armed, kemu_fine;	/* questions are asked; at accesses, too */
void kemu_question(unsigned long pc, const struct kemu_access *access);
void kemu_take_part(struct task_struct *p);
void kemu_arm(const struct kemu_plan *plan, struct kemu_result *result);
void kemu_disarm(void);
bool kemu_boot_is_chosen(void);
void kemu_forget_edges(void);
void kemu_boot_ends(void);
void kemu_callers_wait(void);
void kemu_callers_tell(void);
long kemu_sched_serve(void);

struct file;
struct kemu_files {
	struct file *slot[KEMU_SLOTS];
	char *strings;
};
void kemu_op(struct kemu_files *files, const struct kemu_op *op, char *buffer, struct kemu_said *said);
long kemu_op_change(struct kemu_files *files, const struct kemu_op *op, char *buffer);
void kemu_count(unsigned long n);
unsigned long kemu_counted(void);
long kemu_late_file(const char *name);
#define KEMU_BUFFER	(1 << 20)
#endif

#endif
