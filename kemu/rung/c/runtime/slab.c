// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmalloc() and kmem_caches: blocks of a size class, each with a head in front of the object that says how large it is, who allocated
 * it and who freed it. What is freed rests in a queue before it is used again. Under the sanitizer everything that is no live object
 * is poisoned, so that the end of an object is exact to the byte.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include "runtime.h"

struct kmem_cache {
	unsigned int size, align;
	slab_flags_t flags;
	void (*ctor)(void *object);
	const char *name;
	unsigned long live;
	int refs;
};

#define STACK		KEMU_STACK

struct head {
	u32 magic, size;
	u64 class;
	u64 serial;			/* of the allocation */
	struct kmem_cache *cache;
	struct head *next, *prev;	/* live objects in their order; next alone: the queue, or a free list */
#ifdef KEMU_ASAN
	unsigned long allocated[STACK], freed[STACK];
#endif
} __aligned(32);

#ifdef KEMU_ASAN
#define KEMU_REDZONE	32
#define RESTING		(4ul << 20)	/* bytes: long, for whoever still uses them */
#else
#define KEMU_REDZONE	0
#define RESTING		(64ul << 10)	/* nobody would see that: soon, while the processor has them in its caches */
#endif
#define LIVE		0x6b656d75
#define FREED		0x64656164
#define SMALL		4096u		/* larger blocks are whole pages */
#define ROOM		(4ul << 30)

static char *arena, *end;
static struct head *small_free[SMALL / 32 + 2], *large_free[32];
static struct head *rest_first, **rest_last = &rest_first;
static unsigned long resting;
static struct head live = { .next = &live, .prev = &live };
static u64 serial, marked;
kmem_buckets kmalloc_caches[NR_KMALLOC_TYPES];

void slab_start(void)
{
	if (!arena)
		arena = host_reserve(ROOM);
	end = arena + PAGE_SIZE;
}

bool slab_has(const void *p)
{
	return (char *)p >= arena && (char *)p < end;
}

/* What an address is, for a report: the object that it is in or beside; NULL if none. Its stacks are @allocated and @freed. */
const char *slab_tell(const void *p, const void **object, unsigned int *size, bool *freed, unsigned long **stacks)
{
#ifdef KEMU_ASAN
	char *at = PTR_ALIGN_DOWN((char *)p, 32);
	int i;

	if (!slab_has(p))
		return NULL;
	for (i = 0; i < 4096 && at >= arena; i++, at -= 32) {
		struct head *h = (struct head *)at;

		if (h->magic != LIVE && h->magic != FREED)
			continue;
		*object = h + 1;
		*size = h->size;
		*freed = h->magic == FREED;
		*stacks = h->allocated;
		return h->cache ? h->cache->name : "kmalloc";
	}
#endif
	return NULL;
}

bool slab_is_available(void)
{
	return true;
}

/* Blocks: a power of two is aligned to itself, its head before it; everything else follows its head. */
static bool aligned_class(size_t size)
{
	return size >= 64 && is_power_of_2(size);
}

static size_t block_size(size_t size, u64 *class)
{
	size_t n;

	if (size <= SMALL / 2 && !aligned_class(size)) {
		n = sizeof(struct head) + round_up(max_t(size_t, size, 1), 32) + (KEMU_REDZONE);
		*class = n / 32;
		return n;
	}
	n = 2 * roundup_pow_of_two(max(size, sizeof(struct head)));	/* the head is in the first half */
	*class = 0x8000 | ilog2(n);
	return n;
}

static struct head **free_list(u64 class)
{
	return class & 0x8000 ? &large_free[class & 31] : &small_free[class];
}

static void *new_block(size_t n, size_t align)
{
	char *p = PTR_ALIGN(end, align);

	if (p + n + PAGE_SIZE > arena + ROOM)
		return NULL;
	end = p + n;
	kemu_poison(p, n + PAGE_SIZE, SHADOW_REDZONE);
	return p;
}

static unsigned long *stack_of(struct head *h)
{
#ifdef KEMU_ASAN
	return h->allocated;
#else
	return NULL;
#endif
}

