// SPDX-License-Identifier: GPL-2.0-only
/* Another root, and an archive that init/initramfs.c unpacks into it. */
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/init.h>
#include <linux/init_syscalls.h>
#include <linux/sched.h>
#include <linux/syscalls.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include "runtime.h"

char *kemu_unpack_to_rootfs(char *buf, unsigned long len);
char __initramfs_start[1];
unsigned long __initramfs_size;
unsigned long initrd_start, initrd_end;
int initrd_below_start_ok;
phys_addr_t phys_initrd_start;
unsigned long phys_initrd_size;
static struct path before;		/* the root behind the chroot */

/* The folder is the root from here on, and the working directory, until kemu_leave(). */
int kemu_enter(const char *path)
{
	int err;

	KEMU_ENTER(KEMU_TRAP);
	get_fs_root(current->fs, &before);
	err = init_chdir(path);
	if (!err)
		err = init_chroot(".");
	if (err) {
		set_fs_pwd(current->fs, &before);
		path_put(&before);
	}
	KEMU_LEAVE();
	return err;
}

int kemu_leave(void)
{
	KEMU_ENTER(KEMU_TRAP);
	set_fs_root(current->fs, &before);
	set_fs_pwd(current->fs, &before);
	path_put(&before);
	KEMU_LEAVE();
	return 0;
}

/* Into the root, with the state that the unpacker has at boot. */
int kemu_unpack(unsigned int slot, char *message, unsigned int room)
{
	struct kemu_region *r = &kemu_regions[slot];
	char *said;

	KEMU_ENTER(KEMU_TRAP);
	said = kemu_unpack_to_rootfs(r->data, r->len);
	strscpy(message, said ?: "", room);
	if (task_work_pending(current))
		task_work_run();
	tasks_settle();
	KEMU_LEAVE();
	return 0;
}
