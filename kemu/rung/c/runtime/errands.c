// SPDX-License-Identifier: GPL-2.0-only
/* What several tasks do at once in one mounted file system, each with system calls; who runs when one of them sleeps is chosen. */
#include <linux/completion.h>
#include <linux/dirent.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init_syscalls.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/task_work.h>
#include <linux/xattr.h>
#include "../mm/internal.h"
#include "runtime.h"

#define ROOM	(1u << 16)
#define LONGEST	(1ll << 21)		/* bytes of a file that are read */

long kemu_sys_read(int fd, void *buffer, unsigned long len);
long kemu_sys_getdents(int fd, void *buffer, unsigned long len);
long kemu_sys_llistxattr(const char *path, char *list, unsigned long len);
long kemu_sys_lgetxattr(const char *path, const char *name, void *value, unsigned long len);

static struct runner {
	struct completion done;
	struct kemu_errand *first;
	unsigned int count;
	char room[ROOM], value[ROOM], path[PATH_MAX], options[PAGE_SIZE];
} runners[KEMU_TASKS];

static void hash(struct kemu_errand *e, const char *p, long n)
{
	while (n-- > 0)
		e->hash = (e->hash ^ (unsigned char)*p++) * 0x100000001b3ull;
}

/* What lies between two records nobody has written. */
static void hash_names(struct kemu_errand *e, const char *p, long n)
{
	const char *end = p + n;

	for (; p < end; p += ((struct linux_dirent64 *)p)->d_reclen) {
		hash(e, p, offsetof(struct linux_dirent64, d_name));
		hash(e, ((struct linux_dirent64 *)p)->d_name, strlen(((struct linux_dirent64 *)p)->d_name));
	}
}

static void contents(struct runner *r, struct kemu_errand *e, const char *path, bool names)
{
	long fd = kemu_sys_open(path, O_RDONLY | O_LARGEFILE | O_NOFOLLOW), n;

	e->result = fd;
	if (fd < 0)
		return;
	e->result = 0;
	while (e->result < LONGEST) {
		n = names ? kemu_sys_getdents(fd, r->room, ROOM) : kemu_sys_read(fd, r->room, ROOM);
		if (n <= 0) {
			e->result = n ?: e->result;
			break;
		}
		names ? hash_names(e, r->room, n) : hash(e, r->room, n);
		e->result += n;
	}
	kemu_sys_close(fd);
}

static void xattrs(struct runner *r, struct kemu_errand *e)
{
	long n = kemu_sys_llistxattr(e->path, r->room, ROOM), got;
	char *name;

	e->result = n;
	hash(e, r->room, n);
	for (name = r->room; n > 0 && name < r->room + n; name += strlen(name) + 1) {
		got = kemu_sys_lgetxattr(e->path, name, r->value, ROOM);
		hash(e, r->value, got);
		e->result += got;
	}
}

static void drop(struct kemu_errand *e)
{
	struct file *file = filp_open(e->path, O_RDONLY | O_LARGEFILE | O_NOFOLLOW, 0);

	if (IS_ERR(file))
		return;
	invalidate_mapping_pages(file->f_mapping, 0, -1);
	fput(file);
}

static void mounted(struct runner *r, struct kemu_errand *e)
{
	memset(r->options, 0, sizeof(r->options));
	e->result = init_mount(e->device, e->folder, "erofs", SB_RDONLY, r->options);
	if (e->result)
		return;
	snprintf(r->path, sizeof(r->path), "%s%s", e->folder, e->path);
	contents(r, e, r->path, false);
	if (task_work_pending(current))
		task_work_run();
	if (init_umount(e->folder, 0))
		kemu_trap("umount of %s: something is still in use", e->folder);
}

static void one(struct runner *r, struct kemu_errand *e)
{
	e->hash = 0xcbf29ce484222325ull;
	e->result = 0;
	switch (e->what) {
	case KEMU_READ:
	case KEMU_LIST:
		contents(r, e, e->path, e->what == KEMU_LIST);
		break;
	case KEMU_XATTRS:
		xattrs(r, e);
		break;
	case KEMU_DROP:
		drop(e);
		break;
	case KEMU_MEMORY:
		shrink_slab(GFP_KERNEL, 0, NULL, 0);
		break;
	case KEMU_MOUNTED:
		mounted(r, e);
		break;
	}
	if (task_work_pending(current))
		task_work_run();
}

static int run(void *data)
{
	struct runner *r = data;
	unsigned int i;

	current->flags &= ~PF_KTHREAD;		/* it comes from user space */
	for (i = 0; i < r->count; i++)
		one(r, r->first + i);
	current->flags |= PF_KTHREAD;
	complete(&r->done);		/* the task may be another's before anybody looks */
	return 0;
}

int kemu_errands(struct kemu_errand *errands, const unsigned int *counts, unsigned int tasks)
{
	unsigned int i;

	KEMU_ENTER(KEMU_TRAP);
	for (i = 0; i < tasks && i < KEMU_TASKS; i++) {
		runners[i].first = errands;
		runners[i].count = counts[i];
		errands += counts[i];
		init_completion(&runners[i].done);
		if (IS_ERR(kthread_run(run, &runners[i], "task%u", i)))
			kemu_trap("task%u: there are too many", i);
	}
	while (i--)
		wait_for_completion(&runners[i].done);
	tasks_settle();
	KEMU_LEAVE();
	return 0;
}
