// SPDX-License-Identifier: GPL-2.0-only
/*
 * The other side of -fsanitize=kernel-address: one byte of shadow for eight of memory, at a fixed place, and what happens when an
 * access meets a poisoned one. Memory that is not the kernel's has no poison. Compiled without the sanitizer.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include "runtime.h"

#define OFFSET	0x100000000000ul

struct global {
	const void *beg;
	size_t size, size_with_redzone;
	const void *name, *module_name;
	unsigned long has_dynamic_init;
	void *location, *odr_indicator;
};

static inline s8 *shadow_of(const void *p)
{
	return (s8 *)(((unsigned long)p >> 3) + OFFSET);
}

static void fill(s8 *p, s8 value, unsigned long n)
{
	asm volatile("rep stosb" : "+D" (p), "+c" (n) : "a" (value) : "memory");
}

void kemu_unpoison(const void *p, unsigned long n)
{
	fill(shadow_of(p), 0, n >> 3);
	if (n & 7)
		*shadow_of(p + n) = n & 7;
}

/* Whole granules; of the first, the bytes before @p stay what they are. */
void kemu_poison(const void *p, unsigned long n, unsigned char why)
{
	const void *end = p + n;

	if ((unsigned long)p & 7) {
		*shadow_of(p) = (unsigned long)p & 7;
		p = PTR_ALIGN(p, 8);
	}
	if (end > p)
		fill(shadow_of(p), why, (end - p + 7) >> 3);
}

void shadow_start(void)
{
	host_shadow(OFFSET, 1ul << 44);
}

/* ---- globals: each stands in front of its redzone ---- */

static struct global *tables[512];
static size_t counts[512];
static int table_count;

void __asan_register_globals(void *ptr, ssize_t size)
{
	struct global *g = ptr;
	ssize_t i;

	shadow_start();
	if (table_count < ARRAY_SIZE(tables)) {
		tables[table_count] = g;
		counts[table_count++] = size;
	}
	for (i = 0; i < size; i++) {
		kemu_unpoison(g[i].beg, g[i].size);
		kemu_poison(g[i].beg + g[i].size, g[i].size_with_redzone - g[i].size, 0xf9);
	}
}

void __asan_unregister_globals(void *ptr, ssize_t size)
{
	struct global *g = ptr;
	ssize_t i;

	for (i = 0; i < size; i++)
		kemu_unpoison(g[i].beg, round_up(g[i].size_with_redzone, 8));
}

void shadow_end(void)
{
	while (table_count--)
		__asan_unregister_globals(tables[table_count], counts[table_count]);
	table_count = 0;
}

/* A stack whose frames are left at once. */
void shadow_leave(const void *sp, unsigned long n)
{
	kemu_unpoison(PTR_ALIGN_DOWN(sp, 8), n & ~7ul);
}

/* ---- reports ---- */

static const char *kind_of(const void *p, unsigned long n)
{
	s8 *s = shadow_of(p);
	u8 why;

	if ((unsigned long)p < PAGE_SIZE)
		return "null-ptr-deref";
	while (n > 8 && !*s) {
		s++;
		n -= 8;
	}
	if (*s >= 0 && *s < 8)
		s++;
	why = *s;
	switch (why) {
	case SHADOW_FREED:
		return "slab-use-after-free";
	case SHADOW_REDZONE:
	case 0 ... 7:
		return "slab-out-of-bounds";
	case SHADOW_PAGE:
		return "use-after-free of a page";
	case SHADOW_HOLE:
		return "vmalloc-out-of-bounds";
	case 0xf9:
		return "global-out-of-bounds";
	case 0xf1 ... 0xf4:
		return "stack-out-of-bounds";
	case 0xf8:
		return "stack-use-after-scope";
	case 0xca:
	case 0xcb:
		return "alloca-out-of-bounds";
	}
	return "wild-memory-access";
}

static void __noreturn report(const void *p, unsigned long n, bool write, void *frame)
{
	unsigned long *stacks = NULL;
	const void *object = NULL;
	unsigned int size = 0;
	bool freed = false;
	const char *cache = slab_tell(p, &object, &size, &freed, &stacks);
	const char *place = !cache ? "" : p >= object + size ? " behind" : p < object ? " before" : " inside";
	long off = !cache ? 0 : p >= object + size ? p - object - size : p < object ? object - p : p - object;

	if (cache)
		kemu_trap_at(frame, stacks, freed ? stacks + KEMU_STACK : NULL, "KASAN: %s: %s of %lu, %ld bytes%s a%s %u-byte object of %s",
			     kind_of(p, n), write ? "write" : "read", n, off, place, freed ? " freed" : "", size, cache);
	kemu_trap_at(frame, NULL, NULL, "KASAN: %s: %s of %lu%s", kind_of(p, n), write ? "write" : "read", n, region_of(p));
}

