# SPDX-License-Identifier: GPL-2.0-only
"""fs/ramfs/ of the kernel tree."""
