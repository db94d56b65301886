// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the kernel and the host's side share: kemu_share=FD,BYTES on the command line. Who waits for whom is said on the channel.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <os.h>
#include "kemu.h"

static int kemu_share_fd = -1;
static unsigned long kemu_share_bytes;
static void *kemu_share_memory;

static int __init kemu_share_setup(char *str)
{
	return sscanf(str, "%d,%lu", &kemu_share_fd, &kemu_share_bytes) == 2;
}
__setup("kemu_share=", kemu_share_setup);

/* The shared memory and its size; NULL if there is none. */
void *kemu_share(unsigned long *bytes)
{
	*bytes = kemu_share_memory ? kemu_share_bytes : 0;
	return kemu_share_memory;
}

/* @len bytes of it, which are all there; NULL if they are not. */
void *kemu_shared(u64 at, u64 len)
{
	if (!kemu_share_memory || at > kemu_share_bytes || len > kemu_share_bytes - at)
		return NULL;
	return kemu_share_memory + at;
}

static int __init kemu_share_init(void)
{
	if (kemu_share_fd >= 0)
		kemu_share_memory = os_mmap_rw_shared(kemu_share_fd, kemu_share_bytes);
	return 0;
}
early_initcall(kemu_share_init);
