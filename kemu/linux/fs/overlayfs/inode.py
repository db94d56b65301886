# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/inode.c: inodes of the overlay, keyed by the real inode that they stand for."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import ECHILD, EEXIST, ELOOP, ENOMEM, ENOTDIR, EOPNOTSUPP, ESTALE
from kemu.linux.fs.attr import notify_change, setattr_prepare
from kemu.linux.fs.dcache import dput
from kemu.linux.fs.inode import (
    iget5_locked,
    ilookup5,
    init_special_inode,
    inode_insert5,
    iput,
    new_inode,
    set_nlink,
    unlock_new_inode,
)
from kemu.linux.fs.namei import generic_permission, inode_permission, vfs_get_link
from kemu.linux.fs.overlayfs.copy_up import ovl_copy_up, ovl_copy_up_with_data
from kemu.linux.fs.overlayfs.file import ovl_file_operations
from kemu.linux.fs.overlayfs.overlayfs import (
    OVL_TYPE_MERGE,
    OVL_TYPE_UPPER,
    ovl_copyflags,
    ovl_same_fs,
    ovl_set_flag,
    with_ovl_creds,
)
from kemu.linux.fs.overlayfs.ovl_entry import (
    AS_A_BOOT,
    OVL_CONST_INO,
    OVL_FS,
    OVL_I,
    OVL_IMPURE,
    OVL_WHITEOUTS,
    ovl_inode_params,
    ovl_lowerpath,
    ovl_numlower,
    ovl_upper_mnt,
)
from kemu.linux.fs.overlayfs.readdir import ovl_dir_operations
from kemu.linux.fs.overlayfs.util import (
    ovl_copyattr,
    ovl_dentry_real,
    ovl_dentry_upper,
    ovl_drop_write,
    ovl_free_entry,
    ovl_i_path_real,
    ovl_inode_lower,
    ovl_inode_real,
    ovl_inode_upper,
    ovl_is_impuredir,
    ovl_layer_lower,
    ovl_path_check_origin_xattr,
    ovl_path_real,
    ovl_want_write,
)
from kemu.linux.fs.posix_acl import get_inode_acl, vfs_get_acl, vfs_set_acl
from kemu.linux.fs.stat import generic_fill_statx_attr, vfs_getattr_nosec
from kemu.linux.include.dcache import Dentry, d_inode, d_is_dir
from kemu.linux.include.fs.calls import get_write_access, inode_lock, inode_unlock, put_write_access
from kemu.linux.include.fs.constants import (
    ACL_DONT_CACHE,
    ATTR_FILE,
    ATTR_KILL_SGID,
    ATTR_KILL_SUID,
    ATTR_MODE,
    ATTR_OPEN,
    ATTR_SIZE,
    I_NEW,
    MAY_APPEND,
    MAY_READ,
    MAY_WRITE,
    S_APPEND,
    S_DEAD,
    S_IMMUTABLE,
    S_NOATIME,
    S_NOCMTIME,
    S_SYNC,
)
from kemu.linux.include.fs.types import Inode, empty_aops, iattr, inode_operations
from kemu.linux.include.path import Path
from kemu.linux.include.posix_acl import ACL_TYPE_ACCESS
from kemu.linux.include.xattr import XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.printk import pr_warn
from kemu.linux.stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISDIR, Kstat
from kemu.linux.super_types import SB_POSIXACL, SuperBlock
from kemu.machine.current import NULL

C = "fs/overlayfs/inode.c"

_SPECIAL = (0o020000, 0o060000, 0o010000, 0o140000)
OVL_COPY_I_FLAGS_MASK = S_SYNC | S_NOATIME | S_APPEND | S_IMMUTABLE


