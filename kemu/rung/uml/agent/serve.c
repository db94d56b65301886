// SPDX-License-Identifier: GPL-2.0-only
/* One case after the other, until the host says quit: inside the kernel, those that need a user program here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent.h"
#include "kemu_sched.h"

int channel;

void send_answer(struct request *r, struct answer *a, const struct buffer *entries, const struct buffer *kmsg)
{
	struct buffer out = { 0 };

	if (ioctl(channel, KEMU_IOC_LOGGED, &a->logged))
		die("request %u: logged: %s", r->id, strerror(errno));
	put(&out, a, sizeof(*a));
	if (entries)
		put(&out, entries->data, entries->len);
	put(&out, text.data, text.len);
	put(&out, kmsg->data, kmsg->len);
	write_all(channel, out.data, out.len);
	free(out.data);
}

int place(struct kemu_place *p)
{
	return ioctl(channel, KEMU_IOC_PLACE, p);
}

void drop(unsigned int slot)
{
	ioctl(channel, KEMU_IOC_DROP, (unsigned long)slot);
}

void unpack(struct kemu_unpack *u)
{
	if (ioctl(channel, KEMU_IOC_UNPACK, u))
		die("unpack: %s", strerror(errno));
}

int mount_region(const char *dir, const char *options)
{
	static struct kemu_mount m;

	m.slot = 0;
	snprintf(m.dir, sizeof(m.dir), "%s", dir);
	snprintf(m.options, sizeof(m.options), "%s", options);
	return ioctl(channel, KEMU_IOC_MOUNT, &m);
}

/* From here on the @n-th call of this task that can fail does, by the kernel's fault injection; 0 ends that. */
int fail_nth(unsigned int n)
{
	static int fd = -1;
	char number[16];
	int len = snprintf(number, sizeof(number), "%u", n);

	if (fd < 0)
		fd = open("proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fd < 0 || pwrite(fd, number, len, 0) != len ? errno : 0;
}

/* Whether the failure has happened. */
int failed_nth(void)
{
	char number[16] = "";
	int fd = open("/.kemu/proc/thread-self/fail-nth", O_RDONLY);
	ssize_t n = read(fd, number, sizeof(number) - 1);

	close(fd);
	return n > 0 && !atoi(number);
}

static void do_write(struct request *r, char *options)
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
	answer(r, error, NULL);
}

static void do_read(struct request *r, const char *options)
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
	answer(r, error, NULL);
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

/* The images are at dev/kemuN, dev/loopN or files/N, until the host has enough of programs. */
static void do_sched(struct request *r)
{
	char sources[KEMU_DISKS][SOURCE];
	int error = take_images(r, sources);

	if (error)
		put(&text, "place", 5);
	answer(r, error, NULL);
	if (!error && ioctl(channel, KEMU_IOC_SCHED, 0ul))
		die("programs: %s", strerror(errno));
	drop_images(r);
	if (!error)
		answer(r, 0, NULL);
}

/* Cases that are served inside the kernel come to an end when one is there that is not. */
static void serve_inside(void)
{
	static struct kemu_serve inside;

	if (!inside.window) {
		void *window = mmap(NULL, KEMU_WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, channel, 0);

		if (window == MAP_FAILED)
			die("window: %s", strerror(errno));
		inside = (struct kemu_serve){ (uint64_t)(unsigned long)window, kmsg, root_fd, home_fd };
	}
	if (ioctl(channel, KEMU_IOC_SERVE, &inside))
		die("serve: %s", strerror(errno));
}

void serve(void)
{
	struct request r;

	make_nodes();
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	home_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0 || home_fd < 0)
		die("open: %s", strerror(errno));
	memset(&r, 0, sizeof(r));
	answer(&r, 0, NULL);		/* ready */
	for (;;) {
		char *options;

		serve_inside();
		read_all(channel, &r, sizeof(r));
		if (r.magic != REQUEST_MAGIC || r.images > KEMU_DISKS || r.options_len > 1 << 20)
			die("not a request: %08x", r.magic);
		options = malloc(r.options_len + 1);
		if (!options)
			die("out of memory");
		read_all(channel, options, r.options_len);
		options[r.options_len] = 0;
		text.len = 0;
		switch (r.op) {
		case OP_EROFS:
			do_erofs(&r, options);
			break;
		case OP_CPIO:
			do_cpio(&r);
			break;
		case OP_SCHED:
			do_sched(&r);
			break;
		case OP_BUG:
			answer(&r, ioctl(channel, KEMU_IOC_BUG, (unsigned long)r.arg) < 0 ? errno : 0, NULL);
			break;
		case OP_WRITE:
			do_write(&r, options);
			break;
		case OP_READ:
			do_read(&r, options);
			break;
		case OP_QUIT:
			answer(&r, 0, NULL);
			return;
		default:
			die("no operation %u", r.op);
		}
		free(options);
	}
}
