// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a name of a mounted file system answers when it is asked more than a walk asks, line by line, for a comparison: attributes, odd
 * reads, direct reads, positions in a folder, file handles, values that do not fit, names that are not there. doors.c asks the same
 * and looks at nothing.
 */
#include <linux/exportfs.h>
#include <linux/fadvise.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/stat.h>
#include <linux/statfs.h>
#include <linux/syscalls.h>
#include <linux/task_work.h>
#include <linux/uio.h>
#include <linux/xattr.h>
#include "../mm/internal.h"
#include "runtime.h"

#define ROOM	(1u << 18)

static char lines[ROOM];
static unsigned int used;

void kemu_look_clear(void)
{
	used = 0;
}

const char *kemu_look_lines(unsigned long long *len)
{
	*len = used;
	return lines;
}

static __printf(1, 2) void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	used += vscnprintf(lines + used, ROOM - used, fmt, args);
	va_end(args);
	if (used + 1 < ROOM)
		lines[used++] = '\n';
}

static unsigned int hash(const void *data, long n)
{
	const u8 *p = data;
	u32 h = 0x811c9dc5;

	while (n-- > 0)
		h = (h ^ *p++) * 0x01000193;
	return h;
}

static void attributes(const char *path, const struct path *p)
{
	struct kstat s;
	int err = vfs_getattr(p, &s, STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN | STATX_DIO_READ_ALIGN, 0);

	say("%s: getattr %d", path, err);
	if (err)
		return;
	say("%s: mask %x attributes %llx of %llx ino %llu mode %o nlink %u uid %u gid %u rdev %x size %lld blksize %u blocks %llu", path,
	    s.result_mask, s.attributes, s.attributes_mask, s.ino, s.mode, s.nlink, __kuid_val(s.uid), __kgid_val(s.gid), s.rdev, s.size,
	    s.blksize, s.blocks);
	say("%s: times %lld.%ld %lld.%ld %lld.%ld dio %u %u %u", path, s.atime.tv_sec, s.atime.tv_nsec, s.mtime.tv_sec, s.mtime.tv_nsec,
	    s.ctime.tv_sec, s.ctime.tv_nsec, s.dio_mem_align, s.dio_offset_align, s.dio_read_offset_align);
}

static void of_handle(const char *path, const char *what, struct dentry *d)
{
	if (IS_ERR_OR_NULL(d)) {
		say("%s: %s %ld", path, what, PTR_ERR(d));
		return;
	}
	say("%s: %s ino %llu", path, what, (u64)d_inode(d)->i_ino);
	dput(d);
}

static void by_handle(const char *path, struct dentry *dentry)
{
	const struct export_operations *ops = dentry->d_sb->s_export_op;
	struct super_block *sb = dentry->d_sb;
	int with_parent, type, len, cut;
	__u32 fh[8];

	if (!ops || !ops->encode_fh)
		return;
	for (with_parent = 0; with_parent < 2; with_parent++) {
		struct inode *parent = with_parent ? d_inode(dentry->d_parent) : NULL;

		for (len = 0; len < 8; len++) {
			cut = len;
			memset(fh, 0, sizeof(fh));
			type = ops->encode_fh(d_inode(dentry), fh, &cut, parent);
			if (type != FILEID_INVALID)
				break;
			say("%s: a handle of %d words: %d wants %d", path, len, type, cut);
		}
		say("%s: handle type %d of %d words %x", path, type, cut, hash(fh, cut * 4));
		for (len = 1; len <= cut; len++) {
			of_handle(path, "fh_to_dentry", ops->fh_to_dentry(sb, (struct fid *)fh, len, type));
			of_handle(path, "fh_to_parent", ops->fh_to_parent(sb, (struct fid *)fh, len, type));
		}
		of_handle(path, "fh_to_dentry of another type", ops->fh_to_dentry(sb, (struct fid *)fh, cut, 0x7f));
		fh[0] = fh[1] = ~0u;
		of_handle(path, "fh_to_dentry of what is not there", ops->fh_to_dentry(sb, (struct fid *)fh, cut, type));
	}
	if (d_is_dir(dentry))
		of_handle(path, "get_parent", ops->get_parent(dentry));
}

