/* SPDX-License-Identifier: GPL-2.0-only */
/* Included ahead of the objects with scheduling points, where KASAN looks at each access: its checks go by way of kemu_asan.c. */
#ifndef _KEMU_ASAN_H
#define _KEMU_ASAN_H

#define KEMU_ASAN(access)	asm(".set __asan_" #access "_noabort, kemu_asan_" #access)
KEMU_ASAN(load1);
KEMU_ASAN(load2);
KEMU_ASAN(load4);
KEMU_ASAN(load8);
KEMU_ASAN(load16);
KEMU_ASAN(loadN);
KEMU_ASAN(store1);
KEMU_ASAN(store2);
KEMU_ASAN(store4);
KEMU_ASAN(store8);
KEMU_ASAN(store16);
KEMU_ASAN(storeN);
#undef KEMU_ASAN

#endif
