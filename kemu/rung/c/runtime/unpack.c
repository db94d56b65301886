// SPDX-License-Identifier: GPL-2.0-only
/* Another root, and the boot's half of init/initramfs.c: parameters, an initrd in memory, populate_rootfs() into that root. */
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/init.h>
#include <linux/init_syscalls.h>
#include <linux/initrd.h>
#include <linux/memblock.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/syscalls.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <as-layout.h>
#include "runtime.h"

#define BUILTIN		(16ul << 20)

void kemu_initramfs_fresh(void);
void kemu_initramfs_close(void);
int firmware_init(void);
char __initramfs_start[BUILTIN];	/* of the kernel's image; the archive that is built in */
unsigned long __initramfs_size;
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

/* ---- a boot, as far as init/initramfs.c is concerned ---- */

/* The memory map: all of RAM, of which the first block is in use. */
void initrd_start_up(void)
{
	memblock_add(0, high_physmem - uml_physmem);
	memblock_reserve(0, PAGE_SIZE << MAX_PAGE_ORDER);
	if (firmware_init())
		kemu_trap("firmware_init()");
}

/* init/main.c's parameq(): '-' and '_' are one. */
static bool same_name(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (a[i] != b[i] && !((a[i] == '-' || a[i] == '_') && (b[i] == '-' || b[i] == '_')))
			return false;
	return true;
}

/* One entry of .init.setup and one word of the command line: as do_early_param() and obsolete_checksetup(); 1 if it was taken. */
int kemu_parameter(const void *entry, const char *text, int early)
{
	static char word[256];
	const struct obs_kernel_param *p = entry;
	size_t n = strlen(p->str);
	int taken = 0;

	KEMU_ENTER(KEMU_TRAP);
	strscpy(word, text, sizeof(word));
	if (!!p->early == !!early && strnlen(word, n) == n && same_name(word, p->str, n) &&
	    (!early || !word[n] || word[n] == '=')) {
		if (early)
			taken = !p->setup_func(word[n] ? word + n + 1 : NULL);
		else
			taken = p->setup_func && p->setup_func(word + n);
	}
	KEMU_LEAVE();
	return taken;
}

unsigned long long kemu_physical(unsigned int slot)
{
	return __pa(kemu_regions[slot].data);
}

/* Where the initrd is, if there is one: as arch/um's read_initrd() says it, or, after initrdmem=, as other architectures find it. */
int kemu_initrd(unsigned int slot)
{
	KEMU_ENTER(KEMU_TRAP);
	kemu_initramfs_fresh();
	if (phys_initrd_size) {
		reserve_initrd_mem();
	} else if (slot < KEMU_DISKS) {
		initrd_start = (unsigned long)kemu_regions[slot].data;
		initrd_end = initrd_start + kemu_regions[slot].len;
	}
	KEMU_LEAVE();
	return 0;
}

extern const struct kernel_param __start___param[], __stop___param[];

static int unknown_parameter(char *param, char *val, const char *unused, void *arg)
{
	return -EINVAL;
}

static int set_builtin(const void *data, unsigned long len)
{
	if (len > BUILTIN)
		return -ENOSPC;
	kemu_unpoison(__initramfs_start, min(ALIGN(__initramfs_size, 8) + PAGE_SIZE, BUILTIN));
	memcpy(__initramfs_start, data, len);
	__initramfs_size = len;
	kemu_poison(__initramfs_start + len, min(PAGE_SIZE, BUILTIN - len), SHADOW_REDZONE);
	return 0;
}

/* populate_rootfs() into the root, and what kernel_init_freeable() does then: wait for it. */
int kemu_populate(void *initcall, const void *builtin, unsigned long long len)
{
	int err = 0;

	KEMU_ENTER(KEMU_TRAP);
	if (len || __initramfs_size)
		err = set_builtin(builtin, len);
	if (!err)
		err = ((initcall_t)initcall)();
	if (!err)
		wait_for_initramfs();
	kemu_initramfs_close();
	if (task_work_pending(current))
		task_work_run();
	tasks_settle();
	KEMU_LEAVE();
	return err;
}

/* Parameters of modules that are built in ("erofs.lzma_streams=2"): as parse_args() sets them at boot. */
int kemu_parameters(const char *text)
{
	static char words[1024];
	char *err;

	KEMU_ENTER(KEMU_TRAP);
	strscpy(words, text, sizeof(words));
	err = parse_args("kemu", words, __start___param, __stop___param - __start___param, -1, 0, NULL, unknown_parameter);
	KEMU_LEAVE();
	return PTR_ERR_OR_ZERO(err);
}

/* Somebody waits before there is anything to wait for. */
int kemu_wait_for_initramfs(void)
{
	KEMU_ENTER(KEMU_TRAP);
	wait_for_initramfs();
	KEMU_LEAVE();
	return 0;
}
