// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps of a program, as system calls would take them. Who runs them is no kernel thread: files are put and mounts come down where a
 * task returns to user space, which is after each step.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init_syscalls.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/statfs.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <linux/xattr.h>
#include <linux/xxhash.h>
#include <uapi/linux/mount.h>
#include "../mm/internal.h"
#include "kemu_sched.h"

static const char *text(struct kemu_files *files, u32 at)
{
	return at ? files->strings + at : NULL;
}

static long op_open(struct kemu_files *files, const struct kemu_op *op)
{
	struct file *file = filp_open(text(files, op->text), op->a | O_LARGEFILE, 0600);

	if (IS_ERR(file))
		return PTR_ERR(file);
	if (files->slot[op->slot])
		fput(files->slot[op->slot]);
	files->slot[op->slot] = file;
	return 0;
}

static long op_close(struct kemu_files *files, const struct kemu_op *op)
{
	struct file *file = xchg(&files->slot[op->slot], NULL);

	if (!file)
		return -EBADF;
	fput(file);
	return 0;
}

static long op_read(struct file *file, const struct kemu_op *op, char *buffer, u64 *digest)
{
	loff_t pos = op->a;
	u64 left = op->b;
	long total = 0;

	while (left) {
		size_t want = min3(left, op->c ?: (u64)KEMU_BUFFER, (u64)KEMU_BUFFER);
		ssize_t n = kernel_read(file, buffer, want, &pos);

		if (n < 0)
			return n;
		if (!n)
			break;
		*digest = xxh64(buffer, n, *digest);
		total += n;
		left -= n;
	}
	return total;
}

/* Mapped, and read through the mapping: its pages are faulted in one by one, or around each other. */
/* As MADV_RANDOM, which this configuration may not have. */
static void op_random(unsigned long at)
{
	struct vm_area_struct *vma;

	mmap_write_lock(current->mm);
	vma = find_vma(current->mm, at);
	if (vma)
		vm_flags_set(vma, VM_RAND_READ);
	mmap_write_unlock(current->mm);
}

static long op_map(struct file *file, const struct kemu_op *op, char *buffer, u64 *digest)
{
	size_t len = min_t(u64, op->b, KEMU_BUFFER), left;
	unsigned long at = vm_mmap(file, 0, len, PROT_READ, MAP_PRIVATE, op->a);

	if (IS_ERR_VALUE(at))
		return at;
	if (op->c)
		op_random(at);
	left = copy_from_user(buffer, (void __user *)at, len);
	*digest = xxh64(buffer, len - left, 0);
	vm_munmap(at, len);
	return left ? -EFAULT : len;
}

struct names {
	struct dir_context ctx;
	u64 digest;
	long count;
	bool only;
};

static bool take_name(struct dir_context *ctx, const char *name, int len, loff_t pos, u64 ino, unsigned int type)
{
	struct names *names = container_of(ctx, struct names, ctx);

	if (names->only)
		names->digest += xxh64(name, len, type);
	else
		names->digest = xxh64(name, len, names->digest ^ ino ^ type);
	names->count++;
	return true;
}

static long op_readdir(struct file *file, bool only, u64 *digest)
{
	struct names names = { .ctx.actor = take_name, .only = only };
	long before;
	int err;

	vfs_llseek(file, 0, SEEK_SET);
	do {
		before = names.count;
		err = iterate_dir(file, &names.ctx);
	} while (!err && names.count > before);
	*digest = names.digest;
	return err ?: names.count;
}

static long __ref op_stat(const char *path, bool less, u64 *digest)
{
	struct kstat st;
	int err = init_stat(path, &st, AT_SYMLINK_NOFOLLOW);
	u64 facts[] = { st.mode, st.nlink, st.size, st.uid.val, st.gid.val, st.ino, st.blocks, st.mtime.tv_sec };

	if (err)
		return err;
	if (less && S_ISDIR(st.mode))
		facts[1] = facts[2] = 0;
	*digest = xxh64(facts, less ? 5 * sizeof(*facts) : sizeof(facts), 0);
	return 0;
}

static long op_getxattr(const char *name, const char *key, char *buffer, u64 *digest)
{
	struct path path;
	long n = kern_path(name, 0, &path);

	if (n)
		return n;
	n = vfs_getxattr(mnt_idmap(path.mnt), path.dentry, key, buffer, SZ_64K);
	if (n > 0)
		*digest = xxh64(buffer, n, 0);
	path_put(&path);
	return n;
}

static long op_readlink(const char *name, u64 *digest)
{
	DEFINE_DELAYED_CALL(done);
	struct path path;
	const char *target;
	long n = kern_path(name, 0, &path);

	if (n)
		return n;
	target = vfs_get_link(path.dentry, &done);
	if (IS_ERR(target)) {
		n = PTR_ERR(target);
	} else {
		n = strlen(target);
		*digest = xxh64(target, n, 0);
		do_delayed_call(&done);
	}
	path_put(&path);
	return n;
}

