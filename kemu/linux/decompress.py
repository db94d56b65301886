# SPDX-License-Identifier: GPL-2.0-only
"""Decompression of kernels and archives (include/linux/decompress/generic.h, lib/decompress.c)."""
from kemu.linux.include.decompress import decompress_fn  # noqa: F401
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush, compressed_formats, decompress_method  # noqa: F401
