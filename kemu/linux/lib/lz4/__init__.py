# SPDX-License-Identifier: GPL-2.0-only
"""lib/lz4/ of the kernel tree."""
