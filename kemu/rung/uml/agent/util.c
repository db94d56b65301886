// SPDX-License-Identifier: GPL-2.0-only
/* Buffers, whole reads and writes, the descriptor of the kernel's messages. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent.h"

int kmsg = -1;

/* A line in the kernel's log, which the host sees; init's end is the kernel's panic, so nothing is silent. */
void die(const char *fmt, ...)
{
	char line[256] = "<2>kemu agent: ";
	size_t n = strlen(line);
	va_list ap;
	int fd = open("/dev/kmsg", O_WRONLY);

	if (fd < 0)
		fd = kmsg;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	if (write(fd, line, strlen(line)) < 0)
		_exit(2);
	_exit(1);
}

void put(struct buffer *b, const void *data, size_t len)
{
	if (b->len + len > b->room) {
		b->room = (b->len + len) * 2 + 4096;
		b->data = realloc(b->data, b->room);
		if (!b->data)
			die("out of memory for an answer of %zu bytes", b->room);
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void read_all(int fd, void *data, size_t len)
{
	char *p = data;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("the channel ended: %s", n ? strerror(errno) : "end of file");
		p += n;
		len -= n;
	}
}

void write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("the channel is closed: %s", strerror(errno));
		p += n;
		len -= n;
	}
}

/* /dev/kmsg by its number: there may be no /dev. */
void kmsg_open(int skip)
{
	mknod("kmsg", S_IFCHR | 0600, makedev(1, 11));
	kmsg = open("kmsg", O_RDWR | O_NONBLOCK);
	unlink("kmsg");
	if (kmsg < 0)
		die("kmsg: %s", strerror(errno));
	if (skip)
		lseek(kmsg, 0, SEEK_END);
}
