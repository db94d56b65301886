# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/util.c and the wrappers of overlayfs.h that act on the upper file system."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.err import ERR_PTR
from kemu.linux.errno import ENOENT, EOPNOTSUPP
from kemu.linux.fcntl import O_ACCMODE, O_NOATIME, O_WRONLY
from kemu.linux.fs.dcache import dput
from kemu.linux.fs.inode import __insert_inode_hash, inode_owner_or_capable, inode_set_ctime_to_ts
from kemu.linux.fs.namei import inode_permission
from kemu.linux.fs.namespace import mnt_drop_write, mnt_get_write_access, mnt_put_write_access, mnt_want_write
from kemu.linux.fs.open import dentry_open
from kemu.linux.fs.overlayfs.overlayfs import (
    OVL_TYPE_UPPER,
    ovl_dir_is_real,
    ovl_open_flags_need_copy_up,
    ovl_path_getxattr,
    ovl_set_flag,
    ovl_setxattr,
    ovl_test_flag,
    ovl_xattr,
)
from kemu.linux.fs.overlayfs.ovl_entry import (
    __OVL_PATH_MERGE,
    __OVL_PATH_UPPER,
    OVL_E,
    OVL_E_OPAQUE,
    OVL_E_UPPER_ALIAS,
    OVL_E_XWHITEOUTS,
    OVL_FS,
    OVL_I,
    OVL_IMPURE,
    OVL_UPPERDATA,
    OVL_XATTR_IMPURE,
    OVL_XATTR_OPAQUE,
    OVL_XATTR_ORIGIN,
    OVL_XATTR_XWHITEOUT,
    ovl_entry,
    ovl_fs,
    ovl_lowerstack,
    ovl_path,
    ovl_upper_mnt,
)
from kemu.linux.include.cred import current_cred, override_creds
from kemu.linux.include.dcache import (
    DCACHE_MANAGE_TRANSIT,
    DCACHE_NEED_AUTOMOUNT,
    DCACHE_OP_COMPARE,
    DCACHE_OP_HASH,
    DCACHE_OP_REVALIDATE,
    DCACHE_OP_WEAK_REVALIDATE,
    Dentry,
    d_can_lookup,
    d_is_dir,
    d_is_file,
    d_is_reg,
    d_is_symlink,
    dget,
)
from kemu.linux.include.fs.calls import (
    IS_WHITEOUT,
    inode_get_atime,
    inode_get_ctime,
    inode_get_mtime,
    inode_set_atime_to_ts,
    inode_set_mtime_to_ts,
    inode_unhashed,
)
from kemu.linux.include.fs.constants import MAY_OPEN, MAY_READ, MAY_WRITE
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.mutex import mutex_lock
from kemu.linux.include.path import Path
from kemu.linux.include.slab import kmalloc_obj
from kemu.linux.include.string import mem_read
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup, port_of
from kemu.linux.printk import pr_warn
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.stat import S_ISDIR
from kemu.linux.super_types import SuperBlock, sb_end_write, sb_start_write
from kemu.machine.current import this

C = "fs/overlayfs/util.c"

OVL_D_REVALIDATE = DCACHE_OP_REVALIDATE | DCACHE_OP_WEAK_REVALIDATE


def ovl_override_creds(sb: SuperBlock) -> Any:
    return override_creds(OVL_FS(sb).creator_cred)


def ovl_get_write_access(dentry: Dentry) -> int:
    return mnt_get_write_access(ovl_upper_mnt(OVL_FS(dentry.d_sb)))


def ovl_put_write_access(dentry: Dentry) -> None:
    mnt_put_write_access(ovl_upper_mnt(OVL_FS(dentry.d_sb)))


@port_of(C, "ovl_start_write")
def ovl_start_write(dentry: Dentry) -> None:
    ofs = OVL_FS(dentry.d_sb)
    sb_start_write(ovl_upper_mnt(ofs).mnt_sb)


