// SPDX-License-Identifier: GPL-2.0-only
/*
 * Included at the end of init/initramfs.c, whose statics it needs: the unpacker, called once at boot in a kernel that is in use, is
 * called here again and again, each time from the state that it has at boot.
 */
#include "kemu.h"

/* What the built-in archive leaves behind, whatever is in it: it ends with this. */
static const char kemu_trailer[] __aligned(4) =
	"07070100000000000000000000000000000000000000010000000000000000000000000000000000000000"
	"000000000000000B00000000TRAILER!!!\0\0\0\0";

void __ref kemu_initramfs_fresh(void)
{
	csum_present = false;
	io_csum = 0;
	next_state = Start;
	my_inptr = 0;
	wfile = NULL;
	wfile_pos = 0;
	unpack_to_rootfs((char *)kemu_trailer, sizeof(kemu_trailer) - 1);
}

/* An archive that ends inside a file leaves that file open, which is a finding about Linux, and must not keep our tmpfs. */
void __ref kemu_initramfs_close(void)
{
	if (state == CopyFile && !IS_ERR_OR_NULL(wfile))
		fput(wfile);
}

char *__ref kemu_unpack_to_rootfs(char *buf, unsigned long len)
{
	char *err;

	kemu_initramfs_fresh();
	err = unpack_to_rootfs(buf, len);
	kemu_initramfs_close();
	return err;
}

void __init kemu_builtin_none(void)
{
	__initramfs_size = 0;
}
