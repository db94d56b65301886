/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent: what its files share. Requests and answers are in little endian, as everything UML runs on. */
#ifndef _AGENT_H
#define _AGENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kemu.h"

/* ---- requests: this header, then option and path strings, then the contents of each image ---- */

#define REQUEST_MAGIC	0x5251454bu	/* "KEQR" */
#define ANSWER_MAGIC	0x5341454bu	/* "KEAS" */

enum op {
	OP_EROFS = 1,			/* mount and walk */
	OP_CPIO = 2,			/* unpack and walk */
	OP_BUG = 3,			/* commit the bug of arg */
	OP_WRITE = 4,			/* write the options text to the file that it names: "PATH\nTEXT" */
	OP_READ = 5,			/* read a file of the kernel: /proc, /sys, debugfs */
	OP_QUIT = 6,
	OP_SCHED = 7,			/* the images stay where they are while the kernel serves programs of kemu_sched.h */
};

enum backend {
	BACKEND_DISK,			/* kemuN over the region */
	BACKEND_LOOP,			/* a loop device over a file that holds the image, padded to 4096 */
	BACKEND_FILE,			/* EROFS's own file-backed mount, of a file in memory (ramfs: tmpfs has no read_folio) */
	BACKEND_REGION,			/* a series' own, of where the image lies in memory: kemu_backend_mount() */
};

enum request_flags {
	WANTS_FACTS = 1,		/* the text of the answer is a line for each inode, of facts.c */
	IS_SHARED = 2,			/* the images lie in the shared memory, one behind the other from images_at on */
	BY_PROGRAM = 4,			/* served by the user program, although the kernel could do it inside */
};

struct request {
	uint32_t magic;
	uint32_t id;
	uint32_t op;
	uint32_t backend;
	uint32_t memory;
	uint32_t arg;
	uint32_t flags;			/* of enum request_flags */
	uint32_t unused;
	uint64_t at;
	uint64_t cap;			/* bytes read of one file at most */
	uint64_t entries;		/* inodes visited at most */
	uint64_t images_at;
	uint64_t answer_at, answer_room;	/* of the shared memory, for an answer that fits */
	uint32_t options_len;
	uint32_t images;		/* image and extra devices */
	uint64_t len[KEMU_DISKS];
};

/* With BACKEND_FILE an image is sent in pieces, so that holes are not: these, each followed by its data; len 0 ends the image. */
struct piece {
	uint64_t at, len;
};

/* ---- answers: this header, then the entries, then the text, then the kernel's messages ---- */

struct answer {
	uint32_t magic;
	uint32_t id;
	int32_t error;			/* errno of the operation; 0: fine */
	uint32_t entries;
	uint64_t entries_len;
	uint32_t text_len;
	uint32_t kmsg_len;
	uint32_t full;			/* the tree is larger than an answer can be; these are its first entries */
	uint32_t shared;		/* what follows lies in the shared memory, where the request said */
	uint64_t logged;		/* bytes of the log so far */
};

#define ANSWER_ROOM	(96u << 20)

/* One inode: this, then path, target, sha256 (if it has one), xattrs (u16 name length, u32 value length or ~0, name, value). */
struct entry {
	uint32_t path_len;
	uint32_t target_len;
	uint32_t xattrs_len;		/* bytes */
	uint32_t error;			/* errno or 0 */
	uint32_t flags;
	uint32_t mode;
	uint32_t uid, gid;
	uint32_t nlink;
	uint32_t major, minor;
	uint32_t nsec;
	int64_t sec;
	uint64_t size;
};

enum entry_flags {
	HAS_STAT = 1,
	HAS_TARGET = 2,
	HAS_XATTRS = 4,
	HAS_SHA256 = 8,
	IS_CAPPED = 16,
	CLOCK_MTIME = 32,		/* the running clock set it */
};

struct buffer {
	char *data;
	size_t len, room;
};

/* util.c */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void put(struct buffer *b, const void *data, size_t len);
void read_all(int fd, void *data, size_t len);
void write_all(int fd, const void *data, size_t len);
void kmsg_open(int skip);
extern int kmsg;

/* kmsg.c */
void kmsg_take(struct buffer *b);

/* sha256.c */
struct sha256 {
	uint32_t h[8];
	uint64_t len;
	unsigned char block[64];
};
void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t len);
void sha256_final(struct sha256 *s, unsigned char out[32]);

/* mapping.c: len bytes of a file, -1 with errno; 0, or -1 for a page that is not to be had; the end */
long map_file(int fd, size_t len);
int map_copy(long map, size_t at, void *to, size_t len);
void map_end(long map, size_t len);

/* facts.c: of a name in the working directory */
void facts_inode(struct buffer *b, const char *name, const struct buffer *path);

/* walk.c: the tree at the working directory, which the walk changes */
struct walk {
	struct buffer out;
	uint32_t entries;
	uint64_t cap, most;
	size_t room;			/* bytes of answer: behind them the walk ends, and is full */
	int full;
	struct buffer *facts;		/* or NULL */
	int64_t since;			/* an mtime between this second and now, and the root's, is the clock's; 0: none is */
	int unread;			/* files are not read */
	const char *skip;		/* a path that is not shown */
	dev_t other[4];			/* file systems whose directories are shown, their contents not */
	int others;
};
void walk_tree(struct walk *w, const char *root);

/* cases.c: what a case is, by the user program and inside the kernel */
#define SOURCE		64		/* the name of an image's device, in the agent's folder */

extern int root_fd, home_fd;
void do_erofs(struct request *r, const char *options);
void do_cpio(struct request *r);
int take_images(struct request *r, char sources[][SOURCE]);
void drop_images(struct request *r);
void answer(struct request *r, int error, struct walk *w);
extern struct buffer text;		/* of the answer */

/* what differs between the two: serve.c and images.c, or kemu_inside_user.c */
int place(struct kemu_place *p);	/* 0, or -1 with errno */
void drop(unsigned int slot);
void unpack(struct kemu_unpack *u);
int mount_region(const char *dir, const char *options);	/* what lies in the first slot; 0, or -1 with errno */
int take_image(struct request *r, unsigned int slot, uint64_t shared, char *source);
void drop_image(struct request *r, unsigned int slot);
int fail_nth(unsigned int n);
int failed_nth(void);
void send_answer(struct request *r, struct answer *a, const struct buffer *entries, const struct buffer *kmsg);

/* serve.c, boot.c */
extern int channel;
void serve(void);
void boot_walk(int channel);

#endif
