// SPDX-License-Identifier: GPL-2.0-only
struct t_xattr {
	const char *name;
	const u8 *value;
	size_t len;
};

struct t_entry {
	const char *path, *target;
	const struct t_xattr *xattrs;
	u64 size;
	u32 uid, gid, crc;
	umode_t mode;
	bool has_data;
	int error;		/* of the first operation that fails */
};
