# SPDX-License-Identifier: GPL-2.0-only
"""A lock and a count in one (include/linux/lockref.h, lib/lockref.c)."""
from kemu.linux.include.lockref import __lockref_is_dead, lockref, lockref_init  # noqa: F401
from kemu.linux.lib.lockref import lockref_get, lockref_get_not_zero, lockref_mark_dead, lockref_put_or_lock  # noqa: F401