static long op_statfs(const char *name, u64 *digest)
{
	struct kstatfs st;
	struct path path;
	long err = kern_path(name, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	err = vfs_statfs(&path, &st);
	path_put(&path);
	if (!err)
		*digest = xxh64(&st.f_blocks, sizeof(st.f_blocks), st.f_files ^ st.f_type);
	return err;
}

static long op_supers(const char *name)
{
	struct file_system_type *type = get_fs_type(name);
	struct super_block *sb;
	long n = 0;

	if (!type)
		return -ENODEV;
	hlist_for_each_entry(sb, &type->fs_supers, s_instances)
		n++;
	return n;
}

/* The options are a page of their own, which is written to: they are cut into pieces. */
static long __ref op_mount(const char *source, const char *place, const char *type, const char *options, unsigned long flags,
			   char *page)
{
	strscpy_pad(page, options, PAGE_SIZE);
	return init_mount(source, place, type, flags, page);
}

/* What is held back until a grace period or a worker has come: put files and mounts, freed objects. */
static long op_settle(void)
{
	flush_delayed_fput();
	rcu_barrier();
	return 0;
}

static long op_file(struct kemu_files *files, const struct kemu_op *op, char *buffer, u64 *digest)
{
	struct file *file = files->slot[op->slot];
	loff_t pos = op->a;

	if (!file)
		return -EBADF;
	switch (op->what) {
	case KEMU_OP_READ:
		return op_read(file, op, buffer, digest);
	case KEMU_OP_WRITE:
		return kernel_write(file, text(files, op->text), op->b, &pos);
	case KEMU_OP_READDIR:
		return op_readdir(file, op->a, digest);
	case KEMU_OP_INVALIDATE:
		return invalidate_mapping_pages(file->f_mapping, 0, -1);
	case KEMU_OP_TRUNCATE:
		return vfs_truncate(&file->f_path, op->a);
	case KEMU_OP_SEEK:
		return vfs_llseek(file, op->a, op->b);
	case KEMU_OP_MAP:
		return op_map(file, op, buffer, digest);
	}
	return -EINVAL;
}

static long __ref op_path(struct kemu_files *files, const struct kemu_op *op, char *buffer, u64 *digest)
{
	const char *path = text(files, op->text);

	switch (op->what) {
	case KEMU_OP_MOUNT: {
		const char *type = text(files, op->text3);

		return op_mount(path, text(files, op->text2), type, type + strlen(type) + 1, op->a, buffer);
	}
	case KEMU_OP_REMOUNT:
		return op_mount(NULL, path, NULL, text(files, op->text3) ?: "", op->a | MS_REMOUNT, buffer);
	case KEMU_OP_UMOUNT:
		return init_umount(path, op->a);
	case KEMU_OP_STAT:
		return op_stat(path, op->a, digest);
	case KEMU_OP_GETXATTR:
		return op_getxattr(path, text(files, op->text2), buffer, digest);
	case KEMU_OP_READLINK:
		return op_readlink(path, digest);
	case KEMU_OP_STATFS:
		return op_statfs(path, digest);
	case KEMU_OP_SUPERS:
		return op_supers(path);
	case KEMU_OP_MKDIR:
		return init_mkdir(path, op->a);
	case KEMU_OP_UNLINK:
		return init_unlink(path);
	case KEMU_OP_CHMOD:
		return init_chmod(path, op->a);
	}
	return -EINVAL;
}

static long op_fail(unsigned int nth)
{
#ifdef CONFIG_FAULT_INJECTION
	current->fail_nth = nth;
	return 0;
#else
	return -EOPNOTSUPP;
#endif
}

static long op_failed(void)
{
#ifdef CONFIG_FAULT_INJECTION
	return !current->fail_nth;
#else
	return -EOPNOTSUPP;
#endif
}

/* Do one step, and what a system call's end would do. */
void kemu_op(struct kemu_files *files, const struct kemu_op *op, char *buffer, struct kemu_said *said)
{
	long value;
	u64 digest = 0;

	switch (op->what) {
	case KEMU_OP_OPEN:
		value = op_open(files, op);
		break;
	case KEMU_OP_CLOSE:
		value = op_close(files, op);
		break;
	case KEMU_OP_READ:
	case KEMU_OP_WRITE:
	case KEMU_OP_READDIR:
	case KEMU_OP_INVALIDATE:
	case KEMU_OP_TRUNCATE:
	case KEMU_OP_SEEK:
	case KEMU_OP_MAP:
		value = op_file(files, op, buffer, &digest);
		break;
	case KEMU_OP_DROP_SLAB:
		drop_slab();
		value = 0;
		break;
	case KEMU_OP_SLEEP:
		msleep(op->a);
		value = 0;
		break;
	case KEMU_OP_SETTLE:
		value = op_settle();
		break;
	case KEMU_OP_FAIL:
		value = op_fail(op->a);
		break;
	case KEMU_OP_FAILED:
		value = op_failed();
		break;
	case KEMU_OP_COUNT:
		kemu_count(op->a);
		value = 0;
		break;
	case KEMU_OP_COUNTED:
		value = kemu_counted();
		break;
	case KEMU_OP_FADVISE ... KEMU_OP_LATE_FILE:
		value = kemu_op_change(files, op, buffer);
		break;
	default:
		value = op_path(files, op, buffer, &digest);
	}
	if (task_work_pending(current))
		task_work_run();
	said->value = value;
	said->digest = digest;
	said->run = 1;
}
