// SPDX-License-Identifier: GPL-2.0-only
/* One case after the other, until the host says quit. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent.h"
#include "kemu_sched.h"

#define SOURCE	512

static int root_fd, home_fd, loop_fds[KEMU_DISKS], file_fds[KEMU_DISKS];
static struct walk walk;
static struct buffer text, kmsg;

static void answer(int channel, struct request *r, int error, struct walk *w)
{
	struct answer a = { .magic = ANSWER_MAGIC, .id = r->id, .error = error, .text_len = text.len };
	struct buffer out = { 0 };

	kmsg.len = 0;
	kmsg_take(&kmsg);
	if (w) {
		a.entries = w->entries;
		a.entries_len = w->out.len;
		a.full = w->full;
	}
	a.kmsg_len = kmsg.len;
	put(&out, &a, sizeof(a));
	if (w)
		put(&out, w->out.data, w->out.len);
	put(&out, text.data, text.len);
	put(&out, kmsg.data, kmsg.len);
	write_all(channel, out.data, out.len);
	free(out.data);
}

/* The image in a file of memory, padded with zeros to a multiple of 4096. */
static int image_file(int channel, uint64_t len)
{
	static char copy[1 << 16];
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0)
		die("memfd_create: %s", strerror(errno));
	while (len) {
		size_t n = len < sizeof(copy) ? len : sizeof(copy);

		read_all(channel, copy, n);
		write_all(fd, copy, n);
		len -= n;
	}
	if (ftruncate(fd, (lseek(fd, 0, SEEK_END) + 4095) & ~4095LL))
		die("ftruncate: %s", strerror(errno));
	return fd;
}

/* The image in a file of a ramfs, with its holes. What finds no room is taken from the channel all the same; errno of that, or 0. */
static int sparse_file(int channel, const char *name, uint64_t len)
{
	static char copy[1 << 16];
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_LARGEFILE | O_CLOEXEC, 0600), error = 0;
	struct piece p;

	if (fd < 0)
		die("%s: %s", name, strerror(errno));
	if (ftruncate(fd, len))
		error = errno;
	for (;;) {
		read_all(channel, &p, sizeof(p));
		if (!p.len)
			break;
		while (p.len) {
			size_t n = p.len < sizeof(copy) ? p.len : sizeof(copy);

			read_all(channel, copy, n);
			if (!error && pwrite(fd, copy, n, p.at) != (ssize_t)n)
				error = errno;
			p.at += n;
			p.len -= n;
		}
	}
	close(fd);
	return error;
}

static int take_images(int channel, struct request *r, char sources[][SOURCE])
{
	int error = 0;

	for (uint32_t i = 0; i < r->images; i++) {
		struct kemu_place place = { i, r->memory, i ? 0 : r->at, r->len[i], 0 };
		struct loop_config config = { .info.lo_flags = LO_FLAGS_READ_ONLY };

		switch (r->backend) {
		case BACKEND_DISK:
			snprintf(sources[i], SOURCE, "dev/kemu%u", i);
			if (ioctl(channel, KEMU_IOC_PLACE, &place) && !error)
				error = errno;
			break;
		case BACKEND_LOOP:
			snprintf(sources[i], SOURCE, "dev/loop%u", i);
			file_fds[i] = image_file(channel, r->len[i]);
			config.fd = file_fds[i];
			loop_fds[i] = open(sources[i], O_RDONLY | O_CLOEXEC);
			if ((loop_fds[i] < 0 || ioctl(loop_fds[i], LOOP_CONFIGURE, &config)) && !error)
				error = errno;
			break;
		case BACKEND_FILE: {
			int failed;

			snprintf(sources[i], SOURCE, "files/%u", i);
			failed = sparse_file(channel, sources[i], r->len[i]);
			if (!error)
				error = failed;
			break;
		}
		default:
			die("request %u: no backend %u", r->id, r->backend);
		}
	}
	return error;
}

