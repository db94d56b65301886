/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the agent (user space) and the kernel's side of it share.
 * Never part of a series: an internal patch of the bench, for ARCH=um only.
 */
#ifndef _KEMU_H
#define _KEMU_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define KEMU_MAJOR	240		/* of the first local range; minors: 0 the channel, 16 + n the disks */
#define KEMU_DISKS	8

enum kemu_memory {
	KEMU_LINEAR,			/* physically contiguous pages, none behind them */
	KEMU_VMALLOC,			/* a guard page behind the last one */
	KEMU_SLAB,			/* one kmalloc object: redzones directly behind it under KASAN */
};

/*
 * Allocate @at + @len bytes, take @len bytes from the channel or the shared memory into them at @at, and make them the contents of
 * disk @slot.
 */
struct kemu_place {
	__u32 slot;
	__u32 memory;
	__u64 at;			/* byte offset from a page boundary; in slab memory from the object's start */
	__u64 len;
	__u64 shared;			/* where they are in the shared memory, or KEMU_CHANNEL */
	__u64 address;			/* returned */
};

#define KEMU_CHANNEL		(~0ULL)

/* Unpack the region of @slot with unpack_to_rootfs() into the caller's root. */
struct kemu_unpack {
	__u32 slot;
	__u32 failed;			/* returned: whether there is a message */
	char message[120];		/* returned */
};

/* Mount what lies in the region of @slot, by the back end of a series that is built in. */
struct kemu_mount {
	__u32 slot;
	char dir[60];
	char options[4096];
};

/*
 * Serve, inside the kernel, the cases that need nothing which only a user program has. Comes back when there is one that does; it can
 * then be read.
 */
struct kemu_serve {
	__u64 window;			/* where the caller has mapped KEMU_WINDOW bytes of the channel: the user memory of the system calls */
	__s32 kmsg, root, home;		/* the caller's descriptors */
};

#define KEMU_WINDOW		(192u << 10)

enum kemu_bug {
	KEMU_BUG_PANIC,
	KEMU_BUG_HANG,			/* interrupts off */
	KEMU_BUG_SLEEP,			/* a task that never wakes */
	KEMU_BUG_OOB,			/* slab-out-of-bounds read: seen by KASAN only */
	KEMU_BUG_WARN,
	KEMU_BUG_OOPS,
	KEMU_BUG_LEAK,			/* seen by kmemleak only */
};

#define KEMU_IOC_PLACE	_IOWR('k', 1, struct kemu_place)
#define KEMU_IOC_DROP	_IO('k', 2)
#define KEMU_IOC_UNPACK	_IOWR('k', 3, struct kemu_unpack)
#define KEMU_IOC_BUG	_IO('k', 4)
#define KEMU_IOC_DISCARD _IOW('k', 5, __u64)
#define KEMU_IOC_SERVE	_IOW('k', 6, struct kemu_serve)
#define KEMU_IOC_LOGGED	_IOR('k', 7, __u64)	/* bytes that the log has sent to the host */
#define KEMU_IOC_MOUNT	_IOW('k', 8, struct kemu_mount)	/* -ENOTTY: no series brings a back end */

/*
 * The initrd file of the bench: this header, then the agent, then what the kernel shall see as its initrd. The kernel's side moves
 * initrd_start to the latter before anything looks at it.
 */
#define KEMU_INITRD_MAGIC "KEMU-INITRD-0001"

struct kemu_initrd {
	char magic[16];
	__u64 agent;			/* offset and length of the agent's executable */
	__u64 agent_len;
	__u64 user;			/* offset and length of the initrd proper; length 0: none */
	__u64 user_len;
	__u64 at;			/* byte offset from a page boundary where it shall begin, or KEMU_ANYWHERE */
	__u64 flags;
};

#define KEMU_ANYWHERE		(~0ULL)
#define KEMU_NO_BUILTIN		1	/* the kernel's built-in archive is empty */
#define KEMU_WALK		2	/* run "agent walk" when the initramfs is in place, then go on booting; without it init is the agent */
#define KEMU_WALK_LATE		8	/* with KEMU_WALK: not before init would be executed, whoever has waited for what */
#define KEMU_RUN_INIT		4	/* init is a program of a test's own, and is run; there is no agent then */

/* Where the clock is set to at boot: 2128, behind 2^32 seconds, up to which an archive's times go. The emulation's clock begins there, too. */
#define KEMU_CLOCK		5000000000LL

#ifdef __KERNEL__
struct kemu_region {
	void *base;			/* of the allocation */
	void *data;			/* base + at */
	size_t size;			/* of the allocation */
	size_t len;			/* of the data; the disk reads zeros from there up to a multiple of 4096 */
	unsigned int memory;
};

/* kemu_agent.c */
struct file;
extern __u64 kemu_logged;
long kemu_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* kemu_channel.c: whole buffers; -EPIPE when the host is gone */
int kemu_host_read(void *buf, size_t len);
int kemu_host_peek(void *buf, size_t len);
int kemu_host_write(const void *buf, size_t len);
int kemu_host_discard(__u64 len);

/* kemu_region.c */
long kemu_place(struct kemu_place *p);
void kemu_drop(unsigned int slot);
long kemu_mount_region(unsigned int slot, const char *dir, const char *options);
struct kemu_region *kemu_region(unsigned int slot);

/* kemu_disk.c, kemu_unpack.c, kemu_boot.c, kemu_share.c */
int kemu_disk_attach(unsigned int slot, struct kemu_region *r);
void kemu_disk_detach(unsigned int slot);
char *kemu_unpack_to_rootfs(char *buf, unsigned long len);
void kemu_unpack_region(struct kemu_unpack *u);
void kemu_initramfs_fresh(void);
void kemu_initramfs_close(void);
void kemu_builtin_none(void);
void *kemu_share(unsigned long *bytes);
void *kemu_shared(__u64 at, __u64 len);

/* kemu_calls.c, kemu_inside_user.c */
struct vm_area_struct;
int kemu_window_map(struct vm_area_struct *vma);
int kemu_window_enter(unsigned long at);
int kemu_inside(const struct kemu_serve *s);

/* called by init/main.c, whose own prototypes of them are these */
void kemu_split_initrd(void);
int kemu_execve(const char *name, const char *const *argv, const char *const *envp);
#endif

#endif
