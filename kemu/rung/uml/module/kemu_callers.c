// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who else is there while a kernel boots: at a level of the initcalls somebody starts a helper, asks for firmware, or waits for the
 * initramfs and looks for itself. What they got, and what has become of the initrd's pages, are lines of the log at the end of the boot.
 */
#include <linux/async.h>
#include <linux/completion.h>
#include <linux/crc32.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/firmware.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/umh.h>
#include <linux/workqueue.h>
#include "kemu.h"
#include "kemu_sched.h"

#define KEMU_CALLERS	8
#define KEMU_HELPER	"/kemu/helper"
#define KEMU_LAST	"/kemu/last"
#define KEMU_FIRMWARE	"kemu.bin"
#define KEMU_EARLY	"early.bin"	/* asked for before there is anything to wait for: a request of its own */
#define KEMU_LOOKED	(1 << 20)
#define KEMU_PATIENCE	(300 * HZ)

struct kemu_caller {
	char level;			/* 1 to 7; s: behind fs initcalls, before the unpacking begins; r: right behind that */
	char what;			/* helper, executed only (x), not waited for (n); firmware, by way of a work (F), the others' (g); look */
	char context;			/* PID 1 in its initcall, thread, work, async */
	u32 number;
	int later;			/* what came of a helper that nobody waits for */
	long value;
	u32 digest;
	struct work_struct work;
};

static struct kemu_caller kemu_callers[KEMU_CALLERS];
static u32 kemu_count_callers;
static atomic_t kemu_open;		/* calls that have not come back; one more while there may be new ones */
static DECLARE_COMPLETION(kemu_all_back);
static struct device *kemu_device;
static char *kemu_argv[] = { KEMU_HELPER, "/kemu/first", "/lib/firmware/" KEMU_FIRMWARE, KEMU_LAST, NULL };
static char *kemu_envp[] = { NULL };

static unsigned long kemu_initrd_from, kemu_initrd_to;

/* kemu_callers=6ht,5fi: level, what, context */
static int __init kemu_callers_setup(char *str)
{
	char *word;

	while ((word = strsep(&str, ",")) && kemu_count_callers < KEMU_CALLERS) {
		struct kemu_caller *c = &kemu_callers[kemu_count_callers];

		if (strlen(word) != 3 || !strchr("12345sr67", word[0]) || !strchr("hxnfFgl", word[1]) || !strchr("itwa", word[2]))
			panic("kemu_callers=%s: level, what and context", word);
		c->level = word[0];
		c->what = word[1];
		c->context = word[2];
		c->number = kemu_count_callers++;
	}
	return 1;
}
__setup("kemu_callers=", kemu_callers_setup);

static void kemu_back(void)
{
	if (atomic_dec_and_test(&kemu_open))
		complete(&kemu_all_back);
}

/* ---- what they ask for ---- */

static void helper_gone(struct subprocess_info *info)
{
	struct kemu_caller *c = info->data;

	c->later = info->retval;
	kemu_back();
}

static long ask_helper(struct kemu_caller *c)
{
	int wait = c->what == 'h' ? UMH_WAIT_PROC : c->what == 'x' ? UMH_WAIT_EXEC : UMH_NO_WAIT;
	struct subprocess_info *info = call_usermodehelper_setup(KEMU_HELPER, kemu_argv, kemu_envp, GFP_KERNEL, NULL, helper_gone, c);
	long err;

	if (!info)
		return -ENOMEM;
	info->path = KEMU_HELPER;	/* the configuration has no helpers: whatever else asks for one gets nothing */
	atomic_inc(&kemu_open);
	err = call_usermodehelper_exec(info, wait);
	return err > 0 ? err >> 8 : err;	/* the exit code: the helper has looked, too */
}

static void take_firmware(struct kemu_caller *c, const struct firmware *fw)
{
	c->value = fw->size;
	c->digest = ~crc32_le(~0, fw->data, fw->size);
}

static void firmware_came(const struct firmware *fw, void *context)
{
	struct kemu_caller *c = context;

	if (fw)
		take_firmware(c, fw);
	else
		c->value = -ENOENT;	/* the interface has no errors */
	release_firmware(fw);
	kemu_back();
}

static const char *firmware_of(const struct kemu_caller *c)
{
	return c->what == 'g' || strchr("67r", c->level) ? KEMU_FIRMWARE : KEMU_EARLY;
}

static long ask_firmware(struct kemu_caller *c)
{
	const struct firmware *fw;
	int err = request_firmware(&fw, firmware_of(c), kemu_device);

	if (err)
		return err;
	take_firmware(c, fw);
	release_firmware(fw);
	return c->value;
}

static void ask_firmware_nowait(struct kemu_caller *c)
{
	int err;

	atomic_inc(&kemu_open);
	err = request_firmware_nowait(THIS_MODULE, true, firmware_of(c), kemu_device, GFP_KERNEL, c, firmware_came);
	if (err) {
		c->value = err;
		kemu_back();
	}
}

/* Which of the helper's files are missing, as bits; the digest is the last one's. */
static long look(struct kemu_caller *c)
{
	char *buffer = kvmalloc(KEMU_LOOKED, GFP_KERNEL);
	struct file *file;
	long missing = 0;

	if (!buffer)
		return -ENOMEM;
	wait_for_initramfs();
	for (u32 i = 1; kemu_argv[i]; i++) {
		struct path path;

		if (kern_path(kemu_argv[i], LOOKUP_FOLLOW, &path))
			missing |= BIT(i - 1);
		else
			path_put(&path);
	}
	file = filp_open(KEMU_LAST, O_RDONLY | O_LARGEFILE, 0);
	if (!IS_ERR(file)) {
		loff_t pos = 0;
		ssize_t n = kernel_read(file, buffer, KEMU_LOOKED, &pos);

		c->digest = ~crc32_le(~0, buffer, max_t(ssize_t, n, 0));
		__fput_sync(file);
	}
	kvfree(buffer);
	return missing;
}