@port_of(C, "ovl_setattr")
def ovl_setattr(idmap: Any, dentry: Dentry, attr: iattr) -> int:
    full_copy_up = False
    err = setattr_prepare(idmap, dentry, attr)
    if err:
        return err

    if attr.ia_valid & ATTR_SIZE:
        # Truncate should trigger data copy up as well
        full_copy_up = True

    if not full_copy_up:
        err = ovl_copy_up(dentry)
    else:
        err = ovl_copy_up_with_data(dentry)
    if not err:
        winode = None
        upperdentry = ovl_dentry_upper(dentry)

        if attr.ia_valid & ATTR_SIZE:
            winode = upperdentry.d_inode
            err = get_write_access(winode)
            if err:
                return err

        if attr.ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID):
            attr.ia_valid &= ~ATTR_MODE
        attr.ia_valid &= ~ATTR_FILE
        attr.ia_valid &= ~ATTR_OPEN

        err = ovl_want_write(dentry)
        if not err:
            inode_lock(upperdentry.d_inode)
            with with_ovl_creds(dentry.d_sb):
                err = notify_change(idmap, upperdentry, attr)
            if not err:
                ovl_copyattr(dentry.d_inode)
            inode_unlock(upperdentry.d_inode)
            ovl_drop_write(dentry)
        if winode is not None:
            put_write_access(winode)
    return err


@port_of(C, "ovl_map_dev_ino")
def ovl_map_dev_ino(dentry: Dentry, stat: Kstat, fsid: int) -> None:
    ofs = OVL_FS(dentry.d_sb)

    if ovl_same_fs(ofs):
        # When all layers are on the same fs, all real inode number are unique, so we use the overlay st_dev
        stat.dev = dentry.d_sb.s_dev
        return
    # The inode could not be mapped to a unified st_ino address space
    if S_ISDIR(dentry.d_inode.i_mode):
        stat.dev = dentry.d_sb.s_dev
        stat.ino = dentry.d_inode.i_ino
    else:
        stat.dev = ofs.fs[fsid].pseudo_dev


@port_of(C, "ovl_getattr")
def ovl_getattr(idmap: Any, path: Path, stat: Kstat, request_mask: int, flags: int) -> int:
    dentry = path.dentry
    inode = dentry.d_inode
    is_dir = S_ISDIR(inode.i_mode)
    fsid = 0

    realpath = Path()
    type = ovl_path_real(dentry, realpath)
    with with_ovl_creds(dentry.d_sb):
        err = vfs_getattr_nosec(realpath, stat, request_mask, flags)
    if err:
        return err

    # Report the effective immutable/append-only STATX flags
    generic_fill_statx_attr(inode, stat)

    if not is_dir or ovl_same_fs(OVL_FS(dentry.d_sb)):
        if not OVL_TYPE_UPPER(type):
            fsid = ovl_layer_lower(dentry).fsid

    ovl_map_dev_ino(dentry, stat, fsid)

    # It's probably not worth it to count subdirs to get the correct link count. nlink=1 seems to pacify 'find' and other
    # utilities.
    if is_dir and OVL_TYPE_MERGE(type):
        stat.nlink = 1
    return err


@custom(C, "ovl_permission", AS_A_BOOT)
def ovl_permission(idmap: Any, inode: Inode, mask: int) -> int:
    upperinode = ovl_inode_upper(inode)
    realpath = Path()
    realinode = ovl_i_path_real(inode, realpath)

    # Check overlay inode with the creds of task and underlying inode with creds of mounter
    err = generic_permission(idmap, inode, mask)
    if err:
        return err

    if upperinode is None and realinode.i_mode & S_IFMT not in _SPECIAL and mask & MAY_WRITE:
        mask &= ~(MAY_WRITE | MAY_APPEND)
        # Make sure mounter can read file for copy up later
        mask |= MAY_READ

    with with_ovl_creds(inode.i_sb):
        return inode_permission(realpath.mnt.mnt_idmap, realinode, mask)


