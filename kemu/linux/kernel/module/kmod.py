# SPDX-License-Identifier: GPL-2.0-only
"""Asking user space for a module (include/linux/kmod.h): a port of kernel/module/kmod.c."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.errno import ENAMETOOLONG, ENOENT, ENOMEM
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.kmod import MODULE_NAME_LEN
from kemu.linux.include.slab import kmalloc_obj, kstrdup
from kemu.linux.include.umh import UMH_KILLABLE, UMH_WAIT_EXEC, UMH_WAIT_PROC, subprocess_info
from kemu.linux.kernel.async_ import current_is_async
from kemu.linux.kernel.umh import call_usermodehelper_exec, call_usermodehelper_setup
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import dup, port_of
from kemu.linux.security.security import security_kernel_module_request
from kemu.machine.printk import vsprintf
from kemu.machine.statics import statics

C = "kernel/module/kmod.c"

@statics
class g:
    modprobe_path = "/sbin/modprobe"


@port_of(C, "free_modprobe_argv")
def free_modprobe_argv(info: subprocess_info) -> None:
    """``void free_modprobe_argv(struct subprocess_info *info)``"""
    kfree(info.data)


@dup(C, "call_modprobe")
def call_modprobe(orig_module_name: str, wait: int) -> int:
    """``int call_modprobe(char *orig_module_name, int wait)``: -ENOMEM, or what the helper ended with"""
    envp = ["HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"]

    argv: Any = kmalloc_obj(_argv, GFP_KERNEL)
    if argv is None:
        return -ENOMEM

    module_name = kstrdup(orig_module_name, GFP_KERNEL)
    if module_name is None:
        kfree(argv)
        return -ENOMEM

    info = call_usermodehelper_setup(g.modprobe_path, [g.modprobe_path, "-q", "--", module_name], envp, GFP_KERNEL, None,
                                     free_modprobe_argv, argv)
    if info is None:
        kfree(argv)
        return -ENOMEM

    return call_usermodehelper_exec(info, wait | UMH_KILLABLE)


class _argv:
    """``char *[5]``: its life is what counts, the words are Python's."""

    __slots__ = ("__weakref__",)


@port_of(C, "__request_module")
def __request_module(wait: bool, fmt: str, *args: Any) -> int:
    # We don't allow synchronous module loading from async.
    """``int __request_module(bool wait, const char *fmt, ...)``:
    0 or modprobe's end; -ENOENT without a modprobe, -ENAMETOOLONG, -ETIME, -ENOMEM.
    """
    WARN_ON_ONCE(wait and current_is_async())

    if not g.modprobe_path:
        return -ENOENT

    module_name = vsprintf(fmt, args)
    if len(module_name) >= MODULE_NAME_LEN:
        return -ENAMETOOLONG

    ret = security_kernel_module_request(module_name)
    if ret:
        return ret

    return call_modprobe(module_name, UMH_WAIT_PROC if wait else UMH_WAIT_EXEC)
