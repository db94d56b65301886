// SPDX-License-Identifier: GPL-2.0-only
#define T_DIR	"/kemu_kunit"
#define T_MNT	T_DIR "/mnt"