@port_of(C, "ovl_get_link")
def ovl_get_link(dentry: Dentry | None, inode: Inode, done: Any) -> Any:
    if not dentry:
        return ERR_PTR(-ECHILD)

    with with_ovl_creds(dentry.d_sb):
        return vfs_get_link(ovl_dentry_real(dentry), done)


@custom(C, "do_ovl_get_acl", AS_A_BOOT)
def do_ovl_get_acl(idmap: Any, inode: Inode, type: int, rcu: bool, noperm: bool) -> Any:
    realpath = Path()
    realinode = ovl_i_path_real(inode, realpath)
    if not realinode.i_sb.s_flags & SB_POSIXACL:
        return None
    if noperm:
        return get_inode_acl(realinode, type)
    with with_ovl_creds(inode.i_sb):
        acl = vfs_get_acl(realpath.mnt.mnt_idmap, realpath.dentry,
                          XATTR_NAME_POSIX_ACL_ACCESS if type == ACL_TYPE_ACCESS else XATTR_NAME_POSIX_ACL_DEFAULT)
    return None if IS_ERR(acl) and acl in (ERR_PTR(-61), ERR_PTR(-EOPNOTSUPP)) else acl


def ovl_get_inode_acl(inode: Inode, type: int, rcu: bool) -> Any:
    return do_ovl_get_acl(None, inode, type, rcu, True)


def ovl_get_acl(idmap: Any, dentry: Dentry, type: int) -> Any:
    return do_ovl_get_acl(idmap, dentry.d_inode, type, False, False)


@custom(C, "ovl_set_acl", "NULL goes through vfs_set_acl() too, and mode bits are not cleared")
def ovl_set_acl(idmap: Any, dentry: Dentry, acl: Any, type: int) -> int:
    err = ovl_copy_up(dentry)
    if err:
        return err
    err = ovl_want_write(dentry)
    if err:
        return err
    with with_ovl_creds(dentry.d_sb):
        err = vfs_set_acl(None, ovl_dentry_upper(dentry),
                          XATTR_NAME_POSIX_ACL_ACCESS if type == ACL_TYPE_ACCESS else XATTR_NAME_POSIX_ACL_DEFAULT, acl)
    ovl_drop_write(dentry)
    # copy c/mtime
    ovl_copyattr(dentry.d_inode)
    return err


@port_of(C, "ovl_fill_inode")
def ovl_fill_inode(inode: Any, mode: int, rdev: int) -> None:
    from kemu.linux.fs.overlayfs.dir import ovl_dir_inode_operations  # noqa: PLC0415  (circle: fs/overlayfs/dir.c needs this)

    inode.i_mode = mode
    inode.i_flags |= S_NOCMTIME
    inode.i_acl = inode.i_default_acl = ACL_DONT_CACHE

    fmt = mode & S_IFMT
    if fmt == S_IFREG:
        inode.i_op = ovl_file_inode_operations
        inode.i_fop = ovl_file_operations
        inode.i_mapping.a_ops = empty_aops      # ovl_aops

    elif fmt == S_IFDIR:
        inode.i_op = ovl_dir_inode_operations
        inode.i_fop = ovl_dir_operations

    elif fmt == S_IFLNK:
        inode.i_op = ovl_symlink_inode_operations

    else:
        inode.i_op = ovl_special_inode_operations
        init_special_inode(inode, mode, rdev)


@port_of(C, "ovl_next_ino")
def ovl_next_ino(inode: Any) -> None:
    ofs = OVL_FS(inode.i_sb)

    ofs.last_ino += 1                       # atomic_long_inc_return()
    inode.i_ino = ofs.last_ino


@port_of(C, "ovl_map_ino")
def ovl_map_ino(inode: Any, ino: int, fsid: int) -> None:
    ofs = OVL_FS(inode.i_sb)

    # When d_ino is consistent with st_ino (samefs or i_ino has enough bits to encode layer), set the same value used for st_ino
    # to i_ino, so inode number exposed via /proc/locks and a like will be consistent with d_ino and st_ino values.
    inode.i_ino = ino
    if ovl_same_fs(ofs):
        return

    # For directory inodes on non-samefs with xino disabled or xino overflow, we allocate a non-persistent inode number, to be
    # used for resolving st_ino collisions in ovl_map_dev_ino().
    if S_ISDIR(inode.i_mode):
        ovl_next_ino(inode)


