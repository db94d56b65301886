// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls as the agent's own task makes them, without the two switches between host processes that the way into the kernel costs:
 * the entries of the table that a trap is dispatched by, on user memory. That is a window which the agent has mapped, and which the
 * kernel sees as well. What is done on the way back to the user is done here after each of them.
 */
#include <linux/fcntl.h>
#include <linux/fiemap.h>
#include <linux/kmsg_dump.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#include "kemu.h"
#include "kemu_calls.h"

/* Parts of the window: two strings, a page of mount options, data. */
#define FIRST	0
#define SECOND	(8u << 10)
#define OPTIONS	(16u << 10)
#define DATA	(32u << 10)
#define ROOM	(KEMU_WINDOW - DATA)

static char *kemu_window;
static unsigned long kemu_user;

int kemu_window_map(struct vm_area_struct *vma)
{
	unsigned long at;
	int err = 0;

	if (vma->vm_end - vma->vm_start != KEMU_WINDOW)
		return -EINVAL;
	if (!kemu_window)
		kemu_window = alloc_pages_exact(KEMU_WINDOW, GFP_KERNEL | __GFP_ZERO);
	if (!kemu_window)
		return -ENOMEM;
	for (at = 0; !err && at < KEMU_WINDOW; at += PAGE_SIZE)
		err = vm_insert_page(vma, vma->vm_start + at, virt_to_page(kemu_window + at));
	return err;
}

/* The window of the agent that serves. */
int kemu_window_enter(unsigned long at)
{
	char there;

	if (!kemu_window || get_user(there, (char __user *)at) || put_user(there, (char __user *)at + KEMU_WINDOW - 1))
		return -EFAULT;
	kemu_user = at;
	return 0;
}

/* As arch/um/kernel/skas/syscall.c and interrupt_end() have it. */
static long call(unsigned int nr, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e)
{
	long r = sys_call_table[nr](a, b, c, d, e, 0);

	if (task_work_pending(current))
		task_work_run();
	cond_resched();
	return r;
}

/* A string's place in user memory. One that is too long for a name stays so. */
static unsigned long string(unsigned int where, const char *s)
{
	size_t len = strnlen(s, PATH_MAX) + 1;

	memcpy(kemu_window + where, s, min_t(size_t, len, PATH_MAX));
	return kemu_user + where;
}

/* What a call has put into user memory. */
static long got(long n, void *to)
{
	if (n > 0)
		memcpy(to, kemu_window + DATA, n);
	return n;
}

static unsigned long room(unsigned long len)
{
	return min_t(unsigned long, len, ROOM);
}

long kemu_sys_open(const char *path, int flags)
{
	return call(__NR_openat, AT_FDCWD, string(FIRST, path), flags | O_LARGEFILE, 0, 0);
}

long kemu_sys_close(int fd)
{
	return call(__NR_close, fd, 0, 0, 0, 0);
}

long kemu_sys_read(int fd, void *buffer, unsigned long len)
{
	return got(call(__NR_read, fd, kemu_user + DATA, room(len), 0, 0), buffer);
}

/* What lies between two names the kernel leaves as it was. */
long kemu_sys_getdents(int fd, void *buffer, unsigned long len)
{
	memset(kemu_window + DATA, 0, room(len));
	return got(call(__NR_getdents64, fd, kemu_user + DATA, room(len), 0, 0), buffer);
}

long kemu_sys_statx(int fd, const char *path, unsigned int flags, unsigned int mask, void *buffer)
{
	long err = call(__NR_statx, fd, string(FIRST, path), flags, mask, kemu_user + DATA);

	if (!err)
		got(sizeof(struct statx), buffer);
	return err;
}

long kemu_sys_readlink(const char *path, char *buffer, unsigned long len)
{
	return got(call(__NR_readlinkat, AT_FDCWD, string(FIRST, path), kemu_user + DATA, room(len), 0), buffer);
}

long kemu_sys_llistxattr(const char *path, char *list, unsigned long len)
{
	return got(call(__NR_llistxattr, string(FIRST, path), kemu_user + DATA, room(len), 0, 0), list);
}

long kemu_sys_lgetxattr(const char *path, const char *name, void *value, unsigned long len)
{
	return got(call(__NR_lgetxattr, string(FIRST, path), string(SECOND, name), kemu_user + DATA, room(len), 0), value);
}

long kemu_sys_fchdir(int fd)
{
	return call(__NR_fchdir, fd, 0, 0, 0, 0);
}

long kemu_sys_chdir(const char *path)
{
	return call(__NR_chdir, string(FIRST, path), 0, 0, 0, 0);
}

long kemu_sys_lseek(int fd, long at, int whence)
{
	return call(__NR_lseek, fd, at, whence, 0, 0);
}

long kemu_sys_statfs(const char *path, void *buffer)
{
	long err = call(__NR_statfs, string(FIRST, path), kemu_user + DATA, 0, 0, 0);

	if (!err)
		got(sizeof(struct statfs), buffer);
	return err;
}

/* FS_IOC_FIEMAP, with as many extents as there is room for. */
long kemu_sys_ioctl(int fd, unsigned int cmd, unsigned long arg)
{
	struct fiemap *map = (struct fiemap *)arg;
	size_t size = struct_size(map, fm_extents, map->fm_extent_count);
	long err;

	if (cmd != FS_IOC_FIEMAP || size > ROOM)
		return -EINVAL;
	memcpy(kemu_window + DATA, map, size);
	err = call(__NR_ioctl, fd, cmd, kemu_user + DATA, 0, 0);
	if (!err)
		got(size, map);
	return err;
}

static unsigned long mapped;

/* As mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0); one at a time. */
long kemu_sys_map(int fd, unsigned long len)
{
	mapped = len;
	return sys_call_table[__NR_mmap](0, len, PROT_READ, MAP_PRIVATE, fd, 0);
}

/* The fault that a load takes; -1 where that would be a SIGBUS. */
int kemu_map_copy(void *map, unsigned long at, void *to, unsigned long len)
{
	unsigned long left = copy_from_user(to, (char __user *)map + at, len);

	cond_resched();
	return left ? -1 : 0;
}

void kemu_map_end(void *map)
{
	call(__NR_munmap, (unsigned long)map, mapped, 0, 0, 0);
}

long kemu_sys_chroot(const char *path)
{
	return call(__NR_chroot, string(FIRST, path), 0, 0, 0, 0);
}

/* Of the options the kernel takes a page. */
long kemu_sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
	char *page = kemu_window + OPTIONS;

	strscpy_pad(page, options, PAGE_SIZE);
	strscpy(page + PAGE_SIZE, type, PAGE_SIZE);
	return call(__NR_mount, string(FIRST, source), string(SECOND, target), kemu_user + OPTIONS + PAGE_SIZE, flags, kemu_user + OPTIONS);
}

long kemu_sys_umount(const char *target, int flags)
{
	return call(__NR_umount2, string(FIRST, target), flags, 0, 0, 0);
}

long long kemu_sys_now(void)
{
	struct timespec64 now;

	ktime_get_real_ts64(&now);
	return now.tv_sec;
}

/* Whether the kernel has said something since the last time that somebody asked. */
int kemu_has_spoken(void)
{
	static u64 heard;
	struct kmsg_dump_iter log;

	kmsg_dump_rewind(&log);
	if (log.next_seq == heard)
		return 0;
	heard = log.next_seq;
	return 1;
}

/* malloc() of the walk. */
void *kemu_more(void *p, size_t size)
{
	return kvrealloc(p, size, GFP_KERNEL);
}

void kemu_free(void *p)
{
	kvfree(p);
}
