// SPDX-License-Identifier: GPL-2.0-only
#include "do_mounts.h"
#include "initramfs_internal.h"

#define T_MNT	""