@port_of(C, "ovl_inode_init")
def ovl_inode_init(inode: Any, oip: ovl_inode_params, ino: int, fsid: int) -> None:
    oi = OVL_I(inode)

    oi.upperdentry = oip.upperdentry
    oi.oe = oip.oe

    realinode = ovl_inode_real(inode)
    ovl_copyattr(inode)
    ovl_copyflags(realinode, inode)
    ovl_map_ino(inode, ino, fsid)


@port_of(C, "ovl_new_inode")
def ovl_new_inode(sb: SuperBlock, mode: int, rdev: int) -> Any:
    inode = new_inode(sb)
    if inode is not None:
        ovl_fill_inode(inode, mode, rdev)
    return inode


def ovl_inode_test(inode: Inode, data: Any) -> bool:
    return inode.i_private is data


def ovl_inode_set(inode: Inode, data: Any) -> int:
    inode.i_private = data
    return 0


@port_of(C, "ovl_verify_inode")
def ovl_verify_inode(inode: Any, lowerdentry: Any, upperdentry: Any, strict: bool) -> bool:
    if S_ISDIR(inode.i_mode) and strict:
        # Real lower dir moved to upper layer under us?
        if lowerdentry is None and ovl_inode_lower(inode) is not None:
            return False
        # Lookup of an uncovered redirect origin?
        if upperdentry is None and ovl_inode_upper(inode) is not None:
            return False
    if lowerdentry is not None and ovl_inode_lower(inode) is not lowerdentry.d_inode:
        return False
    return not (upperdentry is not None and ovl_inode_upper(inode) is not upperdentry.d_inode)


@port_of(C, "ovl_lookup_trap_inode")
def ovl_lookup_trap_inode(sb: SuperBlock, dir: Dentry) -> bool:
    key = dir.d_inode
    trap: Any = ilookup5(sb, key.i_ino, ovl_inode_test, key)
    if trap is None:
        return False
    res = bool(trap.i_flags & S_DEAD) and ovl_inode_upper(trap) is None and ovl_inode_lower(trap) is None
    iput(trap)
    return res


@port_of(C, "ovl_get_trap_inode")
def ovl_get_trap_inode(sb: SuperBlock, dir: Dentry) -> Any:
    """An inode for a layer's root, that fails ovl_verify_inode(), so any lookup that finds a layer's root fails."""
    key = dir.d_inode
    if not d_is_dir(dir):
        return ERR_PTR(-ENOTDIR)

    trap = iget5_locked(sb, key.i_ino, ovl_inode_test, ovl_inode_set, key)
    if trap is None:
        return ERR_PTR(-ENOMEM)

    if not trap.i_state & I_NEW:
        # Conflicting layer roots?
        iput(trap)
        return ERR_PTR(-ELOOP)

    trap.i_mode = S_IFDIR
    trap.i_flags = S_DEAD
    unlock_new_inode(trap)
    return trap


@port_of(C, "ovl_hash_bylower")
def ovl_hash_bylower(sb: SuperBlock, upper: Any, lower: Any) -> bool:
    # No, if pure upper
    if lower is None:
        return False
    # Yes, if won't be copied up
    if ovl_upper_mnt(OVL_FS(sb)) is None:
        return True
    # No, if lower hardlink is or will be broken on copy up (there is no index); otherwise, hash by lower inode for fsnotify
    return d_is_dir(lower) or lower.d_inode.i_nlink <= 1