static void options_shown(const char *path, struct dentry *root)
{
	static char room[PAGE_SIZE];
	struct seq_file m = { .buf = room, .size = sizeof(room) };

	if (root->d_sb->s_op->show_options)
		root->d_sb->s_op->show_options(&m, root);
	say("%s: options %.*s flags %lx", path, (int)m.count, room, root->d_sb->s_flags & (SB_RDONLY | SB_POSIXACL | SB_NOATIME));
	say("%s: uuid %pUb name %s maxbytes %lld gran %u blocksize %lu", path, &root->d_sb->s_uuid, root->d_sb->s_sysfs_name,
	    root->d_sb->s_maxbytes, root->d_sb->s_time_gran, root->d_sb->s_blocksize);
}

static void reads(const char *path, const char *how, int flags, loff_t size)
{
	static const short lengths[] = { 5000, 1, 512, 4096 };
	const loff_t at[] = { 1, 4095, 4096, 4097, 8191, size / 2 + 1, size - 4096, size - 513, size - 1, size, size + 4096,
			      size & ~4095ll, size & ~511ll };
	struct file *file = filp_open(path, O_RDONLY | O_LARGEFILE | flags, 0);
	char *room = alloc_pages_exact(2 * PAGE_SIZE, GFP_KERNEL);
	unsigned int i;
	ssize_t n;

	if (IS_ERR(file))
		say("%s: open %s %ld", path, how, PTR_ERR(file));
	for (i = 0; i < ARRAY_SIZE(at) && !IS_ERR(file) && room; i++) {
		loff_t pos = at[i];
		int len = lengths[i % ARRAY_SIZE(lengths)];

		if (pos < 0)
			continue;
		memset(room, 0x5a, 2 * PAGE_SIZE);
		n = kernel_read(file, room, flags ? ALIGN(len, 512) : len, &pos);
		say("%s: %s read at %lld: %zd %x", path, how, at[i], n, hash(room, 2 * PAGE_SIZE));
	}
	if (room)
		free_pages_exact(room, 2 * PAGE_SIZE);
	if (!IS_ERR(file))
		fput(file);
}

/* What is in the page cache behind the end of the file: what is mapped shows it. */
static void tail(const char *path, struct inode *inode, loff_t size)
{
	struct folio *folio;
	char *p;

	if (!size || !(size & ~PAGE_MASK) || inode->i_mapping->nrpages == 0)
		return;
	folio = filemap_get_folio(inode->i_mapping, size >> PAGE_SHIFT);
	if (IS_ERR(folio))
		return;
	p = kmap_local_folio(folio, offset_in_folio(folio, size & PAGE_MASK));
	say("%s: last page uptodate %d %x", path, folio_test_uptodate(folio), hash(p, PAGE_SIZE));
	kunmap_local(p);
	folio_put(folio);
}

static void ioctls(const char *path, bool file)
{
	static const unsigned int cmds[] = { FS_IOC_GETFLAGS, FS_IOC_GETVERSION, FS_IOC_GETFSLABEL, FS_IOC_SETFSLABEL, FS_IOC_GETFSUUID,
					     FS_IOC_GETFSSYSFSPATH, FIGETBSZ };
	static char room[512];
	long fd = kemu_sys_open(path, O_RDONLY | O_LARGEFILE | O_NONBLOCK), n;
	unsigned int i;

	say("%s: open %ld", path, min(fd, 0l));
	if (fd < 0)
		return;
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		memset(room, 0, sizeof(room));
		n = kemu_sys_ioctl(fd, cmds[i], (unsigned long)room);
		say("%s: ioctl %u %ld %x", path, i, n, hash(room, sizeof(room)));
	}
	for (i = 0; file && i < 4; i++) {
		*(int *)room = i;
		n = kemu_sys_ioctl(fd, FIBMAP, (unsigned long)room);
		say("%s: FIBMAP %u %ld %d", path, i, n, *(int *)room);
	}
	for (i = 0; i < 5; i++)
		say("%s: seek %ld", path, kemu_sys_lseek(fd, (long[]){ 1, 4096, -1, 1 << 20, 0 }[i], i == 2 ? SEEK_SET : i == 4 ? SEEK_END : SEEK_CUR));
	kemu_sys_close(fd);
}

