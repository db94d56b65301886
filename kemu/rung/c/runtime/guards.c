// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which locks guard which memory, as Eraser finds it out: of each place that the objects under test touch, the locks that were held every
 * time, from the first time on that anybody held one. What is done to an object before that is its making.
 */
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "guards.h"
#include "runtime.h"

#define CELLS	16384u
#define PLACES	4096u
#define LOCKS	32u
#define HELD	16u

extern const char __ehdr_start[], _end[] __attribute__((visibility("hidden")));	/* the linker's */

static struct cell {
	unsigned long at;
	const void *object;
	unsigned int locks, before;
	unsigned long pc;
} cells[CELLS];
static unsigned short used[CELLS], used_count;

/* A bit for what may be in a cell: most of what is touched is not. */
#define FILTER	(1u << 16)

static unsigned long touched_before[FILTER / BITS_PER_LONG], objects_of_cells[FILTER / BITS_PER_LONG];

static unsigned int filter_of(unsigned long value)
{
	return value * 0x9e3779b97f4a7c15ull >> 48;
}

static bool may_have(const unsigned long *filter, unsigned long value)
{
	unsigned int bit = filter_of(value);

	return filter[bit / BITS_PER_LONG] >> bit % BITS_PER_LONG & 1;
}

static void will_have(unsigned long *filter, unsigned long value)
{
	unsigned int bit = filter_of(value);

	filter[bit / BITS_PER_LONG] |= 1ul << bit % BITS_PER_LONG;
}

static struct {
	unsigned long lock;
	struct task_struct *by;
	unsigned int bit;
	bool shared;
} now[HELD];
static unsigned int now_count, lock_count, place_count;
static struct kemu_guarded locks[LOCKS], places[PLACES];
static bool watching;

/* What a place is in: false: a stack, a page, or something else that nobody shares by a name. */
static bool place_of(unsigned long at, struct kemu_guarded *place, const void **object)
{
	unsigned long *stacks;
	unsigned int size;
	const char *name;
	bool freed;

	memset(place, 0, sizeof(*place));
	*object = NULL;
	if (at >= (unsigned long)__ehdr_start && at < (unsigned long)_end) {
		place->at = at - (unsigned long)__ehdr_start;
		return true;
	}
	name = slab_tell((void *)at, object, &size, &freed, &stacks);
	if (!name || freed || at < (unsigned long)*object || at >= (unsigned long)*object + size)
		return false;
	strscpy(place->of, name, sizeof(place->of));
	place->at = at - (unsigned long)*object;
	place->size = size;
	return true;
}

static bool same(const struct kemu_guarded *a, const struct kemu_guarded *b)
{
	return a->at == b->at && a->size == b->size && !strcmp(a->of, b->of);
}

static unsigned int bit_of(unsigned long lock)
{
	struct kemu_guarded place;
	const void *object;
	unsigned int i;

	if (lock < 16) {			/* a token: RCU */
		memset(&place, 0, sizeof(place));
		strscpy(place.of, "RCU", sizeof(place.of));
	} else if (!place_of(lock, &place, &object)) {
		return 0;
	}
	for (i = 0; i < lock_count; i++)
		if (same(&locks[i], &place))
			return 1u << i;
	if (lock_count == LOCKS)
		return 0;
	locks[lock_count] = place;
	return 1u << lock_count++;
}

bool guards_held(void)
{
	return now_count;
}

void guarded(unsigned long lock, int way, bool shared)
{
	unsigned int i, bit;

	if (!watching)
		return;
	if (way < 0) {
		for (i = now_count; i-- > 0;) {
			if (now[i].lock != lock)
				continue;
			memmove(&now[i], &now[i + 1], (--now_count - i) * sizeof(now[0]));
			return;
		}
		return;
	}
	bit = bit_of(lock);
	if (!bit || now_count == HELD)
		return;
	now[now_count].lock = lock;
	now[now_count].by = current;
	now[now_count].bit = bit;
	now[now_count++].shared = shared;
}

static noinline void cell_made(struct cell *c, unsigned int h, unsigned long at, unsigned int mask)
{
	struct kemu_guarded place;
	const void *object;

	if (used_count == CELLS / 2 || !place_of(at, &place, &object))
		return;
	will_have(touched_before, at);
	will_have(objects_of_cells, (unsigned long)object);
	c->at = at;
	c->object = object;
	c->locks = mask;
	c->pc = 0;
	used[used_count++] = h;
}

static noinline void touched(unsigned long at, bool write, unsigned long pc)
{
	unsigned int mask = 0, i, h;
	struct cell *c;

	for (i = 0; i < now_count; i++)
		if (now[i].by == current && !(write && now[i].shared))
			mask |= now[i].bit;
	for (h = (at * 0x9e3779b97f4a7c15ull >> 40) % CELLS; cells[h].at; h = (h + 1) % CELLS)
		if (cells[h].at == at)
			break;
	c = &cells[h];
	if (!c->at) {
		if (mask)
			cell_made(c, h, at, mask);
		return;
	}
	if (!(c->locks & mask) && c->locks && !c->pc && kemu_fault_is_near(pc)) {
		c->pc = pc;
		c->before = c->locks;
	}
	c->locks &= mask;
}

/* A place is touched. Who only shares a lock may read. */
void kemu_touched(unsigned long at, bool write, unsigned long pc)
{
	if (now_count ? watching : watching && used_count && may_have(touched_before, at))
		touched(at, write, pc);
}

static void summed(struct cell *c, struct kemu_guarded *place)
{
	unsigned int i;

	for (i = 0; i < place_count; i++)
		if (same(&places[i], place))
			break;
	if (i == PLACES)
		return;
	if (i == place_count) {
		places[place_count] = *place;
		places[place_count++].locks = ~0u;
	}
	places[i].locks &= c->locks;
	if (c->pc && !places[i].pc) {
		places[i].pc = c->pc - (unsigned long)__ehdr_start;
		places[i].before = c->before;
	}
}

/* An object is freed: its memory may be another's. */
void kemu_guards_freed(const void *object, unsigned int size)
{
	struct kemu_guarded place;
	const void *in;
	struct cell *c;
	unsigned int i;

	if (!watching || !used_count || !may_have(objects_of_cells, (unsigned long)object))
		return;
	for (i = 0; i < used_count; i++) {
		c = &cells[used[i]];
		if (c->object == object && c->at != ~0ul) {
			if (place_of(c->at, &place, &in))
				summed(c, &place);
			c->at = ~0ul;			/* is passed, and is nobody's */
			c->object = NULL;
		}
	}
}

void guards_begin(bool on)
{
	while (used_count) {
		struct cell *c = &cells[used[--used_count]];

		memset(c, 0, sizeof(*c));
	}
	memset(touched_before, 0, sizeof(touched_before));
	memset(objects_of_cells, 0, sizeof(objects_of_cells));
	now_count = 0;
	lock_count = 0;
	place_count = 0;
	watching = on;
}

unsigned int kemu_guards(const struct kemu_guarded **out)
{
	struct kemu_guarded place;
	const void *in;
	unsigned int i;

	for (i = 0; i < used_count; i++) {
		struct cell *c = &cells[used[i]];

		if (c->at != ~0ul && place_of(c->at, &place, &in))
			summed(c, &place);
	}
	watching = false;
	*out = places;
	return place_count;
}

unsigned int kemu_guard_locks(const struct kemu_guarded **out)
{
	*out = locks;
	return lock_count;
}
