// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's side of the agent: a channel to the host, memory regions, bugs to order.
 */
#include <linux/blkdev.h>
#include <linux/console.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/panic_notifier.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <os.h>
#include "kemu.h"
#include "kemu_sched.h"

/* host file descriptors: kemu=IN,OUT on the command line; the log goes to stderr */
static int kemu_in = -1, kemu_out = -1;
#define KEMU_LOG	2

static int __init kemu_setup(char *str)
{
	return sscanf(str, "%d,%d", &kemu_in, &kemu_out) == 2;
}
__setup("kemu=", kemu_setup);

static struct kemu_region *kemu_regions[KEMU_DISKS];

/* ---- the kernel log goes to the host's stderr, all through the boot and apart from the agent's data ---- */

u32 kemu_lines;				/* that have been said */

static void kemu_console_write(struct console *con, const char *s, unsigned int len)
{
	if (len && s[len - 1] == '\n')
		kemu_lines++;
	while (len) {
		int n = os_write_file(KEMU_LOG, s, len);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		s += n;
		len -= n;
	}
}

static struct console kemu_console = {
	.name = "kemu",
	.write = kemu_console_write,
	.flags = CON_PRINTBUFFER | CON_ANYTIME | CON_ENABLED,
	.index = -1,
};

static int __init kemu_console_init(void)
{
	register_console(&kemu_console);
	return 0;
}
console_initcall(kemu_console_init);

/* UML ends in its own panic notifier, before the kernel comes to show where it was. */
static int kemu_panic(struct notifier_block *nb, unsigned long event, void *p)
{
	if (!IS_ENABLED(CONFIG_DEBUG_BUGVERBOSE))
		dump_stack();
	return NOTIFY_DONE;
}

static struct notifier_block kemu_panic_notifier = {
	.notifier_call = kemu_panic,
	.priority = INT_MAX,
};

static int __init kemu_panic_init(void)
{
	return atomic_notifier_chain_register(&panic_notifier_list, &kemu_panic_notifier);
}
early_initcall(kemu_panic_init);

/* ---- regions ---- */

/*
 * Behind a linear region the host takes a page away, as at the end of RAM, where UML puts its initrd: who reads on into it oopses.
 * (A fault on vmalloc's own guard page is retried for ever by UML: a hang.)
 */
static void *kemu_guard(struct kemu_region *r)
{
	return r->base + PAGE_ALIGN(r->size);
}

static void kemu_region_free(struct kemu_region *r)
{
	if (!r)
		return;
	switch (r->memory) {
	case KEMU_LINEAR:
		os_protect_memory(kemu_guard(r), PAGE_SIZE, 1, 1, 1);
		free_pages_exact(r->base, PAGE_ALIGN(r->size) + PAGE_SIZE);
		break;
	case KEMU_VMALLOC:
		vfree(r->base);
		break;
	case KEMU_SLAB:
		kfree(r->base);
		break;
	}
	kfree(r);
}

static struct kemu_region *kemu_region_alloc(unsigned int memory, u64 at, u64 len)
{
	struct kemu_region *r;

