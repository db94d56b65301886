/* SPDX-License-Identifier: GPL-2.0-only */
/* guards.c, as watch.c uses it. */
#ifndef _KEMU_GUARDS_H
#define _KEMU_GUARDS_H
#include <linux/types.h>

void guards_begin(bool on);
bool guards_held(void);			/* whether anybody has a lock */
void guarded(unsigned long lock, int way, bool shared);

#endif
