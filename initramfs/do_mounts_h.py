# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/do_mounts.h (Linux 7.2)."""
from __future__ import annotations

from kemu.linux.file import flush_delayed_fput
from kemu.linux.init_syscalls import init_mknod, init_unlink
from kemu.linux.kdev_t import MKDEV, new_encode_dev
from kemu.linux.port.honesty import port_of
from kemu.linux.stat import S_IFBLK
from kemu.linux.task_work import task_work_run

# include/linux/root_dev.h
Root_NFS = MKDEV(0, 255)
Root_CIFS = MKDEV(0, 254)
Root_Generic = MKDEV(0, 253)
Root_RAM0 = MKDEV(1, 0)


@port_of("init/do_mounts.h", "create_dev")
def create_dev(name: str, dev: int) -> int:
    init_unlink(name)
    return init_mknod(name, S_IFBLK | 0o600, new_encode_dev(dev))


@port_of("init/do_mounts.h", "init_flush_fput")
def init_flush_fput() -> None:
    """Ensure that async file closing finished to prevent spurious errors."""
    flush_delayed_fput()
    task_work_run()
