// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scheduling points at memory accesses, where KASAN looks at each anyway: a plan that asks for them can stop a task between a call and the
 * access behind it, which blocks alone do not part.
 */
#include <linux/kasan-checks.h>
#include <linux/kernel.h>
#include "kemu_sched.h"

#define KEMU_ASAN_OF(access, type, size, write)				\
	void notrace kemu_asan_##access##type(const void *p);		\
	void notrace kemu_asan_##access##type(const void *p)		\
	{								\
		if (unlikely(kemu_fine))				\
			kemu_question(_RET_IP_, NULL);			\
		kasan_check_range(p, size, write, _RET_IP_);		\
	}

#define KEMU_ASAN_OF_ANY(access, write)					\
	void notrace kemu_asan_##access##N(const void *p, size_t size);	\
	void notrace kemu_asan_##access##N(const void *p, size_t size)	\
	{								\
		if (unlikely(kemu_fine))				\
			kemu_question(_RET_IP_, NULL);			\
		kasan_check_range(p, size, write, _RET_IP_);		\
	}

bool kasan_check_range(const void *addr, size_t size, bool write, unsigned long ret_ip);

KEMU_ASAN_OF(load, 1, 1, false)
KEMU_ASAN_OF(load, 2, 2, false)
KEMU_ASAN_OF(load, 4, 4, false)
KEMU_ASAN_OF(load, 8, 8, false)
KEMU_ASAN_OF(load, 16, 16, false)
KEMU_ASAN_OF_ANY(load, false)
KEMU_ASAN_OF(store, 1, 1, true)
KEMU_ASAN_OF(store, 2, 2, true)
KEMU_ASAN_OF(store, 4, 4, true)
KEMU_ASAN_OF(store, 8, 8, true)
KEMU_ASAN_OF(store, 16, 16, true)
KEMU_ASAN_OF_ANY(store, true)
