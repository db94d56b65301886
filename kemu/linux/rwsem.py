# SPDX-License-Identifier: GPL-2.0-only
"""Reader/writer semaphores (include/linux/rwsem.h)."""
from kemu.linux.include.rwsem import init_rwsem, rw_semaphore  # noqa: F401
from kemu.linux.kernel.locking.rwsem import (  # noqa: F401
    down_read,
    down_read_trylock,
    down_write,
    down_write_nested,
    down_write_trylock,
    downgrade_write,
    up_read,
    up_write,
)