static void kemu_call(struct kemu_caller *c)
{
	switch (c->what) {
	case 'f':
	case 'g':
		c->value = ask_firmware(c);
		break;
	case 'F':
		ask_firmware_nowait(c);
		break;
	case 'l':
		c->value = look(c);
		break;
	default:
		c->value = ask_helper(c);
	}
	kemu_back();
}

/* ---- who asks ---- */

static int call_in_thread(void *caller)
{
	kemu_call(caller);
	return 0;
}

static void call_in_work(struct work_struct *work)
{
	kemu_call(container_of(work, struct kemu_caller, work));
}

static void call_in_async(void *caller, async_cookie_t cookie)
{
	kemu_call(caller);
}

static int __init kemu_callers_at(char level)
{
	for (u32 i = 0; i < kemu_count_callers; i++) {
		struct kemu_caller *c = &kemu_callers[i];
		struct task_struct *task;

		if (c->level != level)
			continue;
		atomic_inc(&kemu_open);
		switch (c->context) {
		case 'i':
			kemu_call(c);
			break;
		case 't':
			task = kthread_run(call_in_thread, c, "caller%u", c->number);
			if (IS_ERR(task)) {
				c->value = PTR_ERR(task);
				kemu_back();
			}
			break;
		case 'w':
			INIT_WORK(&c->work, call_in_work);
			schedule_work(&c->work);
			break;
		case 'a':
			async_schedule(call_in_async, c);
			break;
		}
	}
	return 0;
}

static int __init kemu_callers_1(void)
{
	kemu_initrd_from = initrd_start;
	kemu_initrd_to = initrd_end;
	if (!kemu_boot_is_chosen())	/* the helper is a program: it comes with a plan, and not with any archive */
		kemu_count_callers = 0;
	if (!kemu_count_callers)
		return 0;
	atomic_set(&kemu_open, 1);
	kemu_device = root_device_register("kemu");
	if (IS_ERR(kemu_device))
		kemu_device = NULL;
	return kemu_callers_at('1');
}
core_initcall(kemu_callers_1);

#define KEMU_CALLERS_AT(initcall, name, level)		\
static int __init kemu_callers_##name(void)		\
{							\
	return kemu_callers_at(level);			\
}							\
initcall(kemu_callers_##name)

KEMU_CALLERS_AT(postcore_initcall, 2, '2');
KEMU_CALLERS_AT(arch_initcall, 3, '3');
KEMU_CALLERS_AT(subsys_initcall, 4, '4');
KEMU_CALLERS_AT(fs_initcall, 5, '5');
KEMU_CALLERS_AT(fs_initcall_sync, s, 's');	/* the firmware loader is there from fs initcalls on */
KEMU_CALLERS_AT(rootfs_initcall, r, 'r');
KEMU_CALLERS_AT(device_initcall, 6, '6');
KEMU_CALLERS_AT(late_initcall, 7, '7');

/* ---- what came of it ---- */

/* What sysfs has of the initrd: its bytes, or an error. */
static ssize_t initrd_in_sysfs(u32 *digest)
{
	struct file_system_type *type = get_fs_type("sysfs");
	struct vfsmount *mnt;
	struct file *file;
	struct path root;
	ssize_t n, total = 0;
	loff_t pos = 0;
	char *page;

	if (!type)
		return -ENODEV;
	mnt = vfs_kern_mount(type, 0, "sysfs", NULL);
	put_filesystem(type);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	root.mnt = mnt;
	root.dentry = mnt->mnt_root;
	file = file_open_root(&root, "firmware/initrd", O_RDONLY, 0);
	page = (char *)__get_free_page(GFP_KERNEL);
	if (IS_ERR(file) || !page) {
		total = IS_ERR(file) ? PTR_ERR(file) : -ENOMEM;
		goto out;
	}
	*digest = ~0;
	while ((n = kernel_read(file, page, PAGE_SIZE, &pos)) > 0) {
		*digest = crc32_le(*digest, page, n);
		total += n;
	}
	*digest = ~*digest;
	total = n ?: total;
	__fput_sync(file);
out:
	free_page((unsigned long)page);
	kern_unmount(mnt);
	return total;
}

static void tell_initrd(void)
{
	unsigned long pages = 0, reserved = 0;
	u32 digest = 0;
	ssize_t bytes;

	if (!kemu_initrd_from)
		return;
	for (unsigned long pfn = PFN_UP(__pa(kemu_initrd_from)); pfn < PFN_DOWN(__pa(kemu_initrd_to)); pfn++, pages++)
		reserved += PageReserved(pfn_to_page(pfn));
	bytes = initrd_in_sysfs(&digest);
	pr_info("kemu: initrd: %lu bytes, %lu pages, %lu of them kept; in sysfs: %zd, %08x\n", kemu_initrd_to - kemu_initrd_from, pages,
		reserved, bytes, digest);
}

/* Before init is executed for the first time: all who asked get their answers. */
void kemu_callers_wait(void)
{
	if (!kemu_count_callers)
		return;
	kemu_back();
	if (!wait_for_completion_timeout(&kemu_all_back, KEMU_PATIENCE)) {
		pr_err("kemu: a caller is not coming back\n");
		show_state_filter(TASK_UNINTERRUPTIBLE);
	}
}

void kemu_callers_tell(void)
{
	for (u32 i = 0; i < kemu_count_callers; i++) {
		struct kemu_caller *c = &kemu_callers[i];

		pr_info("kemu: caller %u: %ld, %08x\n", i, c->value ?: c->later, c->digest);
	}
	tell_initrd();
}