	if (at >= PAGE_SIZE || len > SZ_1G)
		return ERR_PTR(-EINVAL);
	r = kzalloc_obj(*r);
	if (!r)
		return ERR_PTR(-ENOMEM);
	r->memory = memory;
	r->size = max_t(u64, at + len, 1);
	r->len = len;
	switch (memory) {
	case KEMU_LINEAR:
		r->base = alloc_pages_exact(PAGE_ALIGN(r->size) + PAGE_SIZE, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
		if (r->base)
			os_protect_memory(kemu_guard(r), PAGE_SIZE, 0, 0, 0);
		break;
	case KEMU_VMALLOC:
		r->base = vzalloc(r->size);
		break;
	case KEMU_SLAB:
		r->base = kzalloc(r->size, GFP_KERNEL | __GFP_NOWARN);
		break;
	default:
		kfree(r);
		return ERR_PTR(-EINVAL);
	}
	if (!r->base) {
		kfree(r);
		return ERR_PTR(-ENOMEM);
	}
	r->data = r->base + at;
	return r;
}

int kemu_host_read(void *buf, size_t len)
{
	while (len) {
		int n = os_read_file(kemu_in, buf, min_t(size_t, len, SZ_1M));

		if (n == -EINTR || n == -EAGAIN) {
			cond_resched();
			continue;
		}
		if (n < 0)
			return n;
		if (!n)
			return -EPIPE;
		buf += n;
		len -= n;
	}
	return 0;
}

int kemu_host_write(const void *buf, size_t len)
{
	while (len) {
		int n = os_write_file(kemu_out, buf, len);

		if (n == -EINTR || n == -EAGAIN) {
			cond_resched();
			continue;
		}
		if (n <= 0)
			return -EPIPE;
		buf += n;
		len -= n;
	}
	return 0;
}

static int kemu_discard(u64 len)
{
	void *buf = kvmalloc(SZ_64K, GFP_KERNEL);
	int err = buf ? 0 : -ENOMEM;

	while (!err && len) {
		size_t n = min_t(u64, len, SZ_64K);

		err = kemu_host_read(buf, n);
		len -= n;
	}
	kvfree(buf);
	return err;
}

static void kemu_drop(unsigned int slot)
{
	kemu_disk_detach(slot);
	kemu_region_free(kemu_regions[slot]);
	kemu_regions[slot] = NULL;
}

/* The data is taken from the channel even if there is no memory for it: otherwise the next request would be read out of it. */
static long kemu_place(struct kemu_place *p)
{
	struct kemu_region *r;
	int err;

	if (p->slot >= KEMU_DISKS)
		return -EINVAL;
	kemu_drop(p->slot);
	r = kemu_region_alloc(p->memory, p->at, p->len);
	if (IS_ERR(r)) {
		err = kemu_discard(p->len);
		return err ?: PTR_ERR(r);
	}
	err = kemu_host_read(r->data, p->len);
	if (!err)
		err = kemu_disk_attach(p->slot, r);
	if (err) {
		kemu_region_free(r);
		return err;
	}
	kemu_regions[p->slot] = r;
	p->address = (unsigned long)r->data;
	return 0;
}

/* ---- bugs to order: what the bench's own watchdog and splat reader are tested with ---- */

static noinline int kemu_oob_read(volatile char *p, size_t n)
{
	return p[n];
}

static long kemu_bug(unsigned long which)
{
	volatile char *p;
	int n;

	switch (which) {
	case KEMU_BUG_PANIC:
		panic("kemu: ordered panic");
	case KEMU_BUG_HANG:
		local_irq_disable();
		for (;;)
			cpu_relax();
	case KEMU_BUG_SLEEP:
		for (;;) {
			set_current_state(TASK_UNINTERRUPTIBLE);
			schedule();
		}
	case KEMU_BUG_OOB:
		p = kmalloc(40, GFP_KERNEL);
		if (p)
			kemu_oob_read(p, 40);
		kfree((void *)p);
		return 0;
	case KEMU_BUG_WARN:
		WARN(1, "kemu: ordered warning\n");
		return 0;
	case KEMU_BUG_OOPS:
		return *(volatile int *)8;
	case KEMU_BUG_LEAK:
		for (n = 0; n < 16; n++) {	/* the last ones may still be on some stack */
			p = kmalloc(120, GFP_KERNEL);
			OPTIMIZER_HIDE_VAR(p);
		}
		return 0;
	}
	return -EINVAL;
}

/* ---- the channel ---- */

static ssize_t kemu_read(struct file *file, char __user *ubuf, size_t count, loff_t *ppos)
{
	char *buf;
	int n;

	count = min_t(size_t, count, SZ_64K);
	buf = kmalloc(count, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	for (;;) {
		n = os_read_file(kemu_in, buf, count);
		if (n != -EINTR && n != -EAGAIN)
			break;
		cond_resched();
	}
	if (n > 0 && copy_to_user(ubuf, buf, n))
		n = -EFAULT;
	kfree(buf);
	return n;
}

static ssize_t kemu_write(struct file *file, const char __user *ubuf, size_t count, loff_t *ppos)
{
	size_t len = min_t(size_t, count, SZ_64K), done = 0;
	char *buf = memdup_user(ubuf, len);
	int n;

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	while (done < len) {
		n = os_write_file(kemu_out, buf + done, len - done);
		if (n == -EINTR || n == -EAGAIN) {
			cond_resched();
			continue;
		}
		if (n <= 0)
			break;
		done += n;
	}
	kfree(buf);
	return done ?: -EPIPE;
}

static long kemu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;
	struct kemu_place place;
	struct kemu_unpack unpack;
	char *message;
	u64 len;
	long err;

	switch (cmd) {
	case KEMU_IOC_PLACE:
		if (copy_from_user(&place, uarg, sizeof(place)))
			return -EFAULT;
		err = kemu_place(&place);
		if (!err && copy_to_user(uarg, &place, sizeof(place)))
			err = -EFAULT;
		return err;
	case KEMU_IOC_DROP:
		if (arg >= KEMU_DISKS)
			return -EINVAL;
		kemu_drop(arg);
		return 0;
	case KEMU_IOC_UNPACK:
		if (copy_from_user(&unpack, uarg, sizeof(unpack)))
			return -EFAULT;
		if (unpack.slot >= KEMU_DISKS || !kemu_regions[unpack.slot])
			return -EINVAL;
		message = kemu_unpack_to_rootfs(kemu_regions[unpack.slot]->data, kemu_regions[unpack.slot]->len);
		unpack.failed = !!message;
		memset(unpack.message, 0, sizeof(unpack.message));
		if (message)
			strscpy(unpack.message, message);
		return copy_to_user(uarg, &unpack, sizeof(unpack)) ? -EFAULT : 0;
	case KEMU_IOC_BUG:
		return kemu_bug(arg);
	case KEMU_IOC_DISCARD:
		if (copy_from_user(&len, uarg, sizeof(len)))
			return -EFAULT;
		return kemu_discard(len);
	case KEMU_IOC_SCHED:
		return IS_ENABLED(CONFIG_KEMU_SCHED) ? kemu_sched_serve() : -ENOTTY;
	}
	return -ENOTTY;
}

static const struct file_operations kemu_channel_fops = {
	.owner = THIS_MODULE,
	.read = kemu_read,
	.write = kemu_write,
	.unlocked_ioctl = kemu_ioctl,
	.llseek = noop_llseek,
};

static int __init kemu_channel_init(void)
{
	int err = register_chrdev(KEMU_MAJOR, "kemu", &kemu_channel_fops);

	if (err)
		return err;
	return register_blkdev(KEMU_MAJOR, "kemu");
}
fs_initcall(kemu_channel_init);
