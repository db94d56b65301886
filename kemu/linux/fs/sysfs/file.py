# SPDX-License-Identifier: GPL-2.0-only
"""Files in sysfs (fs/sysfs/file.c): binary attributes below a kobject, without a mounted sysfs."""
from __future__ import annotations

from kemu.linux.bug import WARN_ON
from kemu.linux.errno import EEXIST, EINVAL, ENOMEM
from kemu.linux.include.kobject import kobject
from kemu.linux.include.sysfs import bin_attribute
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_warn
from kemu.machine.current import NULL, this
from kemu.machine.machine import should_fail
from kemu.machine.statics import statics

C = "fs/sysfs/file.c"

@statics
class g:
    files: dict[str, bin_attribute] = {}
    firmware_kobj: kobject = NULL


@dup(C)
def sysfs_create_bin_file(kobj: kobject | None, attr: bin_attribute) -> int:
    """``int sysfs_create_bin_file(struct kobject *kobj, const struct bin_attribute *attr)``

    Return: 0; -EINVAL without a kobject; -EEXIST with a splat for a name that is taken; -ENOMEM.
    """
    if WARN_ON(kobj is None or attr is None):
        return -EINVAL
    assert kobj is not None
    if this.chooser is not None and should_fail("failslab", "sysfs_create_bin_file"):
        return -ENOMEM
    path = f"/sys/{kobj.name}/{attr.name}"
    if path in g.files:
        pr_warn("sysfs: cannot create duplicate filename '/%s/%s'\n", kobj.name, attr.name)
        return -EEXIST
    g.files[path] = attr
    for r in this.machine.regions:
        if isinstance(attr.private, int) and r.contains(attr.private):
            r.exported = True
    return 0


@custom(C, "sysfs_bin_attr_simple_read",
        "asked without a file: limits count to the attribute as sysfs_kf_bin_read() does, and returns the bytes")
def sysfs_bin_attr_simple_read(attr: bin_attribute, off: int, count: int) -> bytes:
    """``ssize_t sysfs_bin_attr_simple_read(file, kobj, attr, buf, off, count)``: the bytes that a reader gets."""
    n = max(min(count, attr.size - off), 0)
    return this.mem.give(attr.private + off, n) if n else b""


@custom(C, "", "what a reader of sysfs would find, by path")
def sysfs_files() -> dict[str, bin_attribute]:
    """Every file that was made, by its path below /sys."""
    return dict(g.files)