@dup(C)
def ovl_want_write(dentry: Dentry) -> int:
    return mnt_want_write(ovl_upper_mnt(OVL_FS(dentry.d_sb)))


@port_of(C, "ovl_end_write")
def ovl_end_write(dentry: Dentry) -> None:
    ofs = OVL_FS(dentry.d_sb)
    sb_end_write(ovl_upper_mnt(ofs).mnt_sb)


@dup(C)
def ovl_drop_write(dentry: Dentry) -> None:
    mnt_drop_write(ovl_upper_mnt(OVL_FS(dentry.d_sb)))


def ovl_workdir(dentry: Dentry) -> Any:
    return OVL_FS(dentry.d_sb).workdir


def ovl_alloc_entry(lower: list[ovl_path]) -> ovl_entry | None:
    """An entry with references to ``lower`` (ovl_alloc_entry() and ovl_stack_cpy()); None: -ENOMEM."""
    oe: ovl_entry | None = kmalloc_obj(ovl_entry, GFP_KERNEL)
    if oe is not None:
        oe.lowerstack = [ovl_path(p.layer, dget(p.dentry)) for p in lower]
    return oe


def ovl_free_entry(oe: ovl_entry | None) -> None:
    if oe is not None:
        for p in oe.lowerstack:
            dput(p.dentry)
        kfree(oe)


@port_of(C, "ovl_stack_put")
def ovl_stack_put(stack: list[ovl_path], n: int) -> None:
    i = 0
    while stack and i < n:
        dput(stack[i].dentry)
        i += 1


@port_of(C, "ovl_stack_free")
def ovl_stack_free(stack: list[ovl_path], n: int) -> None:
    ovl_stack_put(stack, n)
    kfree(stack)


def ovl_dentry_init_reval(dentry: Dentry, upperdentry: Any, oe: ovl_entry | None) -> None:
    """The dentry's revalidation flags: those of the real dentries together; none without real ones."""
    mask = OVL_D_REVALIDATE
    flags = upperdentry.d_flags if upperdentry is not None else 0
    for p in ovl_lowerstack(oe):
        flags |= p.dentry.d_flags
    dentry.d_flags = dentry.d_flags & ~mask | flags & mask


@port_of(C, "ovl_dentry_remote")
def ovl_dentry_remote(dentry: Dentry) -> bool:
    return bool(dentry.d_flags & OVL_D_REVALIDATE)


@custom(C, "ovl_dentry_update_reval", "d_lock is not taken, as in all of the dcache here")
def ovl_dentry_update_reval(dentry: Dentry, realdentry: Dentry) -> None:
    if not ovl_dentry_remote(realdentry):
        return

    dentry.d_flags |= realdentry.d_flags & OVL_D_REVALIDATE


def ovl_dentry_upper(dentry: Dentry) -> Any:
    return dentry.d_inode.upperdentry if dentry.d_inode is not None else None


def ovl_dentry_lower(dentry: Dentry) -> Any:
    stack = ovl_lowerstack(OVL_E(dentry))
    return stack[0].dentry if stack else None


def ovl_layer_lower(dentry: Dentry) -> Any:
    stack = ovl_lowerstack(OVL_E(dentry))
    return stack[0].layer if stack else None


def ovl_dentry_real(dentry: Dentry) -> Any:
    return ovl_dentry_upper(dentry) or ovl_dentry_lower(dentry)


def ovl_path_type(dentry: Dentry) -> int:
    oe = OVL_E(dentry)
    type = 0
    if ovl_dentry_upper(dentry) is not None:
        type = __OVL_PATH_UPPER
        # Non-dir dentry can hold lower dentry of its copy up origin: there are no origins here
        if ovl_lowerstack(oe) and S_ISDIR(dentry.d_inode.i_mode):
            type |= __OVL_PATH_MERGE
    elif len(ovl_lowerstack(oe)) > 1:
        type |= __OVL_PATH_MERGE
    return type