@port_of(C, "ovl_iget5")
def ovl_iget5(sb: SuperBlock, newinode: Any, key: Inode) -> Any:
    return inode_insert5(newinode, key.i_ino, ovl_inode_test, ovl_inode_set, key) if newinode else \
        iget5_locked(sb, key.i_ino, ovl_inode_test, ovl_inode_set, key)


@port_of(C, "ovl_get_inode")
def ovl_get_inode(sb: SuperBlock, oip: ovl_inode_params) -> Any:
    ofs = OVL_FS(sb)
    upperdentry = oip.upperdentry
    lowerpath = ovl_lowerpath(oip.oe)
    realinode: Any = d_inode(upperdentry) if upperdentry else NULL
    lowerdentry = lowerpath.dentry if lowerpath else NULL
    realpath = Path(ovl_upper_mnt(ofs) if upperdentry else lowerpath.layer.mnt, upperdentry or lowerdentry)
    bylower = ovl_hash_bylower(sb, upperdentry, lowerdentry)
    fsid = lowerpath.layer.fsid if bylower else 0
    ino = 0
    err = -EEXIST if oip.newinode else -ENOMEM
    labels = Labels()

    @labels.label
    def out_err() -> None:
        pr_warn("overlayfs: failed to get inode (%i)\n", err)

    if not realinode:
        realinode = d_inode(lowerdentry)

    # Copy up origin (lower) may exist for non-indexed upper, but we must not use lower as hash key if this is a broken hardlink.
    is_dir = S_ISDIR(realinode.i_mode)
    if upperdentry or bylower:
        key = d_inode(lowerdentry if bylower else upperdentry)
        nlink = 1 if is_dir else realinode.i_nlink

        inode: Any = ovl_iget5(sb, oip.newinode, key)
        if not inode:
            return labels.goto(out_err, ERR_PTR(err))
        if not inode.i_state & I_NEW:
            # Verify that the underlying files stored in the inode match those in the dentry.
            if not ovl_verify_inode(inode, lowerdentry, upperdentry, True):
                iput(inode)
                err = -ESTALE
                return labels.goto(out_err, ERR_PTR(err))

            dput(upperdentry)
            ovl_free_entry(oip.oe)
            return inode

        set_nlink(inode, nlink)
        ino = key.i_ino
    else:
        # Lower hardlink that will be broken on copy up
        inode = new_inode(sb)
        if not inode:
            err = -ENOMEM
            return labels.goto(out_err, ERR_PTR(err))
        ino = realinode.i_ino
        fsid = lowerpath.layer.fsid
    ovl_fill_inode(inode, realinode.i_mode, realinode.i_rdev)
    ovl_inode_init(inode, oip, ino, fsid)

    if upperdentry and ovl_is_impuredir(sb, upperdentry):
        ovl_set_flag(OVL_IMPURE, inode)

    if bylower:
        ovl_set_flag(OVL_CONST_INO, inode)

    # Check for non-merge dir that may have whiteouts
    if is_dir:
        if (upperdentry and lowerdentry) or ovl_numlower(oip.oe) > 1 or ovl_path_check_origin_xattr(ofs, realpath):
            ovl_set_flag(OVL_WHITEOUTS, inode)

    if inode.i_state & I_NEW:
        unlock_new_inode(inode)
    return inode


# xattrs.py, which needs this file, adds .listxattr = ovl_listxattr to each
ovl_file_inode_operations = inode_operations(setattr=ovl_setattr, permission=ovl_permission, getattr=ovl_getattr,
                                             get_inode_acl=ovl_get_inode_acl, get_acl=ovl_get_acl, set_acl=ovl_set_acl)
ovl_symlink_inode_operations = inode_operations(setattr=ovl_setattr, get_link=ovl_get_link, getattr=ovl_getattr)
ovl_special_inode_operations = inode_operations(setattr=ovl_setattr, permission=ovl_permission, getattr=ovl_getattr,
                                                get_inode_acl=ovl_get_inode_acl, get_acl=ovl_get_acl, set_acl=ovl_set_acl)
