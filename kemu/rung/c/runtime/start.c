// SPDX-License-Identifier: GPL-2.0-only
/* From nothing to a kernel that can mount: what start_kernel() and the initcalls do for the files that are linked. */
#include <linux/backing-dev.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/init.h>
#include <linux/init_syscalls.h>
#include <linux/init_task.h>
#include <linux/sched/signal.h>
#include <linux/maple_tree.h>
#include <linux/mempool.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/radix-tree.h>
#include <linux/seq_file.h>
#include <linux/swap.h>
#include <linux/wait_bit.h>
#include <linux/xarray.h>
#include "runtime.h"

typedef int (*initcall_fn)(void);
extern char kemu_holes_start[], kemu_holes_end[];	/* stubs.py: data that nobody stands for */

static char no_options[PAGE_SIZE];

static void need(const char *what, int err)
{
	if (err < 0)
		kemu_trap("%s: %d", what, err);
}

int kemu_start(unsigned long long page_count, unsigned long long flags)
{
	KEMU_ENTER(KEMU_TRAP);
	host_signals(1);
	host_forbid(kemu_holes_start, kemu_holes_end - kemu_holes_start);
	shadow_start();
	slab_start();
	pages_start(page_count, flags);
	tasks_start();
	init_task.signal->rlim[RLIMIT_NOFILE] = (struct rlimit){ 1 << 20, 1 << 20 };
	wait_bit_init();
	radix_tree_init();
	maple_tree_init();
	cred_init();
	vfs_caches_init_early();
	vfs_caches_init();
	pagecache_init();
	seq_file_init();
	initrd_start_up();
	need("/dev", init_mkdir("/dev", 0755));
	need("/mnt", init_mkdir("/mnt", 0755));
	need("/files", init_mkdir("/files", 0755));
	KEMU_LEAVE();
	return 0;
}

/* One initcall of the files that are linked, by its address. */
int kemu_initcall(void *function)
{
	KEMU_ENTER(KEMU_TRAP);
	need("an initcall", ((initcall_fn)function)());
	KEMU_LEAVE();
	return 0;
}

/* One of a module that comes later: what it returns. */
int kemu_module_init(void *function)
{
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = ((initcall_fn)function)();
	tasks_settle();
	KEMU_LEAVE();
	return err;
}

int kemu_exitcall(void *function)
{
	KEMU_ENTER(KEMU_TRAP);
	((void (*)(void))function)();
	tasks_settle();
	KEMU_LEAVE();
	return 0;
}

/* After the initcalls: the disks; from here on what is allocated and stays is a leak. */
int kemu_ready(void)
{
	KEMU_ENTER(KEMU_TRAP);
	disks_start();
	/* what is mounted from a file needs one with a read_folio(): tmpfs has none */
	need("/files", init_mount("files", "/files", "ramfs", 0, no_options));
	tasks_settle();
	faults_start();
	slab_mark();
	kemu_log_clear();
	KEMU_LEAVE();
	return 0;
}
