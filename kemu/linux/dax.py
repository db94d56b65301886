# SPDX-License-Identifier: GPL-2.0-only
"""Reading files straight from a device's memory (include/linux/dax.h, fs/dax.c): read(), and faults of a page."""
from kemu.linux.drivers.dax.super import (  # noqa: F401
    dax_add_host,
    dax_device,
    dax_direct_access,
    dax_remove_host,
    fs_dax_get_by_bdev,
    fs_put_dax,
    kill_dax,
    put_dax,
)
from kemu.linux.fs.dax import (  # noqa: F401
    dax_break_layout_final,
    dax_iomap_fault,
    dax_iomap_iter,
    dax_iomap_pgoff,
    dax_iomap_rw,
)
