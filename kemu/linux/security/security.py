# SPDX-License-Identifier: GPL-2.0-only
"""Hooks of security modules (security/security.c): no module is loaded; every call is counted, and a watch or a fault may see it.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EPERM
from kemu.linux.include.sched import current_fs
from kemu.linux.port.honesty import custom, names
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.statics import statics

C = "security/security.c"

@statics
class g:
    calls: dict[str, int] = {}      # hook -> how often it was called


def _hook(name: str, *args: Any) -> int:
    g.calls[name] = g.calls.get(name, 0) + 1
    if this.watch is not None:
        this.watch.event("lsm", hook=name, args=args)
    if this.chooser is not None and should_fail("fail_function", f"security_{name}"):
        return -EPERM
    return 0


@custom(C, "security_initramfs_populated", "counted")
def security_initramfs_populated() -> None:
    """``void security_initramfs_populated(void)``: the initramfs has been unpacked."""
    g.calls["initramfs_populated"] = g.calls.get("initramfs_populated", 0) + 1
    if this.watch is not None:
        this.watch.event("lsm", hook="initramfs_populated", args=(current_fs().root,))


@custom(C, "security_path_chroot", "counted; may be made to fail")
def security_path_chroot(path: Any) -> int:
    """``int security_path_chroot(const struct path *path)``: 0, or what a module says."""
    return _hook("path_chroot", path)


@custom(C, "security_kernel_module_request", "counted; may be made to fail")
def security_kernel_module_request(name: str) -> int:
    """``int security_kernel_module_request(char *kmod_name)``"""
    return _hook("kernel_module_request", name)


@custom(C, "security_mmap_backing_file", "counted; may be made to fail")
def security_mmap_backing_file(vma: Any, backing_file: Any, user_file: Any) -> int:
    """``int security_mmap_backing_file(struct vm_area_struct *vma, struct file *backing_file, struct file *user_file)``"""
    return _hook("mmap_backing_file", vma, backing_file, user_file)


@custom(C, "", "how often each hook was called")
def lsm_calls() -> dict[str, int]:
    """Hook name -> calls, of the current machine."""
    return dict(g.calls)


names("custom", C, "g", how="counters")
