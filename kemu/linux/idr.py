# SPDX-License-Identifier: GPL-2.0-only
"""ID allocation (include/linux/idr.h)."""
from kemu.linux.include.idr import idr, idr_for_each_entry, idr_init  # noqa: F401
from kemu.linux.lib.idr import idr_alloc, idr_find, idr_for_each, idr_remove  # noqa: F401
from kemu.linux.lib.radix_tree import idr_destroy  # noqa: F401