struct positions {
	struct dir_context ctx;
	unsigned int left, h;
};

static bool one(struct dir_context *ctx, const char *name, int len, loff_t at, u64 ino, unsigned int type)
{
	struct positions *p = container_of(ctx, struct positions, ctx);

	if (!p->left)
		return false;
	p->left--;
	p->h = p->h * 31 + hash(name, len) + at * 7 + ino * 5 + type;
	return true;
}

static void folder(const char *path)
{
	struct file *file = filp_open(path, O_RDONLY | O_DIRECTORY | O_LARGEFILE, 0);
	struct positions p = { .ctx.actor = one };
	loff_t at;
	int i, err;

	if (IS_ERR(file))
		return;
	for (i = 0; i < 40; i++) {
		p.left = i % 3 + 1;
		p.h = 0;
		at = file->f_pos;
		err = iterate_dir(file, &p.ctx);
		say("%s: entries from %lld: %d %u to %lld %x", path, at, err, i % 3 + 1 - p.left, file->f_pos, p.h);
		if (err || p.left)
			break;
	}
	for (i = 0; i < 6; i++) {
		p.left = 3;
		p.h = 0;
		at = vfs_llseek(file, (loff_t[]){ 1, 13, 4095, 4096, 5000, 1 << 20 }[i], SEEK_SET);
		err = iterate_dir(file, &p.ctx);
		say("%s: entries behind a seek to %lld: %d %u %x", path, at, err, 3 - p.left, p.h);
	}
	fput(file);
}

/* With a signal that kills pending. */
static void interrupted(const char *path, bool is_folder)
{
	struct file *file = filp_open(path, O_RDONLY | O_LARGEFILE | (is_folder ? O_DIRECTORY : 0), 0);
	struct positions p = { .ctx.actor = one, .left = 3 };
	static char room[512];
	loff_t pos = 0;
	ssize_t n;

	if (IS_ERR(file))
		return;
	sigaddset(&current->pending.signal, SIGKILL);
	set_tsk_thread_flag(current, TIF_SIGPENDING);
	n = is_folder ? iterate_dir(file, &p.ctx) : kernel_read(file, room, sizeof(room), &pos);
	clear_tsk_thread_flag(current, TIF_SIGPENDING);
	sigdelset(&current->pending.signal, SIGKILL);
	say("%s: with a signal: %zd, %u left, at %lld", path, n, p.left, is_folder ? file->f_pos : pos);
	fput(file);
}

static void advised(const char *path)
{
	static const int advice[] = { POSIX_FADV_RANDOM, POSIX_FADV_WILLNEED, POSIX_FADV_SEQUENTIAL, POSIX_FADV_DONTNEED, POSIX_FADV_NORMAL, 77 };
	struct file *file = filp_open(path, O_RDONLY | O_LARGEFILE, 0);
	unsigned int i;

	if (IS_ERR(file))
		return;
	for (i = 0; i < ARRAY_SIZE(advice); i++)
		say("%s: advice %d: %d", path, advice[i], vfs_fadvise(file, 0, i % 2 ? PAGE_SIZE : 0, advice[i]));
	fput(file);
}

