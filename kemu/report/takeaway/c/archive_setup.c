// SPDX-License-Identifier: GPL-2.0-only
static int __init t_suite_init(struct kunit_suite *suite)
{
	/* the root file system is still being filled */
	wait_for_initramfs();
	return 0;
}

static void __init t_suite_exit(struct kunit_suite *suite)
{
}