#define REPORT(n)												\
	void __asan_report_load##n##_noabort(void *p) { report(p, n, false, __builtin_frame_address(0)); }	\
	void __asan_report_store##n##_noabort(void *p) { report(p, n, true, __builtin_frame_address(0)); }
REPORT(1)
REPORT(2)
REPORT(4)
REPORT(8)
REPORT(16)

void __asan_report_load_n_noabort(void *p, ssize_t n)
{
	report(p, n, false, __builtin_frame_address(0));
}

void __asan_report_store_n_noabort(void *p, ssize_t n)
{
	report(p, n, true, __builtin_frame_address(0));
}

static bool bad(const void *p, unsigned long n)
{
	const s8 *s = shadow_of(p), *last;
	s8 value;

	if (!n)
		return false;
	last = shadow_of(p + n - 1);
	while (s < last && !*s)
		s++;
	if (s < last)
		return true;
	value = *last;
	return value && (s8)((unsigned long)(p + n - 1) & 7) >= value;
}

static void check(const void *p, unsigned long n, bool write, void *frame)
{
	if (bad(p, n))
		report(p, n, write, frame);
}

/* Only the objects under test call these, where they are watched. */
#ifdef KEMU_REVIEW
#define touched(p, write)										\
	({												\
		if (!(write))										\
			kemu_loaded((unsigned long)(p));						\
		kemu_touched((unsigned long)(p), write, (unsigned long)__builtin_return_address(0));	\
	})
#else
#define touched(p, write)	do { } while (0)
#endif

#define OUTLINE(n)												\
	void __asan_load##n##_noabort(void *p)									\
	{													\
		check(p, n, false, __builtin_frame_address(0));							\
		touched(p, false);										\
	}													\
	void __asan_store##n##_noabort(void *p)									\
	{													\
		check(p, n, true, __builtin_frame_address(0));							\
		touched(p, true);										\
	}
OUTLINE(1)
OUTLINE(2)
OUTLINE(4)
OUTLINE(8)
OUTLINE(16)

void __asan_loadN_noabort(void *p, ssize_t n)
{
	check(p, n, false, __builtin_frame_address(0));
}

void __asan_storeN_noabort(void *p, ssize_t n)
{
	check(p, n, true, __builtin_frame_address(0));
}

#ifdef KEMU_REVIEW
/* What the compiler does not see: atomic operations, which are assembly, as linux/instrumented.h tells of them, and what is given away. */
bool kemu_check_read(const volatile void *p, unsigned int n);
bool kemu_check_write(const volatile void *p, unsigned int n);

bool kemu_check_read(const volatile void *p, unsigned int n)
{
	check((const void *)p, n, false, __builtin_frame_address(0));
	return true;
}

bool kemu_check_write(const volatile void *p, unsigned int n)
{
	check((const void *)p, n, true, __builtin_frame_address(0));
	return true;
}

void kemu_given(const volatile void *p, void *frame)
{
	if (slab_has((const void *)p) && (u8)*shadow_of((const void *)p) == SHADOW_FREED)
		report((const void *)p, 1, true, frame);
}
#endif

void __asan_handle_no_return(void)
{
}

void __asan_alloca_poison(void *p, ssize_t n)
{
	kemu_unpoison(p, n);
}

void __asan_allocas_unpoison(void *top, ssize_t bottom)
{
	if (top && (unsigned long)bottom > (unsigned long)top)
		kemu_unpoison(top, bottom - (unsigned long)top);
}

/* ---- what copies and fills ---- */

#undef memcpy
#undef memmove
#undef memset

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	check(from, n, false, __builtin_frame_address(0));
	check(to, n, true, __builtin_frame_address(0));
	asm volatile("rep movsb" : "+D" (d), "+S" (from), "+c" (n) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	void *d = to;

	check(from, n, false, __builtin_frame_address(0));
	check(to, n, true, __builtin_frame_address(0));
	if (to <= from || to >= from + n) {
		asm volatile("rep movsb" : "+D" (d), "+S" (from), "+c" (n) : : "memory");
	} else {
		d += n - 1;
		from += n - 1;
		asm volatile("std\n\trep movsb\n\tcld" : "+D" (d), "+S" (from), "+c" (n) : : "memory");
	}
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *d = to;

	check(to, n, true, __builtin_frame_address(0));
	asm volatile("rep stosb" : "+D" (d), "+c" (n) : "a" (c) : "memory");
	return to;
}
