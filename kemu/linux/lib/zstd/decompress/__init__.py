# SPDX-License-Identifier: GPL-2.0-only
"""lib/zstd/decompress/ of the kernel tree."""
