// SPDX-License-Identifier: GPL-2.0-only
/* One case in one call: images are placed, the first is mounted at /mnt and walked, and all of that goes again. */
#include <linux/kernel.h>
#include <uapi/linux/mount.h>
#include "runtime.h"

/* Behind a trap nothing is undone: this kernel is not to be used again. */
static int taken_down(struct kemu_case *c, unsigned int placed)
{
	unsigned int slot;
	int err;

	if (!c->refused) {
		err = kemu_umount("/mnt", 0);
		if (err == KEMU_TRAP)
			return err;
		if (err) {
			c->error = err;
			return KEMU_CASE_BUSY;
		}
	}
	for (slot = 0; slot < placed; slot++)
		if (kemu_drop(slot, c->backend) == KEMU_TRAP)
			return KEMU_TRAP;
	return kemu_settle();
}

static int placed(struct kemu_case *c, unsigned int slot)
{
	const void *data = c->image[slot];
	u64 len = c->len[slot];

	if (c->backend == KEMU_BACKEND_FILE)
		return kemu_place_file(slot, data, 0, len, len);
	/* what slab gives has no pages here: in the direct map, and watched to the byte, linear memory is the same */
	if (c->backend == KEMU_BACKEND_REGION && c->memory == KEMU_PLACE_SLAB)
		return kemu_place(slot, data, len, KEMU_PLACE_LINEAR, slot ? 0 : c->at);
	return kemu_place(slot, data, len, c->memory, slot ? 0 : c->at);
}

static int begin(struct kemu_case *c)
{
	struct kemu_stats stats;
	unsigned int slot;
	int err;

	c->refused = -EINVAL;		/* nothing is mounted yet */
	for (slot = 0; slot < c->images; slot++) {
		err = placed(c, slot);
		if (err == KEMU_TRAP)
			return err;
		if (err) {
			c->error = err;
			c->slot = slot;
			return taken_down(c, slot) ?: KEMU_CASE_NO_ROOM;
		}
	}
	if (c->fail_nth)
		kemu_fail_nth(c->fail_nth);
	if (c->backend == KEMU_BACKEND_REGION)
		c->refused = kemu_mount_region(c->mount, 0, "/mnt", c->options);
	else
		c->refused = kemu_mount(c->source, "/mnt", "erofs", MS_RDONLY, c->options);
	if (c->refused == KEMU_TRAP)
		return KEMU_TRAP;
	if (!c->refused && kemu_walk("/mnt", c->cap, c->most, c->flags, &c->tree))
		return KEMU_TRAP;
	if (c->fail_nth) {
		kemu_count(&stats);
		c->points = stats.faults;
		c->fired = stats.fired;
		kemu_fail_nth(0);
	}
	return 0;
}

/* 0, KEMU_TRAP, or what the runtime could not do, with the errno in @error. */
int kemu_case(struct kemu_case *c)
{
	int err;

	kemu_log_clear();
	kemu_limit(c->milliseconds);
	err = begin(c);
	if (!err && !c->stays)
		err = taken_down(c, c->images);
	if (err || !c->stays)
		kemu_limit(0);
	c->log = kemu_log(&c->log_len);
	return err;
}

/* Of a case that stays: what was mounted goes. */
int kemu_case_end(struct kemu_case *c)
{
	int err = taken_down(c, c->images);

	kemu_limit(0);
	c->log = kemu_log(&c->log_len);
	return err;
}
