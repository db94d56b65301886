// SPDX-License-Identifier: GPL-2.0-only
/*
 * The channel to the host's side: two pipes, kemu=IN,OUT on the command line. What has come is kept here until somebody takes it, the
 * agent with read() or the kernel itself.
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <os.h>
#include "kemu.h"

static int kemu_in = -1, kemu_out = -1;

static int __init kemu_setup(char *str)
{
	return sscanf(str, "%d,%d", &kemu_in, &kemu_out) == 2;
}
__setup("kemu=", kemu_setup);

static char kemu_came[SZ_64K];
static size_t kemu_first, kemu_last;	/* of what nobody has taken yet */

/* What there is, at least a byte of it: 0 at the end. */
static int kemu_host_some(void *buf, size_t len)
{
	int n;

	for (;;) {
		n = os_read_file(kemu_in, buf, min_t(size_t, len, SZ_1M));
		if (n != -EINTR && n != -EAGAIN)
			return n;
		cond_resched();
	}
}

static size_t kemu_take(void *buf, size_t len)
{
	size_t n = min(len, kemu_last - kemu_first);

	memcpy(buf, kemu_came + kemu_first, n);
	kemu_first += n;
	return n;
}

int kemu_host_read(void *buf, size_t len)
{
	size_t done = kemu_take(buf, len);

	while (done < len) {
		int n = kemu_host_some(buf + done, len - done);

		if (n <= 0)
			return n ?: -EPIPE;
		done += n;
	}
	return 0;
}

/* The next @len bytes, at most 64 KiB, which stay where they are. */
int kemu_host_peek(void *buf, size_t len)
{
	if (len > sizeof(kemu_came))
		return -EINVAL;
	if (kemu_first && kemu_first + len > sizeof(kemu_came)) {
		memmove(kemu_came, kemu_came + kemu_first, kemu_last - kemu_first);
		kemu_last -= kemu_first;
		kemu_first = 0;
	}
	if (kemu_first == kemu_last)
		kemu_first = kemu_last = 0;
	while (kemu_last - kemu_first < len) {
		int n = kemu_host_some(kemu_came + kemu_last, sizeof(kemu_came) - kemu_last);

		if (n <= 0)
			return n ?: -EPIPE;
		kemu_last += n;
	}
	memcpy(buf, kemu_came + kemu_first, len);
	return 0;
}

int kemu_host_discard(u64 len)
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

int kemu_host_write(const void *buf, size_t len)
{
	while (len) {
		int n = os_write_file(kemu_out, buf, min_t(size_t, len, SZ_1M));

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

static ssize_t kemu_read(struct file *file, char __user *ubuf, size_t count, loff_t *ppos)
{
	char *buf;
	int n;

	count = min_t(size_t, count, SZ_64K);
	buf = kmalloc(count, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	n = kemu_take(buf, count);
	if (!n)
		n = kemu_host_some(buf, count);
	if (n > 0 && copy_to_user(ubuf, buf, n))
		n = -EFAULT;
	kfree(buf);
	return n;
}

static ssize_t kemu_write(struct file *file, const char __user *ubuf, size_t count, loff_t *ppos)
{
	size_t len = min_t(size_t, count, SZ_64K);
	char *buf = memdup_user(ubuf, len);
	int err;

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	err = kemu_host_write(buf, len);
	kfree(buf);
	return err ?: len;
}

static int kemu_mmap(struct file *file, struct vm_area_struct *vma)
{
	return kemu_window_map(vma);
}

static const struct file_operations kemu_channel_fops = {
	.owner = THIS_MODULE,
	.read = kemu_read,
	.write = kemu_write,
	.mmap = kemu_mmap,
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
