/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the runtime share. They are compiled with the kernel's headers: a wrong prototype does not compile. */
#ifndef _KEMU_RUNTIME_H
#define _KEMU_RUNTIME_H

#include <linux/kernel.h>
#include <linux/types.h>
#include <linux/gfp.h>

#pragma GCC visibility push(default)
#include "kemu_api.h"
#pragma GCC visibility pop

/* trap.c */
void kemu_trap(const char *fmt, ...) __noreturn __printf(1, 2);
void kemu_trap_at(void *frame, unsigned long *allocated, unsigned long *freed, const char *fmt, ...) __noreturn __printf(4, 5);
extern struct kemu_stats kemu_stats;
extern void *kemu_back[5];
extern int kemu_armed;

/* Enters the kernel: whatever traps in it makes the call return @failed. */
#define KEMU_ENTER(failed)			\
	do {					\
		if (kemu_armed)			\
			return failed;		\
		if (__builtin_setjmp(kemu_back)) \
			return failed;		\
		kemu_armed = 1;			\
	} while (0)
#define KEMU_LEAVE()	(kemu_armed = 0)

/* host.c: of the host's libc */
void *host_reserve(unsigned long len);
void *host_pages(unsigned long pages);
void *host_alias(void *at, unsigned long page, unsigned long pages);
void host_populate(void *at, unsigned long pages);
void host_signals(int take);
void host_end(void);
void host_shadow(unsigned long at, unsigned long len);
void *host_hole(unsigned long len);
void host_forbid(void *at, unsigned long len);
void host_permit(void *at, unsigned long len);
unsigned long host_stack(unsigned long *pcs, unsigned long most, void *frame);
void host_timer(unsigned int milliseconds);

/* faults.c */
bool kemu_should_fail(gfp_t gfp);
bool kemu_fault_is_near(unsigned long pc);
void kemu_fail_none(void);
void faults_start(void);

/* pages.c */
void pages_start(unsigned long count, unsigned long flags);
void kemu_fill(void *p, size_t n, gfp_t gfp);
int pages_live(void);
void *window_alloc(unsigned long bytes);
void window_free(void *va);
const char *region_of(const void *p);

/* reclaim.c */
void kemu_reclaim(void);

/* slab.c */
void slab_start(void);
int slab_leaks(bool tell);
void slab_mark(void);
bool slab_has(const void *p);
const char *slab_tell(const void *p, const void **object, unsigned int *size, bool *freed, unsigned long **stacks);
bool kemu_is_soon(void);			/* whether grace periods are over at once */

/* flavour asan-review: watch.c, guards.c */
void kemu_loaded(unsigned long at);
void kemu_touched(unsigned long at, bool write, unsigned long pc);
void kemu_guards_freed(const void *object, unsigned int size);
void kemu_given(const volatile void *p, void *frame);	/* to a function, or as a lock: an object that is freed is a report */
void kemu_leak(const char *what, unsigned int size, unsigned long *stack);
#define KEMU_STACK	6

/* tasks.c */
void tasks_start(void);
void tasks_settle(void);
unsigned int kemu_pick(unsigned int kind, unsigned int n);

enum kemu_kind {
	KEMU_PICK_TASK,
	KEMU_PICK_WORK,
};

/* calls.c: for what runs inside of a call */
long kemu_sys_open(const char *path, int flags);
long kemu_sys_close(int fd);
long kemu_sys_lseek(int fd, long at, int whence);
long kemu_sys_llistxattr(const char *path, char *list, unsigned long len);
long kemu_sys_ioctl(int fd, unsigned int cmd, unsigned long arg);

/* unpack.c */
void initrd_start_up(void);

/* disks.c */
void disks_start(void);
struct kemu_region {
	char *data;
	void *block;
	u64 len;
	u32 memory;
	u32 freed;			/* pages that the kernel has given back itself, from this one on: */
	struct page *first_freed;
	bool lent;			/* to a series' own back end */
};
void regions_keep(const void *page, unsigned long bytes);
extern struct kemu_region kemu_regions[KEMU_DISKS];

/* shadow.c; without the sanitizer these do nothing */
#ifdef KEMU_ASAN
void kemu_poison(const void *p, unsigned long n, unsigned char why);
void kemu_unpoison(const void *p, unsigned long n);
void shadow_start(void);
void shadow_end(void);
void shadow_leave(const void *sp, unsigned long n);
#else
static inline void kemu_poison(const void *p, unsigned long n, unsigned char why) { }
static inline void kemu_unpoison(const void *p, unsigned long n) { }
static inline void shadow_start(void) { }
static inline void shadow_end(void) { }
static inline void shadow_leave(const void *sp, unsigned long n) { }
#endif

#define SHADOW_FREED	0xfb
#define SHADOW_REDZONE	0xfa
#define SHADOW_PAGE	0xff
#define SHADOW_HOLE	0xfe

#endif
