// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent's cases inside the kernel: its own files, over the kernel's own system calls, in the agent's own task. Compiled as what a
 * UML kernel calls its user side, with the host's headers.
 */
#undef _GNU_SOURCE			/* as the agent's files have it */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Names that the rest of the kernel has, too, or could have. */
#define answer		kemu_answer
#define die		kemu_die
#define do_cpio		kemu_do_cpio
#define do_erofs	kemu_do_erofs
#define drop		kemu_drop_region
#define drop_image	kemu_drop_image
#define drop_images	kemu_drop_images
#define facts_inode	kemu_facts_inode
#define fail_nth	kemu_fail_nth
#define failed_nth	kemu_failed_nth
#define home_fd		kemu_home_fd
#define kmsg		kemu_kmsg
#define kmsg_take	kemu_kmsg_take
#define mount_region	kemu_mount_by_region
#define place		kemu_place_region
#define put		kemu_put
#define root_fd		kemu_root_fd
#define send_answer	kemu_send_answer
#define sha256_final	kemu_sha256_final
#define sha256_init	kemu_sha256_init
#define sha256_update	kemu_sha256_update
#define take_image	kemu_take_image
#define take_images	kemu_take_images
#define text		kemu_text
#define unpack		kemu_unpack_archive
#define walk_tree	kemu_walk_tree
#define strtoul		simple_strtoul

unsigned long simple_strtoul(const char *s, char **end, unsigned int base);

#include "agent.h"

#define BOUND_ERRNO	kemu_errno
#include "bound.h"

#define chdir(path)			said(kemu_sys_chdir(path))
#define chroot(path)			said(kemu_sys_chroot(path))
#define mount(from, to, type, flags, o)	said(kemu_sys_mount(from, to, type, flags, o))
#define umount(path)			said(kemu_sys_umount(path, 0))
#define umount2(path, flags)		said(kemu_sys_umount(path, flags))
#define clock_gettime(clock, t)		((t)->tv_sec = kemu_sys_now(), (t)->tv_nsec = 0)
#define strerror(error)			kemu_error(error)

#define realloc(p, size)		kemu_more(p, size)
#define free(p)				kemu_free(p)

/* For a line that ends the kernel. */
static const char *kemu_error(int error)
{
	static char number[24];

	snprintf(number, sizeof(number), "errno %d", error);
	return number;
}

void die(const char *fmt, ...)
{
	char line[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	panic("kemu agent: %s", line);
	for (;;)
		;
}

void put(struct buffer *b, const void *data, size_t len)
{
	if (b->len + len > b->room) {
		b->room = (b->len + len) * 2 + 4096;
		b->data = realloc(b->data, b->room);
		if (!b->data)
			die("out of memory for an answer of %zu bytes", b->room);
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

int kmsg;

#include "sha256.c"
#include "walk.c"
#include "facts.c"

#undef kmsg_take
#define kmsg_take	kemu_kmsg_all
void kmsg_take(struct buffer *b);
#include "kmsg.c"
#undef kmsg_take
#define kmsg_take	kemu_kmsg_take

void kmsg_take(struct buffer *b)
{
	if (kemu_has_spoken())
		kemu_kmsg_all(b);
}

#include "cases.c"

int place(struct kemu_place *p)
{
	return said(kemu_place(p)) ? -1 : 0;
}

void drop(unsigned int slot)
{
	kemu_drop(slot);
}

int mount_region(const char *dir, const char *options)
{
	return said(kemu_mount_region(0, dir, options)) ? -1 : 0;
}

void unpack(struct kemu_unpack *u)
{
	kemu_unpack_region(u);
}

int take_image(struct request *r, unsigned int slot, uint64_t shared, char *source)
{
	struct kemu_place region = { slot, r->memory, slot ? 0 : r->at, r->len[slot], shared, 0 };

	snprintf(source, SOURCE, "dev/kemu%u", slot);
	return place(&region) ? errno : 0;
}

void drop_image(struct request *r, unsigned int slot)
{
	drop(slot);
}

/* The injectors count the calls of a program. */
int fail_nth(unsigned int n)
{
	return ENOSYS;
}

int failed_nth(void)
{
	return 0;
}

static void tell(const void *data, size_t len)
{
	if (kemu_host_write(data, len))
		die("the channel is closed");
}

void send_answer(struct request *r, struct answer *a, const struct buffer *entries, const struct buffer *kmsg)
{
	size_t len = (entries ? entries->len : 0) + text.len + kmsg->len;
	char *to = len <= r->answer_room ? kemu_shared(r->answer_at, len) : NULL;

	a->logged = kemu_logged;
	a->shared = !!to;
	if (to) {
		if (entries) {
			memcpy(to, entries->data, entries->len);
			to += entries->len;
		}
		memcpy(to, text.data, text.len);
		memcpy(to + text.len, kmsg->data, kmsg->len);
	}
	tell(a, sizeof(*a));
	if (!a->shared) {
		if (entries)
			tell(entries->data, entries->len);
		tell(text.data, text.len);
		tell(kmsg->data, kmsg->len);
	}
}

/* What needs a program: faults by count, files of its own for images, everything that is no case. */
static int is_inside(const struct request *r)
{
	if (r->magic != REQUEST_MAGIC || r->images > KEMU_DISKS || r->options_len >= 4096 || r->flags & BY_PROGRAM || r->arg)
		return 0;
	return r->op == OP_CPIO || (r->op == OP_EROFS && (r->backend == BACKEND_DISK || r->backend == BACKEND_REGION));
}

int kemu_inside(const struct kemu_serve *s)
{
	static char options[4096];
	static struct request r;

	kmsg = s->kmsg;
	root_fd = s->root;
	home_fd = s->home;
	for (;;) {
		int err = kemu_host_peek(&r, sizeof(r));

		if (err)
			return err;
		if (!is_inside(&r))
			return 0;
		kemu_host_read(&r, sizeof(r));
		err = kemu_host_read(options, r.options_len);
		if (err)
			return err;
		options[r.options_len] = 0;
		text.len = 0;
		if (r.op == OP_EROFS)
			do_erofs(&r, options);
		else
			do_cpio(&r);
	}
}
