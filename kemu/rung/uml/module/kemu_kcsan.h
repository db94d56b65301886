/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KCSAN's marks (data_race(), seqcounts, instrumented atomics) for objects whose accesses are looked at, on an architecture that has no
 * KCSAN: the compiler includes this before all else.
 */
#ifndef __ASSEMBLY__
#define CONFIG_KCSAN 1
#include <linux/kcsan-checks.h>
#undef CONFIG_KCSAN
#endif
