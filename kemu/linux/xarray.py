# SPDX-License-Identifier: GPL-2.0-only
"""The XArray (include/linux/xarray.h), by index."""
from kemu.linux.include.xarray import xa_empty, xa_err, xa_for_each, xa_init, xa_is_err, xa_lock, xa_trylock, xa_unlock, xarray  # noqa: F401
from kemu.linux.lib.xarray import __xa_cmpxchg, __xa_erase, xa_erase, xa_load, xa_store  # noqa: F401
