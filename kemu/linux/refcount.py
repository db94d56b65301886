# SPDX-License-Identifier: GPL-2.0-only
"""Reference counters that complain (include/linux/refcount.h)."""
from kemu.linux.atomic import refcount_dec_and_test, refcount_inc, refcount_read, refcount_set, refcount_t  # noqa: F401