def ovl_path_upper(dentry: Dentry, path: Path) -> None:
    path.mnt = ovl_upper_mnt(OVL_FS(dentry.d_sb))
    path.dentry = ovl_dentry_upper(dentry)


def ovl_path_lower(dentry: Dentry, path: Path) -> None:
    stack = ovl_lowerstack(OVL_E(dentry))
    path.mnt, path.dentry = (stack[0].layer.mnt, stack[0].dentry) if stack else (None, None)


def ovl_path_real(dentry: Dentry, path: Path) -> int:
    type = ovl_path_type(dentry)
    if not OVL_TYPE_UPPER(type):
        ovl_path_lower(dentry, path)
    else:
        ovl_path_upper(dentry, path)
    return type


def ovl_i_path_real(inode: Any, path: Path) -> Any:
    path.dentry = inode.upperdentry
    if path.dentry is None:
        stack = ovl_lowerstack(inode.oe)
        path.mnt, path.dentry = (stack[0].layer.mnt, stack[0].dentry) if stack else (None, None)
    else:
        path.mnt = ovl_upper_mnt(OVL_FS(inode.i_sb))
    return path.dentry.d_inode if path.dentry is not None else None


def ovl_inode_upper(inode: Any) -> Any:
    return inode.upperdentry.d_inode if inode.upperdentry is not None else None


def ovl_inode_lower(inode: Any) -> Any:
    stack = ovl_lowerstack(inode.oe)
    return stack[0].dentry.d_inode if stack else None


def ovl_inode_real(inode: Any) -> Any:
    return ovl_inode_upper(inode) or ovl_inode_lower(inode)


def ovl_dentry_set_flag(flag: int, dentry: Dentry) -> None:
    dentry.d_fsdata = (dentry.d_fsdata or 0) | flag


def ovl_dentry_test_flag(flag: int, dentry: Dentry) -> bool:
    return bool((dentry.d_fsdata or 0) & flag)


def ovl_dentry_is_opaque(dentry: Dentry) -> bool:
    return ovl_dentry_test_flag(OVL_E_OPAQUE, dentry)


def ovl_dentry_is_whiteout(dentry: Dentry) -> bool:
    return dentry.d_inode is None and ovl_dentry_is_opaque(dentry)


def ovl_dentry_set_opaque(dentry: Dentry) -> None:
    ovl_dentry_set_flag(OVL_E_OPAQUE, dentry)


def ovl_dentry_set_upper_alias(dentry: Dentry) -> None:
    ovl_dentry_set_flag(OVL_E_UPPER_ALIAS, dentry)


def ovl_dentry_has_upper_alias(dentry: Dentry) -> bool:
    return ovl_dentry_test_flag(OVL_E_UPPER_ALIAS, dentry)


def ovl_dentry_set_xwhiteouts(dentry: Dentry) -> None:
    ovl_dentry_set_flag(OVL_E_XWHITEOUTS, dentry)


def ovl_dentry_has_xwhiteouts(dentry: Dentry) -> bool:
    return ovl_dentry_test_flag(OVL_E_XWHITEOUTS, dentry)


def ovl_has_upperdata(inode: Any) -> bool:
    return ovl_test_flag(OVL_UPPERDATA, inode)


def ovl_set_upperdata(inode: Any) -> None:
    ovl_set_flag(OVL_UPPERDATA, inode)


@dup(C)
def ovl_dentry_weird(dentry: Dentry) -> bool:
    """``bool ovl_dentry_weird(struct dentry *dentry)``: automounts, and what hashes or compares names its own way."""
    if not d_can_lookup(dentry) and not d_is_file(dentry) and not d_is_symlink(dentry):
        return True
    return bool(dentry.d_flags & (DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT | DCACHE_OP_HASH | DCACHE_OP_COMPARE))


