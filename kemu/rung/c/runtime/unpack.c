// SPDX-License-Identifier: GPL-2.0-only
/* An archive that is unpacked by init/initramfs.c below a folder, with the state that the unpacker has at boot. */
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/init.h>
#include <linux/init_syscalls.h>
#include <linux/sched.h>
#include <linux/syscalls.h>
#include <linux/string.h>
#include "runtime.h"

char *kemu_unpack_to_rootfs(char *buf, unsigned long len);
char __initramfs_start[1];
unsigned long __initramfs_size;
unsigned long initrd_start, initrd_end;
int initrd_below_start_ok;
phys_addr_t phys_initrd_start;
unsigned long phys_initrd_size;
static struct path before;		/* the root behind the chroot */

int kemu_unpack(const char *target, unsigned int slot, char *message, unsigned int room)
{
	struct kemu_region *r = &kemu_regions[slot];
	char *said;
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = init_chdir(target);
	if (!err) {
		get_fs_root(current->fs, &before);
		err = init_chroot(".");
	}
	if (!err) {
		said = kemu_unpack_to_rootfs(r->data, r->len);
		strscpy(message, said ?: "", room);
		tasks_settle();
	}
	KEMU_LEAVE();
	return err;
}

/* Out of the chroot again. */
int kemu_unpacked(void)
{
	KEMU_ENTER(KEMU_TRAP);
	set_fs_root(current->fs, &before);
	set_fs_pwd(current->fs, &before);
	path_put(&before);
	KEMU_LEAVE();
	return 0;
}
