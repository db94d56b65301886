// SPDX-License-Identifier: GPL-2.0-only
static int __init t_suite_init(struct kunit_suite *suite)
{
	int err;

	/* the root file system is still being filled */
	wait_for_initramfs();
	err = init_mkdir(T_DIR, 0700);
	if (err)
		return err;
	/* EROFS mounts files of file systems that have ->read_folio() */
	err = init_mount("kunit", T_DIR, "ramfs", 0, NULL);
	if (!err)
		err = init_mkdir(T_MNT, 0700);
	return err;
}

static void __init t_suite_exit(struct kunit_suite *suite)
{
	init_umount(T_DIR, 0);
	init_rmdir(T_DIR);
}