def ovl_inode_update(inode: Any, upperdentry: Dentry) -> None:
    upperinode = upperdentry.d_inode
    WARN_ON(inode.upperdentry is not None)
    inode.upperdentry = upperdentry
    if inode_unhashed(inode):
        inode.i_private = upperinode
        __insert_inode_hash(inode, upperinode.i_ino)


def ovl_dir_modified(dentry: Dentry, impurity: bool) -> None:
    # Copy mtime/ctime
    inode = dentry.d_inode
    ovl_copyattr(inode)
    if not ovl_dir_is_real(inode) or impurity:
        inode.version += 1


def ovl_check_setxattr(ofs: ovl_fs, upperdentry: Dentry, ox: bytes, value: bytes, xerr: int) -> int:
    if ofs.noxattr:
        return xerr
    err = ovl_setxattr(ofs, upperdentry, ox, value)
    if err == -EOPNOTSUPP:
        pr_warn("overlayfs: cannot set %s xattr on upper\n", ovl_xattr(ofs, ox).decode())
        ofs.noxattr = True
        return xerr
    return err


def ovl_set_impure(dentry: Dentry, upperdentry: Dentry) -> int:
    if ovl_test_flag(OVL_IMPURE, dentry.d_inode):
        return 0
    # Do not fail when upper doesn't support xattrs. Upper inodes won't have origin nor redirect xattr anyway.
    err = ovl_check_setxattr(OVL_FS(dentry.d_sb), upperdentry, OVL_XATTR_IMPURE, b"y", 0)
    if not err:
        ovl_set_flag(OVL_IMPURE, dentry.d_inode)
    return err


def ovl_get_dir_xattr_val(ofs: ovl_fs, path: Path, ox: bytes) -> bytes:
    """ovl_get_dir_xattr_val(): the attribute's one byte, b"" if there is none or more of it."""
    if not d_is_dir(path.dentry):
        return b""
    slab = this.machine.slab
    val = slab.kmalloc(8, True)                 # a byte on the stack
    res = ovl_path_getxattr(ofs, path, ox, val, 1)
    out = mem_read(val, 1) if res == 1 else b""
    slab.kfree(val)
    return out


def ovl_get_opaquedir_val(ofs: ovl_fs, path: Path) -> bytes:
    return ovl_get_dir_xattr_val(ofs, path, OVL_XATTR_OPAQUE)


def ovl_is_impuredir(sb: SuperBlock, upperdentry: Dentry) -> bool:
    ofs = OVL_FS(sb)
    return ovl_get_dir_xattr_val(ofs, Path(ovl_upper_mnt(ofs), upperdentry), OVL_XATTR_IMPURE) == b"y"


def ovl_path_check_origin_xattr(ofs: ovl_fs, path: Path) -> bool:
    # Zero size value means "copied up but origin unknown"
    return ovl_path_getxattr(ofs, path, OVL_XATTR_ORIGIN, 0, 0) >= 0


def ovl_path_check_xwhiteout_xattr(ofs: ovl_fs, path: Path) -> bool:
    # xattr.whiteout must be a zero size regular file
    if not d_is_reg(path.dentry) or path.dentry.d_inode.i_size:
        return False
    return ovl_path_getxattr(ofs, path, OVL_XATTR_XWHITEOUT, 0, 0) >= 0


def ovl_is_whiteout(dentry: Dentry) -> bool:
    return dentry.d_inode is not None and IS_WHITEOUT(dentry.d_inode)


def ovl_path_is_whiteout(ofs: ovl_fs, path: Path) -> bool:
    return ovl_is_whiteout(path.dentry) or ovl_path_check_xwhiteout_xattr(ofs, path)


def ovl_upper_is_whiteout(ofs: ovl_fs, upperdentry: Dentry) -> bool:
    return ovl_path_is_whiteout(ofs, Path(ovl_upper_mnt(ofs), upperdentry))


