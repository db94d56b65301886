// SPDX-License-Identifier: GPL-2.0-only
/* Unpack the archive; what it says is NULL or a message. */
static const char __init *t_unpack(struct kunit *test, size_t size)
{
	u8 *data = kvzalloc(size + 4, GFP_KERNEL);
	const u8 *bytes = t_bytes0;
	const char *said;

	KUNIT_ASSERT_NOT_NULL(test, data);
	for (int i = 0; i < ARRAY_SIZE(t_runs0); i++) {
		memcpy(data + t_runs0[i].at, bytes, t_runs0[i].len);
		bytes += t_runs0[i].len;
	}
	said = unpack_to_rootfs(data, size);
	init_flush_fput();
	kvfree(data);
	return said;
}