static struct head *head_of(const void *object)
{
	return (struct head *)object - 1;
}

static void *take(size_t size, struct kmem_cache *cache)
{
	u64 class;
	size_t n = block_size(size, &class);
	struct head **list = free_list(class), *h = *list;
	char *block;

	if (h) {
		*list = h->next;
		return h + 1;
	}
	if (class & 0x8000) {
		block = new_block(n, min_t(size_t, n / 2, PAGE_SIZE));
		if (block)
			block += n / 2;
	} else {
		block = new_block(n, 32);
		if (block)
			block += sizeof(struct head);
	}
	if (!block)
		return NULL;
	h = head_of(block);
	kemu_unpoison(h, sizeof(*h));
	h->class = class;
	return block;
}

static void *__slab_alloc(size_t size, gfp_t gfp, struct kmem_cache *cache, bool fresh)
{
	struct head *h;
	void *p;

	if (kemu_should_fail(gfp))
		return NULL;
	p = take(size, cache);
	if (!p)
		return NULL;
	h = head_of(p);
	h->magic = LIVE;
	h->size = size;
	h->cache = cache;
	h->serial = ++serial;
	h->prev = live.prev;
	h->next = &live;
	live.prev->next = h;
	live.prev = h;
#ifdef KEMU_ASAN
	memset(h->allocated, 0, sizeof(h->allocated));
	host_stack(h->allocated, STACK, __builtin_frame_address(0));
#endif
	kemu_unpoison(p, size);
	if (fresh)
		kemu_fill(p, size, gfp);
	kemu_stats.slab_objects++;
	kemu_stats.slab_bytes += size;
	kemu_stats.allocations++;
	if (cache)
		cache->live++;
	return p;
}

static void rest(struct head *h)
{
	h->next = NULL;
	*rest_last = h;
	rest_last = &h->next;
	resting += h->size;
	while (resting > RESTING) {
		struct head *old = rest_first, **list = free_list(old->class);

		rest_first = old->next;
		if (!rest_first)
			rest_last = &rest_first;
		resting -= old->size;
		old->next = *list;
		*list = old;
	}
}

static void __slab_free(const void *p, struct kmem_cache *cache)
{
	struct head *h = head_of(p);

	if ((char *)p < arena || (char *)p >= end)
		kemu_trap("invalid-free: %px is no object of slab", p);
	if (h->magic == FREED)
		kemu_trap("double-free of %px", p);
	if (h->magic != LIVE)
		kemu_trap("invalid-free: %px is no object's start", p);
	if (cache && h->cache != cache)
		kemu_trap("invalid-free: an object of %s freed to %s", h->cache ? h->cache->name : "kmalloc", cache->name);
#ifdef KEMU_REVIEW
	kemu_guards_freed(p, h->size);
#endif
	h->magic = FREED;
	h->prev->next = h->next;
	h->next->prev = h->prev;
	kemu_stats.slab_objects--;
	kemu_stats.slab_bytes -= h->size;
	if (h->cache)
		h->cache->live--;
#ifdef KEMU_ASAN
	memset(h->freed, 0, sizeof(h->freed));
	host_stack(h->freed, STACK, __builtin_frame_address(0));
#endif
	kemu_poison(p, h->size, SHADOW_FREED);
	rest(h);
}

/* ---- leaks: what is live and was allocated since slab_mark() ---- */

void slab_mark(void)
{
	marked = serial;
}

int slab_leaks(bool tell)
{
	struct head *h;
	int n = 0;

	for (h = live.prev; h != &live && h->serial > marked; h = h->prev) {
		n++;
		if (tell)
			kemu_leak(h->cache ? h->cache->name : "kmalloc", h->size, stack_of(h));
	}
	return n;
}

/* ---- sizes that no kernel gives ---- */

static void *too_large(gfp_t gfp)
{
	WARN_ON(!(gfp & __GFP_NOWARN));		/* as __alloc_frozen_pages_noprof() of such an order */
	return NULL;
}

