# SPDX-License-Identifier: GPL-2.0-only
"""lib/zstd/ of the kernel tree."""
