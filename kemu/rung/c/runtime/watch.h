/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else in the objects under test, flavour asan-review: where the kernel's headers only say to a checker that a
 * lock is taken, as on one CPU without debugging, the runtime is told.
 */
#ifndef _KEMU_WATCH_H
#define _KEMU_WATCH_H
#ifndef __ASSEMBLY__

void kemu_lock_taken(const volatile void *lock, int shared);
void kemu_lock_left(const volatile void *lock, int shared);

/* Mostly a pointer; some say the lock itself. */
#define KEMU_LOCK(x)						\
	({							\
		typeof(x) kemu_lock = (x);			\
		const volatile void *kemu_which = 0;		\
		__builtin_memcpy(&kemu_which, &kemu_lock, sizeof(kemu_lock) < sizeof(kemu_which) ? sizeof(kemu_lock) : sizeof(kemu_which)); \
		kemu_which;					\
	})

#undef __acquire
#undef __release
#undef __acquire_shared
#undef __release_shared
#define __acquire(x)		kemu_lock_taken(KEMU_LOCK(x), 0)
#define __release(x)		kemu_lock_left(KEMU_LOCK(x), 0)
#define __acquire_shared(x)	kemu_lock_taken(KEMU_LOCK(x), 1)
#define __release_shared(x)	kemu_lock_left(KEMU_LOCK(x), 1)

/* As with CONFIG_DEBUG_VIRTUAL: of what is not in the direct map there is no page to be had so. */
#include <linux/mm.h>
struct page *kemu_virt_to_page(const void *p);
#undef virt_to_page
#define virt_to_page(addr)	kemu_virt_to_page((const void *)(unsigned long)(addr))

#endif
#endif