def ovl_path_open(path: Path, flags: int) -> Any:
    inode = path.dentry.d_inode
    acc_mode = MAY_WRITE if flags & O_ACCMODE == O_WRONLY else MAY_READ
    err = inode_permission(path.mnt.mnt_idmap, inode, acc_mode | MAY_OPEN)
    if err:
        return ERR_PTR(err)
    # O_NOATIME is an optimization, don't fail if not permitted
    if inode_owner_or_capable(path.mnt.mnt_idmap, inode):
        flags |= O_NOATIME
    return dentry_open(path, flags, current_cred())


def ovl_dentry_needs_data_copy_up(dentry: Dentry, flags: int) -> bool:
    return ovl_open_flags_need_copy_up(flags) and not ovl_has_upperdata(dentry.d_inode)


def ovl_already_copied_up(dentry: Dentry, flags: int) -> bool:
    return (ovl_dentry_upper(dentry) is not None and ovl_dentry_has_upper_alias(dentry)
            and not ovl_dentry_needs_data_copy_up(dentry, flags))


def ovl_copy_up_start(dentry: Dentry, flags: int) -> int:
    """Return: 0; 1 if it is copied up already; -EROFS."""
    inode = OVL_I(dentry.d_inode)
    mutex_lock(inode.lock)
    err = 1 if ovl_already_copied_up(dentry, flags) else ovl_get_write_access(dentry)
    if err:
        mutex_unlock(inode.lock)
    return err


def ovl_copy_up_end(dentry: Dentry) -> None:
    ovl_put_write_access(dentry)
    mutex_unlock(OVL_I(dentry.d_inode).lock)


@custom(C, "ovl_nlink_start", "there is no index: the union's link count is not stored")
def ovl_nlink_start(dentry: Dentry) -> int:
    """``int ovl_nlink_start(struct dentry *dentry)``: write access to the upper mount, and the inode locked.

    Return: 0, -EROFS, -ENOMEM, ...
    """
    inode = dentry.d_inode
    if WARN_ON(inode is None):
        return -ENOENT
    mutex_lock(OVL_I(inode).lock)
    err = ovl_want_write(dentry)
    if err:
        mutex_unlock(OVL_I(inode).lock)
    return err


@custom(C, "ovl_nlink_end", "there is no index to clean up after the last link")
def ovl_nlink_end(dentry: Dentry) -> None:
    ovl_drop_write(dentry)
    mutex_unlock(OVL_I(dentry.d_inode).lock)


@port_of(C, "ovl_copyattr")
def ovl_copyattr(inode: Any) -> None:
    realinode = ovl_i_path_real(inode, Path())

    spin_lock(inode.i_lock)
    inode.i_uid = realinode.i_uid
    inode.i_gid = realinode.i_gid
    inode.i_mode = realinode.i_mode
    inode_set_atime_to_ts(inode, inode_get_atime(realinode))
    inode_set_mtime_to_ts(inode, inode_get_mtime(realinode))
    inode_set_ctime_to_ts(inode, inode_get_ctime(realinode))
    inode.i_size = realinode.i_size
    spin_unlock(inode.i_lock)


class _InUse:
    """The inodes of one machine that have I_OVL_INUSE."""

    __slots__ = ("inodes",)

    def __init__(self) -> None:
        self.inodes: dict[Any, bool] = {}


def _inuse() -> dict[Any, bool]:
    return this.machine.part(_InUse).inodes


def ovl_inuse_trylock(dentry: Dentry) -> bool:
    """I_OVL_INUSE of the inode."""
    table = _inuse()
    if dentry.d_inode in table:
        return False
    table[dentry.d_inode] = True
    return True


def ovl_is_inuse(dentry: Dentry) -> bool:
    return dentry.d_inode in _inuse()


def ovl_inuse_unlock(dentry: Dentry) -> None:
    WARN_ON(_inuse().pop(dentry.d_inode, None) is None)
