// SPDX-License-Identifier: GPL-2.0-only
/* The two kinds of cases. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>

#include "agent.h"

int root_fd, home_fd;
struct buffer text;
static struct walk walk;
static struct buffer spoken;

void answer(struct request *r, int error, struct walk *w)
{
	struct answer a = { .magic = ANSWER_MAGIC, .id = r->id, .error = error, .text_len = text.len };

	spoken.len = 0;
	kmsg_take(&spoken);
	if (w) {
		a.entries = w->entries;
		a.entries_len = w->out.len;
		a.full = w->full;
	}
	a.kmsg_len = spoken.len;
	send_answer(r, &a, w ? &w->out : NULL, &spoken);
}

static void refuse(struct request *r, int error, const char *why)
{
	put(&text, why, strlen(why));
	answer(r, error, NULL);
}

/* All of them are taken, whatever becomes of the first. */
int take_images(struct request *r, char sources[][SOURCE])
{
	uint64_t shared = r->flags & IS_SHARED ? r->images_at : KEMU_CHANNEL;
	int error = 0;

	for (uint32_t i = 0; i < r->images; i++) {
		int failed = take_image(r, i, shared, sources[i]);

		if (!error)
			error = failed;
		if (shared != KEMU_CHANNEL)
			shared += r->len[i];
	}
	return error;
}

void drop_images(struct request *r)
{
	for (uint32_t i = 0; i < r->images; i++)
		drop_image(r, i);
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

void do_erofs(struct request *r, const char *options)
{
	static char sources[KEMU_DISKS][SOURCE], expanded[4096];
	int error, mounted;

	error = take_images(r, sources);
	if (error) {
		drop_images(r);
		refuse(r, error, "place");
		return;
	}
	expand(options, sources, r->images, expanded, sizeof(expanded));
	if (r->arg) {
		error = fail_nth(r->arg);
		if (error) {
			drop_images(r);
			refuse(r, error, "fail-nth");
			return;
		}
	}
	if (r->backend == BACKEND_REGION ? mount_region("mnt", expanded) : mount(sources[0], "mnt", "erofs", MS_RDONLY, expanded))
		error = errno;
	if (error == ENOTTY && r->backend == BACKEND_REGION) {
		drop_images(r);
		refuse(r, error, "region");
		return;
	}
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
	drop_images(r);
	answer(r, error, error ? NULL : &walk);
}

void do_cpio(struct request *r)
{
	struct kemu_place archive = { 0, r->memory, r->at, r->len[0], r->flags & IS_SHARED ? r->images_at : KEMU_CHANNEL, 0 };
	struct kemu_unpack unpacked = { 0 };

	if (place(&archive)) {
		refuse(r, errno, "place");
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
	unpack(&unpacked);
	put(&text, unpacked.message, strlen(unpacked.message));
	walk_tree(&walk, ".");
	if (fchdir(root_fd) || chroot(".") || fchdir(home_fd))
		die("chroot back: %s", strerror(errno));
	if (umount("mnt") && umount2("mnt", MNT_DETACH))
		die("umount: %s", strerror(errno));
	drop(0);
	answer(r, 0, &walk);
}
