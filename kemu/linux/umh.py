# SPDX-License-Identifier: GPL-2.0-only
"""Usermode helpers (include/linux/umh.h): a port of kernel/umh.c.

There are no programs here: what a helper's execve() does is decided by the machine's ``helpers`` (path -> function), and every
helper that is not among them is looked for in the tree, as execve() looks for it, and then exits with 0.
"""
from __future__ import annotations

from kemu.linux.include.umh import (  # noqa: F401
    RUNNING_HELPERS_TIMEOUT,
    UMH_DISABLED,
    UMH_ENABLED,
    UMH_FREEZABLE,
    UMH_FREEZING,
    UMH_KILLABLE,
    UMH_NO_WAIT,
    UMH_WAIT_EXEC,
    UMH_WAIT_PROC,
    subprocess_info,
)
from kemu.linux.kernel.exit import kernel_wait  # noqa: F401
from kemu.linux.kernel.fork import user_mode_thread  # noqa: F401
from kemu.linux.kernel.umh import (  # noqa: F401
    __usermodehelper_set_disable_depth,
    call_usermodehelper,
    call_usermodehelper_exec,
    call_usermodehelper_exec_async,
    call_usermodehelper_exec_sync,
    call_usermodehelper_exec_work,
    call_usermodehelper_freeinfo,
    call_usermodehelper_setup,
    helper_lock,
    helper_unlock,
    umh_complete,
    usermodehelper_read_trylock,
    usermodehelper_read_unlock,
)
from kemu.linux.port.honesty import dup

P = "include/linux/umh.h"


@dup(P)
def usermodehelper_enable() -> None:
    """``void usermodehelper_enable(void)``: helpers may run from now on; wakes who waits for that."""
    __usermodehelper_set_disable_depth(UMH_ENABLED)