static void *kmalloc_of(size_t size, gfp_t gfp)
{
	if (size > KMALLOC_MAX_SIZE)
		return too_large(gfp);
	return size ? __slab_alloc(size, gfp, NULL, true) : ZERO_SIZE_PTR;
}

static void *vmalloc_of(unsigned long size, gfp_t gfp)
{
	if (WARN_ON(!size))
		return NULL;
	if ((size >> PAGE_SHIFT) > totalram_pages()) {
		if (!(gfp & __GFP_NOWARN))
			pr_warn("%s: vmalloc error: size %lu, exceeds total pages\n", current->comm, size);
		return NULL;
	}
	return __slab_alloc(size, gfp, NULL, true);
}

/* ---- what the kernel calls ---- */

void *__kmalloc_noprof(DECL_TOKEN_PARAMS(size, token), gfp_t flags)
{
	return kmalloc_of(size, flags);
}

void *__kmalloc_node_noprof(DECL_KMALLOC_PARAMS(size, b, token), gfp_t flags, int node)
{
	return kmalloc_of(size, flags);
}

void *__kmalloc_cache_noprof(struct kmem_cache *s, gfp_t flags, size_t size)
{
	return __slab_alloc(size, flags, NULL, true);
}

void *__kmalloc_cache_node_noprof(struct kmem_cache *s, gfp_t gfpflags, int node, size_t size)
{
	return __slab_alloc(size, gfpflags, NULL, true);
}

void *__kmalloc_large_noprof(size_t size, gfp_t flags)
{
	return kmalloc_of(size, flags);
}

void *__kmalloc_node_track_caller_noprof(DECL_KMALLOC_PARAMS(size, b, token), gfp_t flags, int node, unsigned long caller)
{
	return kmalloc_of(size, flags);
}

void *__kvmalloc_node_noprof(DECL_KMALLOC_PARAMS(size, b, token), unsigned long align, gfp_t flags, int node)
{
	if (size > INT_MAX)
		return too_large(flags);
	return size > PAGE_SIZE ? vmalloc_of(size, flags) : kmalloc_of(size, flags);
}

void kfree(const void *object)
{
	if (!ZERO_OR_NULL_PTR(object))
		__slab_free(object, NULL);
}

void kfree_sensitive(const void *object)
{
	kfree(object);
}

void kvfree(const void *addr)
{
	kfree(addr);
}

void kvfree_atomic(const void *addr)
{
	kfree(addr);
}

void *krealloc_node_align_noprof(const void *objp, DECL_TOKEN_PARAMS(new_size, token), unsigned long align, gfp_t flags, int nid)
{
	void *p;

	if (!new_size) {
		kfree(objp);
		return ZERO_SIZE_PTR;
	}
	p = kmalloc_of(new_size, flags);
	if (p && !ZERO_OR_NULL_PTR(objp)) {
		memcpy(p, objp, min_t(size_t, head_of(objp)->size, new_size));
		kfree(objp);
	}
	return p;
}

size_t ksize(const void *objp)
{
	return ZERO_OR_NULL_PTR(objp) ? 0 : head_of(objp)->size;
}

void kvfree_call_rcu(struct rcu_head *head, void *ptr)
{
	/* tasks.c: a callback that is no function but an object of slab is freed */
	if (head)
		call_rcu(head, (rcu_callback_t)ptr);
	else
		synchronize_rcu(), kvfree(ptr);
}

void *vmalloc_noprof(unsigned long size)
{
	return vmalloc_of(size, GFP_KERNEL);
}

void *__vmalloc_noprof(unsigned long size, gfp_t gfp_mask)
{
	return vmalloc_of(size, gfp_mask);
}

void vfree(const void *addr)
{
	kfree(addr);
}

bool is_vmalloc_addr(const void *x)
{
	return false;
}

struct kmem_cache *__kmem_cache_create_args(const char *name, unsigned int object_size, struct kmem_cache_args *args, slab_flags_t flags)
{
	struct kmem_cache *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	s->size = object_size;
	s->align = args->align;
	s->flags = flags;
	s->ctor = args->ctor;
	s->name = name;
	return s;
}

