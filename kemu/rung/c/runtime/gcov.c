// SPDX-License-Identifier: GPL-2.0-only
/* The counters of the objects under test, as gcov reads them: written by kernel/gcov/gcc_4_7.c itself. */
#include <linux/kernel.h>
#include "runtime.h"
#include "../kernel/gcov/gcc_4_7.c"

void __gcov_init(struct gcov_info *info);
void __gcov_exit(void);
void __gcov_merge_add(gcov_type *counters, unsigned int n_counters);

/* as in kernel/gcov/fs.c */
size_t store_gcov_u32(void *buffer, size_t off, u32 v)
{
	if (buffer)
		memcpy(buffer + off, &v, sizeof(v));
	return sizeof(v);
}

size_t store_gcov_u64(void *buffer, size_t off, u64 v)
{
	if (buffer)
		memcpy(buffer + off, &v, sizeof(v));
	return sizeof(v);
}

/* by the constructor of each object, when the library is loaded: before there is a kernel */
void __gcov_init(struct gcov_info *info)
{
	gcov_info_link(info);
}

void __gcov_exit(void)
{
}

void __gcov_merge_add(gcov_type *counters, unsigned int n_counters)
{
}

unsigned long long kemu_gcov(unsigned int object, const char **name, char *room)
{
	struct gcov_info *info = gcov_info_next(NULL);

	while (info && object--)
		info = gcov_info_next(info);
	if (!info)
		return 0;
	*name = gcov_info_filename(info);
	return convert_to_gcda(room, info);
}
