# SPDX-License-Identifier: GPL-2.0-only
"""lib/xz/ of the kernel tree."""