void kmem_cache_destroy(struct kmem_cache *s)
{
	if (s && s->live)
		kemu_trap("kmem_cache_destroy: %s has %lu objects", s->name, s->live);
	kfree(s);
}

unsigned int kmem_cache_size(struct kmem_cache *s)
{
	return s->size;
}

void *kmem_cache_alloc_noprof(struct kmem_cache *s, gfp_t gfpflags)
{
	void *p = __slab_alloc(s->size, gfpflags, s, true);

	if (p && s->ctor)
		s->ctor(p);
	return p;
}

void *kmem_cache_alloc_lru_noprof(struct kmem_cache *s, struct list_lru *lru, gfp_t gfpflags)
{
	return kmem_cache_alloc_noprof(s, gfpflags);
}

void *kmem_cache_alloc_node_noprof(struct kmem_cache *s, gfp_t gfpflags, int node)
{
	return kmem_cache_alloc_noprof(s, gfpflags);
}

void kmem_cache_free(struct kmem_cache *s, void *x)
{
	__slab_free(x, s);
}

void kmem_cache_free_bulk(struct kmem_cache *s, size_t size, void **p)
{
	while (size--)
		kmem_cache_free(s, p[size]);
}

/* ---- sheaves: objects that are had before they are needed ---- */

struct slab_sheaf {
	unsigned int size;
	void *objects[];
};

static bool fill_sheaf(struct kmem_cache *s, gfp_t gfp, struct slab_sheaf *sheaf, unsigned int size)
{
	while (sheaf->size < size) {
		void *p = kmem_cache_alloc_noprof(s, gfp);

		if (!p)
			return false;
		sheaf->objects[sheaf->size++] = p;
	}
	return true;
}

struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *s, gfp_t gfp, unsigned int size)
{
	struct slab_sheaf *sheaf = kzalloc(struct_size(sheaf, objects, max(size, 64u)), gfp);

	if (sheaf && !fill_sheaf(s, gfp, sheaf, size)) {
		kmem_cache_return_sheaf(s, gfp, sheaf);
		return NULL;
	}
	return sheaf;
}

int kmem_cache_refill_sheaf(struct kmem_cache *s, gfp_t gfp, struct slab_sheaf **sheafp, unsigned int size)
{
	return fill_sheaf(s, gfp, *sheafp, min(size, 64u)) ? 0 : -ENOMEM;
}

void kmem_cache_return_sheaf(struct kmem_cache *s, gfp_t gfp, struct slab_sheaf *sheaf)
{
	while (sheaf->size)
		kmem_cache_free(s, sheaf->objects[--sheaf->size]);
	kfree(sheaf);
}

void *kmem_cache_alloc_from_sheaf_noprof(struct kmem_cache *s, gfp_t gfp, struct slab_sheaf *sheaf)
{
	return sheaf->size ? sheaf->objects[--sheaf->size] : NULL;
}

unsigned int kmem_cache_sheaf_size(struct slab_sheaf *sheaf)
{
	return sheaf->size;
}

bool kmem_dump_obj(void *object)
{
	return false;
}

void *pcpu_alloc_noprof(size_t size, size_t align, bool reserved, gfp_t gfp)
{
	void *p = __slab_alloc(max(size, align), gfp | __GFP_ZERO, NULL, true);

	return (void *)p;
}

void free_percpu(void __percpu *p)
{
	kfree((void __force *)p);
}

void *alloc_large_system_hash(const char *tablename, unsigned long bucketsize, unsigned long numentries, int scale, int flags,
			      unsigned int *_hash_shift, unsigned int *_hash_mask, unsigned long low_limit, unsigned long high_limit)
{
	unsigned int shift = 10;

	if (_hash_shift)
		*_hash_shift = shift;
	if (_hash_mask)
		*_hash_mask = (1u << shift) - 1;
	return kzalloc(bucketsize << shift, GFP_KERNEL);
}
