// SPDX-License-Identifier: GPL-2.0-only
/*
 * A boot of the bench: the initrd that carries the agent is taken apart, the agent is run, and what the boot would run itself is
 * loaded and not executed. Nothing of an input is ever run.
 */
#include <linux/binfmts.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/reboot.h>
#include <linux/timekeeping.h>
#include <linux/umh.h>
#include "kemu.h"
#include "kemu_sched.h"

static int kemu_run_walk(void);

/* ---- what is taken out of the initrd ---- */

static void *kemu_agent __initdata;
static size_t kemu_agent_len __initdata;
static u64 kemu_flags;
static bool kemu_runs_init __ro_after_init;	/* init is the agent, or a test's own program */

/* Called before setup_boot_config(), which looks at the initrd's end and cuts something off it. */
void __init kemu_split_initrd(void)
{
	struct kemu_initrd *h = (void *)initrd_start;
	size_t size = initrd_end - initrd_start;

	if (!initrd_start || size < sizeof(*h) || memcmp(h->magic, KEMU_INITRD_MAGIC, sizeof(h->magic)))
		return;
	kemu_agent = (void *)h + h->agent;
	kemu_agent_len = h->agent_len;
	kemu_flags = h->flags;
	kemu_runs_init = !(kemu_flags & KEMU_WALK) || (kemu_flags & KEMU_RUN_INIT);
	if (kemu_flags & KEMU_NO_BUILTIN)
		kemu_builtin_none();
	if (!h->user_len) {
		initrd_start = initrd_end = 0;
		return;
	}
	initrd_start = (unsigned long)h + h->user;
	if (h->at != KEMU_ANYWHERE) {
		/* there is a page of slack before the user's part */
		unsigned long to = round_down(initrd_start - h->at, PAGE_SIZE) + h->at;

		memmove((void *)to, (void *)initrd_start, h->user_len);
		initrd_start = to;
	}
	initrd_end = initrd_start + h->user_len;
	pr_info("kemu: initrd of %llu bytes at page offset %#lx\n", h->user_len, offset_in_page(initrd_start));
}

/* ---- the clock: later than any time that an archive can name, so that what the clock has set can be told from what an archive says ---- */

static int __init kemu_set_clock(void)
{
	struct timespec64 now = { .tv_sec = KEMU_CLOCK };

	return kemu_agent ? do_settimeofday64(&now) : 0;
}
early_initcall(kemu_set_clock);

/* ---- init ---- */

/*
 * What kernel_execve() does for init, with all its errors. After that the boot has made its decision, and init would begin as soon as
 * this thread returned to user space: it does not.
 */
int __ref kemu_execve(const char *name, const char *const *argv, const char *const *envp)
{
	int err;

	if (IS_ENABLED(CONFIG_KEMU_SCHED))
		kemu_boot_ends();
	if (kemu_flags & KEMU_WALK_LATE) {
		kemu_flags &= ~KEMU_WALK_LATE;
		err = kemu_run_walk();
		if (err)
			pr_err("kemu: agent: error %d\n", err);
	}
	err = kernel_execve(name, argv, envp);

	if (err || kemu_runs_init)
		return err;
	pr_info("kemu: %s is loaded and not executed\n", name);
	kernel_power_off();
	panic("kemu: no way to power off");
}

/* ---- the agent ---- */

static int __init kemu_write_agent(struct path *dir, const char *name)
{
	struct file *file = file_open_root(dir, name, O_WRONLY | O_CREAT | O_LARGEFILE, 0700);
	loff_t pos = 0;
	ssize_t n;

	if (IS_ERR(file))
		return PTR_ERR(file);
	n = kernel_write(file, kemu_agent, kemu_agent_len, &pos);
	__fput_sync(file);			/* executed next: nobody may have it open for writing */
	return n == kemu_agent_len ? 0 : -EIO;
}

struct kemu_place_of_agent {
	struct path root;		/* PID 1's */
	struct path pwd;		/* a file system of the agent's own */
};

static int __init kemu_walk_init(struct subprocess_info *info, struct cred *new)
{
	struct kemu_place_of_agent *p = info->data;

	set_fs_root(current->fs, &p->root);
	set_fs_pwd(current->fs, &p->pwd);
	return 0;
}

/* The agent is in a file system that is mounted nowhere, so the tree that it walks is as the boot left it. */
static int __init kemu_run_walk(void)
{
	static char *argv[] __initdata = { "agent", "walk", NULL };
	static char *envp[] __initdata = { NULL };
	struct kemu_place_of_agent p;
	struct subprocess_info *info;
	struct file_system_type *type;
	struct vfsmount *mnt;
	int err;

	type = get_fs_type("tmpfs");
	if (!type)
		return -ENODEV;
	mnt = vfs_kern_mount(type, 0, "kemu", NULL);
	put_filesystem(type);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	p.pwd.mnt = mnt;
	p.pwd.dentry = mnt->mnt_root;
	get_fs_root(current->fs, &p.root);
	err = kemu_write_agent(&p.pwd, "agent");
	if (!err) {
		info = call_usermodehelper_setup("agent", argv, envp, GFP_KERNEL, kemu_walk_init, NULL, &p);
		if (info)
			info->path = "agent";	/* the configuration has no helpers: whatever else asks for one gets nothing */
		err = info ? call_usermodehelper_exec(info, UMH_WAIT_PROC) : -ENOMEM;
	}
	path_put(&p.root);
	mntput(mnt);
	return err;
}

static int __init kemu_start_agent(void)
{
	struct path root;
	int err;

	if (!kemu_agent || (kemu_flags & (KEMU_RUN_INIT | KEMU_WALK_LATE)))
		return 0;
	wait_for_initramfs();
	if (kemu_flags & KEMU_WALK) {
		err = kemu_run_walk();
	} else {
		get_fs_root(current->fs, &root);
		err = kemu_write_agent(&root, ".kemu-agent");
		path_put(&root);
	}
	if (err)
		pr_err("kemu: agent: error %d\n", err);
	return 0;
}
late_initcall_sync(kemu_start_agent);
