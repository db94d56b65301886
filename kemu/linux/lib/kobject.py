# SPDX-License-Identifier: GPL-2.0-only
"""Kernel objects (lib/kobject.c): names and references, no files."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EEXIST, ENOMEM
from kemu.linux.include.kobject import kobj_type, kobject
from kemu.linux.include.slab import _fails
from kemu.linux.port.honesty import custom
from kemu.linux.printk import pr_err, pr_warn
from kemu.machine.current import this
from kemu.machine.printk import vsprintf

C = "lib/kobject.c"


@custom(C, "kobject_set_name", "the name is not allocated: it does not fail")
def kobject_set_name(kobj: kobject, fmt: str, *args: Any) -> int:
    """``int kobject_set_name(struct kobject *kobj, const char *fmt, ...)``: 0"""
    kobj.name = vsprintf(fmt, args)
    return 0


@custom(C, "kobject_init_and_add", "only what sysfs shows of it is kept")
def kobject_init_and_add(kobj: kobject, ktype: kobj_type, parent: kobject | None, fmt: str, *args: Any) -> int:
    """``int kobject_init_and_add(struct kobject *kobj, const struct kobj_type *ktype, struct kobject *parent, const char *fmt,
    ...)``

    Return: 0; -ENOMEM; -EEXIST with a splat in the log for a name that is taken. After an error kobject_put() is due, as in C.
    """
    kobj.ktype = ktype
    kobj.refs = 1
    kobj.name = vsprintf(fmt, args)
    top = parent or kobj.kset
    if this.chooser is not None and _fails(0xCC0, "kobject"):
        return -ENOMEM
    if top is not None:
        if kobj.name in top.children:
            pr_err("sysfs: cannot create duplicate filename '%s/%s'\n", top.name, kobj.name)
            return -EEXIST
        top.children[kobj.name] = kobj
        kobj.parent = top
    return 0


@custom(C, "kobject_del", "only what sysfs shows of it is kept")
def kobject_del(kobj: kobject) -> None:
    """``void kobject_del(struct kobject *kobj)``"""
    if kobj.parent is not None and kobj.parent.children.get(kobj.name) is kobj:
        del kobj.parent.children[kobj.name]
    kobj.parent = None


@custom(C, "kobject_put", "only what sysfs shows of it is kept")
def kobject_put(kobj: kobject) -> None:
    """``void kobject_put(struct kobject *kobj)``: releases at zero."""
    kobj.refs -= 1
    if kobj.refs == 0:
        kobject_del(kobj)
        if kobj.ktype is not None and kobj.ktype.release is not None:
            kobj.ktype.release(kobj)


@custom(C, "kset_register", "only what sysfs shows of it is kept")
def kset_register(kset: kobject) -> int:
    """``int kset_register(struct kset *k)``: 0; -ENOMEM; -EEXIST for a name that its parent has already."""
    if this.chooser is not None and _fails(0xCC0, "kset"):
        return -ENOMEM
    kset.refs = 1
    if kset.parent is not None:
        if kset.name in kset.parent.children:
            pr_warn("sysfs: cannot create duplicate filename '/%s/%s'\n", kset.parent.name, kset.name)
            pr_err("kobject: kobject_add_internal failed for %s with -EEXIST, don't try to register things with the same name in "
                   "the same directory.\n", kset.name)
            kset.parent = None
            return -EEXIST
        kset.parent.children[kset.name] = kset
    return 0


@custom(C, "kset_unregister", "only what sysfs shows of it is kept")
def kset_unregister(kset: kobject) -> None:
    """``void kset_unregister(struct kset *k)``"""
    kobject_put(kset)
