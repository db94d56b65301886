# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/sysfs.c: the objects below /sys/fs/erofs. The emulated sysfs has names and references, but no attribute files."""
from __future__ import annotations

from kemu.linux.completion import complete, init_completion, wait_for_completion
from kemu.linux.fs import SuperBlock, fs_kobj
from kemu.linux.kobject import (
    kobj_type,
    kobject,
    kobject_del,
    kobject_init_and_add,
    kobject_put,
    kobject_set_name,
    kset_register,
    kset_unregister,
)
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import statics
from kemu.linux.types import container_of

from erofs_memback.internal import EROFS_SB, erofs_sb_info


@port_of("fs/erofs/sysfs.c", "erofs_sb_release")
def erofs_sb_release(kobj: kobject) -> None:
    sbi: erofs_sb_info = container_of(kobj, "s_kobj")
    complete(sbi.s_kobj_unregister)


erofs_sb_ktype = kobj_type(release=erofs_sb_release)
erofs_feat_ktype = kobj_type()

@statics
class g:
    erofs_root: kobject
    erofs_feat: kobject


@port_of("fs/erofs/sysfs.c", "erofs_register_sysfs")
def erofs_register_sysfs(sb: SuperBlock) -> int:
    sbi = EROFS_SB(sb)

    sbi.s_kobj.kset = g.erofs_root
    init_completion(sbi.s_kobj_unregister)
    err = kobject_init_and_add(sbi.s_kobj, erofs_sb_ktype, None, "%s", sb.s_sysfs_name)
    if err:
        kobject_put(sbi.s_kobj)
        wait_for_completion(sbi.s_kobj_unregister)
    return err


@port_of("fs/erofs/sysfs.c", "erofs_unregister_sysfs")
def erofs_unregister_sysfs(sb: SuperBlock) -> None:
    sbi = EROFS_SB(sb)

    if sbi.s_kobj.parent is not None:       # .state_in_sysfs
        kobject_del(sbi.s_kobj)
        kobject_put(sbi.s_kobj)
        wait_for_completion(sbi.s_kobj_unregister)


@port_of("fs/erofs/sysfs.c", "erofs_exit_sysfs")
def erofs_exit_sysfs() -> None:
    kobject_put(g.erofs_feat)
    kset_unregister(g.erofs_root)


@port_of("fs/erofs/sysfs.c", "erofs_init_sysfs")
def erofs_init_sysfs() -> int:
    kobject_set_name(g.erofs_root, "erofs")
    g.erofs_root.parent = fs_kobj()
    ret = kset_register(g.erofs_root)
    if not ret:
        g.erofs_feat.kset = g.erofs_root
        ret = kobject_init_and_add(g.erofs_feat, erofs_feat_ktype, None, "features")
        if not ret:
            return 0
        erofs_exit_sysfs()
    return ret
