/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else in the objects under test, flavour asan-review: where the kernel's headers only say to a checker that a
 * lock is taken, as on one CPU without debugging, the runtime is told; and of what is converted from the disk's byte order, which no
 * little-endian machine does anything for.
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

#if defined(__KERNEL__) && !defined(__CHECKER__)
/* Atomic operations and those on bits are assembly: before each of them linux/instrumented.h asks, as with CONFIG_KASAN. */
#include <linux/kasan-checks.h>
bool kemu_check_read(const volatile void *p, unsigned int size);
bool kemu_check_write(const volatile void *p, unsigned int size);
#undef kasan_check_read
#undef kasan_check_write
#define kasan_check_read	kemu_check_read
#define kasan_check_write	kemu_check_write

#include <asm/byteorder.h>

void kemu_converted(unsigned long value, unsigned int bytes);

static __always_inline __u16 kemu_le16(__u16 value)
{
	kemu_converted(value, 2);
	return value;
}

static __always_inline __u32 kemu_le32(__u32 value)
{
	kemu_converted(value, 4);
	return value;
}

static __always_inline __u64 kemu_le64(__u64 value)
{
	kemu_converted(value, 8);
	return value;
}

/* A constant stays one. */
#define KEMU_LE(x, from, to, how) \
	__builtin_choose_expr(__builtin_constant_p(x), (__force to)(from)(x), how((__force to)(from)(x)))

#undef __le16_to_cpu
#undef __le32_to_cpu
#undef __le64_to_cpu
#define __le16_to_cpu(x)	KEMU_LE(x, __le16, __u16, kemu_le16)
#define __le32_to_cpu(x)	KEMU_LE(x, __le32, __u32, kemu_le32)
#define __le64_to_cpu(x)	KEMU_LE(x, __le64, __u64, kemu_le64)
#define __le16_to_cpup(p)	kemu_le16((__force __u16)*(const __le16 *)(p))
#define __le32_to_cpup(p)	kemu_le32((__force __u32)*(const __le32 *)(p))
#define __le64_to_cpup(p)	kemu_le64((__force __u64)*(const __le64 *)(p))
#endif

/* As with CONFIG_DEBUG_VIRTUAL: of what is not in the direct map there is no page to be had so. */
#include <linux/mm.h>
struct page *kemu_virt_to_page(const void *p);
#undef virt_to_page
#define virt_to_page(addr)	kemu_virt_to_page((const void *)(unsigned long)(addr))

#endif
#endif
