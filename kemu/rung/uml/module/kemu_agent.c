// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's side of the agent: the log to the host, what the agent asks for, bugs to order.
 */
#include <linux/console.h>
#include <linux/init.h>
#include <linux/panic_notifier.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <os.h>
#include "kemu.h"
#include "kemu_sched.h"

#define KEMU_LOG	2		/* the host's descriptor: stderr */

/* Bytes of the log so far: the host knows from it which of them are of which case. */
u64 kemu_logged;
u32 kemu_lines;				/* that have been said */

/* ---- the kernel log goes to the host's stderr, all through the boot and apart from the agent's data ---- */

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
		kemu_logged += n;
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

/* ---- what the agent asks for ---- */

static long kemu_do_place(void __user *arg)
{
	struct kemu_place place;
	long err;

	if (copy_from_user(&place, arg, sizeof(place)))
		return -EFAULT;
	err = kemu_place(&place);
	if (!err && copy_to_user(arg, &place, sizeof(place)))
		err = -EFAULT;
	return err;
}

static long kemu_do_unpack(void __user *arg)
{
	struct kemu_unpack unpack;

	if (copy_from_user(&unpack, arg, sizeof(unpack)))
		return -EFAULT;
	if (!kemu_region(unpack.slot))
		return -EINVAL;
	kemu_unpack_region(&unpack);
	return copy_to_user(arg, &unpack, sizeof(unpack)) ? -EFAULT : 0;
}

static long kemu_do_mount(void __user *arg)
{
	struct kemu_mount *m = memdup_user(arg, sizeof(*m));
	long err;

	if (IS_ERR(m))
		return PTR_ERR(m);
	m->dir[sizeof(m->dir) - 1] = m->options[sizeof(m->options) - 1] = 0;
	err = kemu_mount_region(m->slot, m->dir, m->options);
	kfree(m);
	return err;
}

static long kemu_do_serve(void __user *arg)
{
	struct kemu_serve serve;
	int err;

	if (copy_from_user(&serve, arg, sizeof(serve)))
		return -EFAULT;
	err = kemu_window_enter(serve.window);
	return err ?: kemu_inside(&serve);
}

long kemu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;
	u64 n;

	switch (cmd) {
	case KEMU_IOC_PLACE:
		return kemu_do_place(uarg);
	case KEMU_IOC_DROP:
		if (arg >= KEMU_DISKS)
			return -EINVAL;
		kemu_drop(arg);
		return 0;
	case KEMU_IOC_UNPACK:
		return kemu_do_unpack(uarg);
	case KEMU_IOC_BUG:
		return kemu_bug(arg);
	case KEMU_IOC_DISCARD:
		return copy_from_user(&n, uarg, sizeof(n)) ? -EFAULT : kemu_host_discard(n);
	case KEMU_IOC_SERVE:
		return kemu_do_serve(uarg);
	case KEMU_IOC_LOGGED:
		n = kemu_logged;
		return copy_to_user(uarg, &n, sizeof(n)) ? -EFAULT : 0;
	case KEMU_IOC_MOUNT:
		return kemu_do_mount(uarg);
	case KEMU_IOC_SCHED:
		return IS_ENABLED(CONFIG_KEMU_SCHED) ? kemu_sched_serve() : -ENOTTY;
	}
	return -ENOTTY;
}
