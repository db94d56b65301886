// SPDX-License-Identifier: GPL-2.0-only
/* What the compiler calls where C has no meaning. Each handler's data begin with the place. */
#include <linux/kernel.h>
#include <linux/string.h>
#include "runtime.h"

struct place {
	const char *file;
	u32 line, column;
};

static void __noreturn report(const char *what, struct place *place, void *frame)
{
	const char *file = place->file;

	while (!strncmp(file, "../", 3))
		file += 3;
	kemu_trap_at(frame, NULL, NULL, "UBSAN: %s in %s:%u", what, file, place->line);
}

#define HANDLER(name, text)					\
	void __ubsan_handle_##name(void *data);			\
	void __ubsan_handle_##name(void *data)			\
	{							\
		report(text, data, __builtin_frame_address(0));	\
	}
HANDLER(shift_out_of_bounds, "shift-out-of-bounds")
HANDLER(out_of_bounds, "array-index-out-of-bounds")
HANDLER(divrem_overflow, "division-overflow")
HANDLER(load_invalid_value, "invalid-load")
HANDLER(builtin_unreachable, "unreachable")
HANDLER(vla_bound_not_positive, "vla-bound-not-positive")