static void drop_images(int channel, struct request *r)
{
	for (uint32_t i = 0; i < r->images; i++) {
		if (r->backend == BACKEND_DISK)
			ioctl(channel, KEMU_IOC_DROP, (unsigned long)i);
		if (r->backend == BACKEND_FILE) {
			char name[SOURCE];

			snprintf(name, sizeof(name), "files/%u", i);
			unlink(name);
		}
		if (loop_fds[i] > 0) {
			ioctl(loop_fds[i], LOOP_CLR_FD, 0);
			close(loop_fds[i]);
		}
		if (file_fds[i] > 0)
			close(file_fds[i]);
		loop_fds[i] = file_fds[i] = 0;
	}
}

/* "device=@N" in the options is the N-th extra image's device. */
static void expand(const char *options, char sources[][SOURCE], uint32_t images, char *out, size_t room)
{
	size_t n = 0;

	while (*options && n + SOURCE + 8 < room) {
		if (options[0] == '@' && options[1] >= '0' && (uint32_t)(options[1] - '0') < images) {
			n += snprintf(out + n, room - n, "/.kemu/%s", sources[options[1] - '0']);
			options += 2;
		} else {
			out[n++] = *options++;
		}
	}
	out[n] = 0;
}

/* From here on the @n-th call of this task that can fail does, by the kernel's fault injection; 0 ends that. */
static int fail_nth(unsigned int n)
{
	static int fd = -1;
	char number[16];
	int len = snprintf(number, sizeof(number), "%u", n);

	if (fd < 0)
		fd = open("proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fd < 0 || pwrite(fd, number, len, 0) != len ? errno : 0;
}

/* Whether the failure has happened. */
static int failed_nth(void)
{
	char number[16] = "";
	int fd = open("/.kemu/proc/thread-self/fail-nth", O_RDONLY);
	ssize_t n = read(fd, number, sizeof(number) - 1);

	close(fd);
	return n > 0 && !atoi(number);
}

static void do_erofs(int channel, struct request *r, char *options)
{
	char sources[KEMU_DISKS][SOURCE], expanded[4096];
	int error, mounted;

	error = take_images(channel, r, sources);

	if (error) {
		drop_images(channel, r);
		put(&text, "place", 5);
		answer(channel, r, error, NULL);
		return;
	}
	expand(options, sources, r->images, expanded, sizeof(expanded));
	if (r->arg) {
		error = fail_nth(r->arg);
		if (error) {
			drop_images(channel, r);
			put(&text, "fail-nth", 8);
			answer(channel, r, error, NULL);
			return;
		}
	}
	if (mount(sources[0], "mnt", "erofs", MS_RDONLY, expanded))
		error = errno;
	mounted = !error;
	if (mounted) {
		walk.cap = r->cap;
		walk.most = r->entries;
		walk.room = ANSWER_ROOM;
		walk.since = 0;
		walk.facts = r->flags & WANTS_FACTS ? &text : NULL;
		walk_tree(&walk, "mnt");	/* a root that may not be entered is an entry with an error */
	}
	if (r->arg) {
		if (failed_nth())
			put(&text, "fired", 5);
		fail_nth(0);
	}
	if (mounted && (fchdir(home_fd) || umount("mnt")))
		die("umount: %s", strerror(errno));
	drop_images(channel, r);
	answer(channel, r, error, error ? NULL : &walk);
}

static void do_cpio(int channel, struct request *r)
{
	struct kemu_place place = { 0, r->memory, r->at, r->len[0], 0 };
	struct kemu_unpack unpack = { 0 };

	if (ioctl(channel, KEMU_IOC_PLACE, &place)) {
		put(&text, "place", 5);
		answer(channel, r, errno, NULL);
		return;
	}
	if (mount("unpack", "mnt", "tmpfs", 0, "mode=0755"))
		die("tmpfs: %s", strerror(errno));
	if (chdir("mnt") || chroot("."))
		die("chroot: %s", strerror(errno));
	walk.since = KEMU_CLOCK;
	walk.facts = NULL;
	walk.cap = r->cap;
	walk.most = r->entries;
	walk.room = ANSWER_ROOM;
	if (ioctl(channel, KEMU_IOC_UNPACK, &unpack))
		die("unpack: %s", strerror(errno));
	put(&text, unpack.message, strlen(unpack.message));
	walk_tree(&walk, ".");
	if (fchdir(root_fd) || chroot(".") || fchdir(home_fd))
		die("chroot back: %s", strerror(errno));
	if (umount("mnt") && umount2("mnt", MNT_DETACH))
		die("umount: %s", strerror(errno));
	ioctl(channel, KEMU_IOC_DROP, 0ul);
	answer(channel, r, 0, &walk);
}

/* The images are at dev/kemuN, dev/loopN or files/N, until the host has enough of programs. */
static void do_sched(int channel, struct request *r)
{
	char sources[KEMU_DISKS][SOURCE];
	int error = take_images(channel, r, sources);

	if (error)
		put(&text, "place", 5);
	answer(channel, r, error, NULL);
	if (!error && ioctl(channel, KEMU_IOC_SCHED, 0ul))
		die("programs: %s", strerror(errno));
	drop_images(channel, r);
	if (!error)
		answer(channel, r, 0, NULL);
}

static void do_write(int channel, struct request *r, char *options)
{
	char *body = strchr(options, '\n');
	int error = EINVAL;

	if (body) {
		int fd;

		*body++ = 0;
		fd = open(options, O_WRONLY);
		error = fd < 0 || write(fd, body, strlen(body)) < 0 ? errno : 0;
		if (fd >= 0)
			close(fd);
	}
	answer(channel, r, error, NULL);
}

static void do_read(int channel, struct request *r, const char *options)
{
	static char copy[1 << 16];
	int fd = open(options, O_RDONLY), error = 0;
	ssize_t n = 0;

	if (fd < 0)
		error = errno;
	while (fd >= 0 && (n = read(fd, copy, sizeof(copy))) > 0)
		put(&text, copy, n);
	if (n < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	answer(channel, r, error, NULL);
}

static void make_nodes(void)
{
	char name[32];

	for (int i = 0; i < KEMU_DISKS; i++) {
		snprintf(name, sizeof(name), "dev/kemu%d", i);
		mknod(name, S_IFBLK | 0600, makedev(KEMU_MAJOR, 16 + i));
		snprintf(name, sizeof(name), "dev/loop%d", i);
		mknod(name, S_IFBLK | 0600, makedev(7, i));
	}
}

void serve(int channel)
{
	struct request r;
	struct buffer options = { 0 };

	make_nodes();
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	home_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0 || home_fd < 0)
		die("open: %s", strerror(errno));
	memset(&r, 0, sizeof(r));
	answer(channel, &r, 0, NULL);		/* ready */
	for (;;) {
		char *copy;

		read_all(channel, &r, sizeof(r));
		if (r.magic != REQUEST_MAGIC || r.images > KEMU_DISKS || r.options_len > 1 << 20)
			die("not a request: %08x", r.magic);
		copy = malloc(r.options_len + 1);
		if (!copy)
			die("out of memory");
		read_all(channel, copy, r.options_len);
		copy[r.options_len] = 0;
		options.data = copy;
		text.len = 0;
		switch (r.op) {
		case OP_EROFS:
			do_erofs(channel, &r, options.data);
			break;
		case OP_SCHED:
			do_sched(channel, &r);
			break;
		case OP_CPIO:
			do_cpio(channel, &r);
			break;
		case OP_BUG:
			answer(channel, &r, ioctl(channel, KEMU_IOC_BUG, (unsigned long)r.arg) < 0 ? errno : 0, NULL);
			break;
		case OP_WRITE:
			do_write(channel, &r, options.data);
			break;
		case OP_READ:
			do_read(channel, &r, options.data);
			break;
		case OP_QUIT:
			answer(channel, &r, 0, NULL);
			return;
		default:
			die("no operation %u", r.op);
		}
		free(copy);
	}
}
