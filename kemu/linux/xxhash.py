# SPDX-License-Identifier: GPL-2.0-only
"""XXH32 (include/linux/xxhash.h, lib/xxhash.c)."""
from kemu.linux.lib.xxhash import xxh32, xxh32_bytes  # noqa: F401
