# SPDX-License-Identifier: GPL-2.0-only
"""lib/lzo/ of the kernel tree."""