static void attribute_values(const char *path, const struct path *p)
{
	static const char *const names[] = { "user.none", "user.", "trusted.none", "security.none", "system.none", "none.none",
					     "user.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	static char list[4096], value[512];
	ssize_t n, len;
	unsigned int i;
	char *name;

	len = vfs_listxattr(p->dentry, NULL, 0);
	n = vfs_listxattr(p->dentry, list, 1);
	say("%s: listxattr %zd, of one byte %zd", path, len, n);
	memset(list, 0, sizeof(list));
	len = vfs_listxattr(p->dentry, list, sizeof(list) - 1);
	for (name = list, i = 0; len > 0 && name < list + len && i < 16; name += strlen(name) + 1, i++) {
		n = vfs_getxattr(&nop_mnt_idmap, p->dentry, name, NULL, 0);
		say("%s: %s: %zd, of one byte %zd", path, name, n, vfs_getxattr(&nop_mnt_idmap, p->dentry, name, value, 1));
		if (n > 0 && n <= sizeof(value)) {
			memset(value, 0, sizeof(value));
			say("%s: %s: exactly %zd %x", path, name, vfs_getxattr(&nop_mnt_idmap, p->dentry, name, value, n), hash(value, sizeof(value)));
			say("%s: %s: one less %zd", path, name, n > 1 ? vfs_getxattr(&nop_mnt_idmap, p->dentry, name, value, n - 1) : 0);
		}
	}
	for (i = 0; i < ARRAY_SIZE(names); i++)
		say("%s: %s: %zd", path, names[i], vfs_getxattr(&nop_mnt_idmap, p->dentry, names[i], value, sizeof(value)));
}

static void absent(const char *path)
{
	static const char *const names[] = { "absent", "0", "\x01", "zzzzzzzz", "." , "\xff\xff" };
	static char room[PATH_MAX];
	struct path p;
	unsigned int i;
	int err;

	for (i = 0; i <= ARRAY_SIZE(names); i++) {
		if (i < ARRAY_SIZE(names)) {
			snprintf(room, sizeof(room), "%s/%s", path, names[i]);
		} else {
			snprintf(room, sizeof(room), "%s/", path);
			memset(room + strlen(room), 'n', 256);
		}
		err = kern_path(room, 0, &p);
		say("%s: name %u that is not there: %d", path, i, err);
		if (!err)
			path_put(&p);
	}
}

int kemu_look(const char *path)
{
	struct kstatfs fs;
	struct path p;
	loff_t size;
	int err;

	KEMU_ENTER(KEMU_TRAP);
	err = kern_path(path, 0, &p);
	say("%s: path %d", path, err);
	if (!err) {
		attributes(path, &p);
		by_handle(path, p.dentry);
		if (IS_ROOT(p.dentry)) {
			options_shown(path, p.dentry);
			err = vfs_statfs(&p, &fs);
			say("%s: statfs %d %lx %ld %lld %lld %lld %lld %lld %ld", path, err, fs.f_type, fs.f_bsize, fs.f_blocks, fs.f_bfree, fs.f_bavail,
			    fs.f_files, fs.f_ffree, fs.f_namelen);
		}
		if (d_is_reg(p.dentry)) {
			size = i_size_read(d_inode(p.dentry));
			invalidate_mapping_pages(d_inode(p.dentry)->i_mapping, 0, -1);
			reads(path, "direct", O_DIRECT, size);
			invalidate_mapping_pages(d_inode(p.dentry)->i_mapping, 0, -1);
			reads(path, "plain", 0, size);
			tail(path, d_inode(p.dentry), size);
			advised(path);
			interrupted(path, false);
		}
		if (d_is_reg(p.dentry) || d_is_dir(p.dentry))
			ioctls(path, d_is_reg(p.dentry));
		if (d_is_dir(p.dentry)) {
			folder(path);
			interrupted(path, true);
			absent(path);
		}
		attribute_values(path, &p);
		path_put(&p);
	}
	if (task_work_pending(current))
		task_work_run();
	tasks_settle();
	KEMU_LEAVE();
	return 0;
}
