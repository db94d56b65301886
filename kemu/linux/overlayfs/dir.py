# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/dir.c: making, removing and renaming names."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.cred import override_creds, prepare_creds, put_cred, revert_creds
from kemu.linux.dcache import Dentry, d_instantiate, d_is_dir, d_unhashed, dget, dput
from kemu.linux.dcache import __d_drop as d_drop
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EIO, ENOMEM, EPERM, EROFS, ESTALE, EXDEV
from kemu.linux.honesty import custom, port_of
from kemu.linux.mutex import mutex_lock, mutex_unlock
from kemu.linux.overlayfs.copy_up import ovl_copy_up, ovl_copy_xattr, ovl_set_attr
from kemu.linux.overlayfs.how import AS_A_BOOT
from kemu.linux.overlayfs.inode import (
    ovl_copyattr,
    ovl_get_acl,
    ovl_get_inode,
    ovl_get_inode_acl,
    ovl_getattr,
    ovl_new_inode,
    ovl_permission,
    ovl_set_acl,
    ovl_setattr,
)
from kemu.linux.overlayfs.namei import ovl_lookup, ovl_lower_positive
from kemu.linux.overlayfs.ovl_entry import (
    OVL_FS,
    OVL_UPPERDATA,
    OVL_WHITEOUTS,
    OVL_XATTR_OPAQUE,
    ovl_cattr,
    ovl_fs,
    ovl_inode_params,
)
from kemu.linux.overlayfs.readdir import ovl_cache_free, ovl_check_empty_dir, ovl_cleanup_whiteouts
from kemu.linux.overlayfs.util import (
    OVL_TYPE_MERGE,
    OVL_TYPE_UPPER,
    ovl_check_setxattr,
    ovl_dentry_init_reval,
    ovl_dentry_is_opaque,
    ovl_dentry_is_whiteout,
    ovl_dentry_lower,
    ovl_dentry_set_opaque,
    ovl_dentry_set_upper_alias,
    ovl_dentry_upper,
    ovl_dir_modified,
    ovl_drop_write,
    ovl_lookup_upper_unlocked,
    ovl_nlink_end,
    ovl_nlink_start,
    ovl_path_type,
    ovl_path_upper,
    ovl_set_flag,
    ovl_start_creating_upper,
    ovl_start_removing_upper,
    ovl_test_flag,
    ovl_upper_is_whiteout,
    ovl_want_write,
    ovl_workdir,
    with_ovl_creds,
)
from kemu.linux.printk import pr_err, pr_warn
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.stat import (
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    S_ISCHR,
    S_ISDIR,
    S_ISLNK,
    STATX_BASIC_STATS,
)
from kemu.linux.statics import statics
from kemu.linux.vfs.attr import notify_change
from kemu.linux.vfs.basic import Path, Qstr
from kemu.linux.vfs.constants import ATTR_MODE, I_CREATING
from kemu.linux.vfs.dir_ops import vfs_create, vfs_link, vfs_mkdir, vfs_mknod, vfs_rmdir, vfs_symlink, vfs_unlink
from kemu.linux.vfs.inode import ihold, iput
from kemu.linux.vfs.inode_attr import clear_nlink, drop_nlink, inc_nlink, inode_init_owner
from kemu.linux.vfs.libfs import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.one import end_creating, end_creating_keep, end_removing, start_removing_dentry, vfs_whiteout
from kemu.linux.vfs.rename import end_renaming, renamedata, start_renaming, start_renaming_two_dentries, vfs_rename
from kemu.linux.vfs.stat import vfs_getattr
from kemu.linux.vfs.types import Inode, Kstat, iattr, inode_operations
from kemu.linux.xattr_set import posix_acl_create, vfs_set_acl

C = "fs/overlayfs/dir.c"
WHITEOUT_DEV = 0

g = statics(temp_id=0)


@port_of(C, "ovl_cleanup_locked")
def ovl_cleanup_locked(ofs: ovl_fs, wdir: Inode, wdentry: Dentry) -> int:
    dget(wdentry)
    if d_is_dir(wdentry):
        err = vfs_rmdir(None, wdir, wdentry)
    else:
        err = vfs_unlink(None, wdir, wdentry)
    dput(wdentry)
    if err:
        pr_err("overlayfs: cleanup of '%pd2' failed (%i)\n", wdentry, err)
    return err


@port_of(C, "ovl_cleanup")
def ovl_cleanup(ofs: ovl_fs, workdir: Dentry, wdentry: Dentry) -> int:
    locked = start_removing_dentry(workdir, wdentry)
    if IS_ERR(locked):
        return PTR_ERR(locked)
    ovl_cleanup_locked(ofs, workdir.d_inode, locked)
    end_removing(locked)
    return 0


@port_of(C, "ovl_tempname")
def ovl_tempname() -> bytes:
    # counter is allowed to wrap, since temp dentries are ephemeral
    g.temp_id = g.temp_id + 1 & 0xFFFF_FFFF
    return b"#%x" % g.temp_id


@port_of(C, "ovl_start_creating_temp")
def ovl_start_creating_temp(ofs: ovl_fs, workdir: Dentry) -> Any:
    return ovl_start_creating_upper(ofs, workdir, ovl_tempname())


@port_of(C, "ovl_whiteout")
def ovl_whiteout(ofs: ovl_fs) -> Any:
    workdir = ofs.workdir
    wdir = workdir.d_inode
    mutex_lock(ofs.whiteout_lock)
    try:
        if ofs.whiteout is None:
            whiteout = ovl_start_creating_temp(ofs, workdir)
            if IS_ERR(whiteout):
                return whiteout
            err = vfs_whiteout(None, wdir, whiteout)
            if not err:
                ofs.whiteout = dget(whiteout)
            end_creating(whiteout)
            if err:
                return ERR_PTR(err)

        if not ofs.no_shared_whiteout:
            link = ovl_start_creating_temp(ofs, workdir)
            if IS_ERR(link):
                return link
            err = vfs_link(ofs.whiteout, None, wdir, link)    # type: ignore[arg-type]
            if not err:
                whiteout = dget(link)
            end_creating(link)
            if not err:
                return whiteout
            pr_warn("overlayfs: Failed to link whiteout - disabling whiteout inode sharing(nlink=%u, err=%u)\n", ofs.whiteout.d_inode.i_nlink, err)    # type: ignore[union-attr]
            ofs.no_shared_whiteout = True
        whiteout = ofs.whiteout
        ofs.whiteout = None
        return whiteout
    finally:
        mutex_unlock(ofs.whiteout_lock)


@port_of(C, "ovl_cleanup_and_whiteout")
def ovl_cleanup_and_whiteout(ofs: ovl_fs, dir: Dentry, dentry: Dentry) -> int:
    flags = 0
    whiteout = ovl_whiteout(ofs)
    if IS_ERR(whiteout):
        return PTR_ERR(whiteout)

    if d_is_dir(dentry):
        flags = RENAME_EXCHANGE

    rd = renamedata(None, ofs.workdir, dir, flags)
    err = start_renaming_two_dentries(rd, whiteout, dentry)
    if not err:
        err = vfs_rename(rd)
        end_renaming(rd)
    if err:
        ovl_cleanup(ofs, ofs.workdir, whiteout)
    elif flags:
        ovl_cleanup(ofs, ofs.workdir, dentry)
    dput(whiteout)
    return err


@custom(C, "ovl_create_real", "the upper file system keeps its dentries hashed and folds no case")
def ovl_create_real(ofs: ovl_fs, parent: Dentry, newdentry: Any, attr: ovl_cattr) -> Any:
    dir = parent.d_inode

    if IS_ERR(newdentry):
        return newdentry

    err = -ESTALE
    if newdentry.d_inode is None:
        kind = attr.mode & S_IFMT
        if attr.hardlink is not None:
            err = vfs_link(attr.hardlink, None, dir, newdentry)
        elif kind == S_IFREG:
            err = vfs_create(None, newdentry, attr.mode)
        elif kind == S_IFDIR:
            # mkdir is special...
            newdentry = vfs_mkdir(None, dir, newdentry, attr.mode)
            err = PTR_ERR(newdentry) if IS_ERR(newdentry) else 0
        elif kind in (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK):
            err = vfs_mknod(None, dir, newdentry, attr.mode, attr.rdev)
        elif kind == S_IFLNK:
            err = vfs_symlink(None, dir, newdentry, attr.link or b"")
        else:
            err = -EPERM
        if not err and (WARN_ON(newdentry.d_inode is None) or d_unhashed(newdentry)):
            err = -EIO
    if err:
        end_creating(newdentry)
        return ERR_PTR(err)
    return newdentry


@port_of(C, "ovl_create_temp")
def ovl_create_temp(ofs: ovl_fs, workdir: Dentry, attr: ovl_cattr) -> Any:
    ret = ovl_start_creating_temp(ofs, workdir)
    if IS_ERR(ret):
        return ret
    ret = ovl_create_real(ofs, workdir, ret, attr)
    return end_creating_keep(ret)


@port_of(C, "ovl_set_opaque_xerr")
def ovl_set_opaque_xerr(dentry: Dentry, upper: Dentry, xerr: int) -> int:
    err = ovl_check_setxattr(OVL_FS(dentry.d_sb), upper, OVL_XATTR_OPAQUE, b"y", xerr)
    if not err:
        ovl_dentry_set_opaque(dentry)
    return err


def ovl_set_opaque(dentry: Dentry, upperdentry: Dentry) -> int:
    # Fail with -EIO when trying to create opaque dir and upper doesn't support xattrs.
    return ovl_set_opaque_xerr(dentry, upperdentry, -EIO)


@custom(C, "ovl_instantiate", AS_A_BOOT)
def ovl_instantiate(dentry: Dentry, inode: Any, newdentry: Dentry, hardlink: bool) -> int:
    oip = ovl_inode_params(newdentry, None, inode)

    ovl_dentry_set_upper_alias(dentry)
    ovl_dentry_init_reval(dentry, newdentry, None)

    if not hardlink:
        inode = ovl_get_inode(dentry.d_sb, oip)
        if IS_ERR(inode):
            return PTR_ERR(inode)
        if inode is oip.newinode:
            ovl_set_flag(OVL_UPPERDATA, inode)
    else:
        dput(newdentry)
        inc_nlink(inode)

    d_instantiate(dentry, inode)
    if inode is not oip.newinode:
        pr_warn("overlayfs: newly created inode found in cache (%pd2)\n", dentry)

    # Force lookup of new upper hardlink to find its lower
    if hardlink:
        d_drop(dentry)
    return 0


def ovl_type_merge(dentry: Dentry) -> bool:
    return OVL_TYPE_MERGE(ovl_path_type(dentry))


@port_of(C, "ovl_create_upper")
def ovl_create_upper(dentry: Dentry, inode: Any, attr: ovl_cattr) -> int:
    ofs = OVL_FS(dentry.d_sb)
    upperdir = ovl_dentry_upper(dentry.d_parent)

    newdentry = ovl_start_creating_upper(ofs, upperdir, dentry.d_name.name)
    if IS_ERR(newdentry):
        return PTR_ERR(newdentry)
    newdentry = ovl_create_real(ofs, upperdir, newdentry, attr)
    if IS_ERR(newdentry):
        return PTR_ERR(newdentry)

    end_creating_keep(newdentry)

    if ovl_type_merge(dentry.d_parent) and d_is_dir(newdentry):
        # Setting opaque here is just an optimization, allow to fail
        ovl_set_opaque(dentry, newdentry)

    ovl_dir_modified(dentry.d_parent, False)
    err = ovl_instantiate(dentry, inode, newdentry, attr.hardlink is not None)
    if err:
        ovl_cleanup(ofs, upperdir, newdentry)
        dput(newdentry)
    return err


@port_of(C, "ovl_clear_empty")
def ovl_clear_empty(dentry: Dentry, list_: list[Any]) -> Any:
    ofs = OVL_FS(dentry.d_sb)
    workdir = ovl_workdir(dentry)
    upperdir = ovl_dentry_upper(dentry.d_parent)
    upperpath, stat = Path(), Kstat()

    if WARN_ON(workdir is None):
        return ERR_PTR(-EROFS)

    ovl_path_upper(dentry, upperpath)
    err = vfs_getattr(upperpath, stat, STATX_BASIC_STATS, 0)
    if err:
        return ERR_PTR(err)
    if not S_ISDIR(stat.mode):
        return ERR_PTR(-ESTALE)
    upper = upperpath.dentry

    opaquedir = ovl_create_temp(ofs, workdir, ovl_cattr(mode=stat.mode))
    if IS_ERR(opaquedir):
        return opaquedir

    rd = renamedata(None, workdir, upperdir, RENAME_EXCHANGE)
    err = start_renaming_two_dentries(rd, opaquedir, upper)
    if not err:
        err = ovl_copy_xattr(dentry.d_sb, upperpath, opaquedir)
        if not err:
            err = ovl_set_opaque(dentry, opaquedir)
        if not err:
            inode_lock(opaquedir.d_inode)
            err = ovl_set_attr(ofs, opaquedir, stat)
            inode_unlock(opaquedir.d_inode)
        if not err:
            err = vfs_rename(rd)
        end_renaming(rd)
    if err:
        ovl_cleanup(ofs, workdir, opaquedir)
        dput(opaquedir)
        return ERR_PTR(err)

    ovl_cleanup_whiteouts(ofs, upper, list_)
    ovl_cleanup(ofs, workdir, upper)

    # dentry's upper doesn't match now, get rid of it
    d_drop(dentry)
    return opaquedir


@port_of(C, "ovl_create_over_whiteout")
def ovl_create_over_whiteout(dentry: Dentry, inode: Any, cattr: ovl_cattr) -> int:
    from kemu.linux.posix_acl import posix_acl_release
    from kemu.linux.xattr import XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT

    ofs = OVL_FS(dentry.d_sb)
    workdir = ovl_workdir(dentry)
    upperdir = ovl_dentry_upper(dentry.d_parent)
    hardlink = cattr.hardlink is not None
    acl = default_acl = None

    if WARN_ON(workdir is None):
        return -EROFS

    if not hardlink:
        err, cattr.mode, default_acl, acl = posix_acl_create(dentry.d_parent.d_inode, cattr.mode)
        if err:
            return err

    def out(err: int) -> int:
        for a in (acl, default_acl):
            if a is not None:
                posix_acl_release(a)
        return err

    upper = ovl_lookup_upper_unlocked(ofs, dentry.d_name.name, upperdir)
    if IS_ERR(upper):
        return out(PTR_ERR(upper))
    if upper.d_inode is None or not ovl_upper_is_whiteout(ofs, upper):
        dput(upper)
        return out(-ESTALE)

    newdentry = ovl_create_temp(ofs, workdir, cattr)
    if IS_ERR(newdentry):
        dput(upper)
        return out(PTR_ERR(newdentry))

    rd = renamedata(None, workdir, upperdir, 0)
    err = start_renaming_two_dentries(rd, newdentry, upper)
    if not err:
        # mode could have been mutilated due to umask (e.g. sgid directory)
        if not hardlink and not S_ISLNK(cattr.mode) and newdentry.d_inode.i_mode != cattr.mode:
            inode_lock(newdentry.d_inode)
            err = notify_change(None, newdentry, iattr(ia_valid=ATTR_MODE, ia_mode=cattr.mode))
            inode_unlock(newdentry.d_inode)
        if not err and acl is not None:
            err = vfs_set_acl(None, newdentry, XATTR_NAME_POSIX_ACL_ACCESS, acl)
        if not err and default_acl is not None:
            err = vfs_set_acl(None, newdentry, XATTR_NAME_POSIX_ACL_DEFAULT, default_acl)
        exchange = not hardlink and S_ISDIR(cattr.mode)
        if not err and exchange:
            err = ovl_set_opaque(dentry, newdentry)
            rd.flags = RENAME_EXCHANGE
        if not err:
            err = vfs_rename(rd)
        end_renaming(rd)
        if not err and exchange:
            ovl_cleanup(ofs, workdir, upper)
    if err:
        ovl_cleanup(ofs, workdir, newdentry)
        dput(newdentry)
    else:
        ovl_dir_modified(dentry.d_parent, False)
        err = ovl_instantiate(dentry, inode, newdentry, hardlink)
        if err:
            ovl_cleanup(ofs, upperdir, newdentry)
            dput(newdentry)
    dput(upper)
    return out(err)


def ovl_create_handle_whiteouts(dentry: Dentry, inode: Any, attr: ovl_cattr) -> int:
    if not ovl_dentry_is_whiteout(dentry):
        return ovl_create_upper(dentry, inode, attr)
    return ovl_create_over_whiteout(dentry, inode, attr)


@port_of(C, "ovl_create_or_link")
def ovl_create_or_link(dentry: Dentry, inode: Any, attr: ovl_cattr) -> int:
    with with_ovl_creds(dentry.d_sb):
        if attr.hardlink is not None:
            return ovl_create_handle_whiteouts(dentry, inode, attr)
        # the underlying fs initializes its new inode's owner using current's fs{u,g}id: ovl_override_creator_creds()
        override_cred = prepare_creds()
        if override_cred is None:
            return -ENOMEM
        override_cred.fsuid = inode.i_uid
        override_cred.fsgid = inode.i_gid
        old = override_creds(override_cred)
        err = ovl_create_handle_whiteouts(dentry, inode, attr)
        revert_creds(old)
        put_cred(override_cred)
        return err


@port_of(C, "ovl_create_object")
def ovl_create_object(dentry: Dentry, mode: int, rdev: int, link: bytes | None) -> int:
    attr = ovl_cattr(rdev=rdev, link=link)

    err = ovl_copy_up(dentry.d_parent)
    if err:
        return err

    err = ovl_want_write(dentry)
    if err:
        return err

    # Preallocate inode to be used by ovl_get_inode()
    err = -ENOMEM
    inode = ovl_new_inode(dentry.d_sb, mode, rdev)
    if inode is not None:
        spin_lock(inode.i_lock)
        inode.i_state |= I_CREATING
        spin_unlock(inode.i_lock)

        inode_init_owner(None, inode, dentry.d_parent.d_inode, mode)
        attr.mode = inode.i_mode
        err = ovl_create_or_link(dentry, inode, attr)
        # Did we end up using the preallocated inode?
        if inode is not dentry.d_inode:
            iput(inode)
    ovl_drop_write(dentry)
    return err


def ovl_create(idmap: Any, dir: Inode, dentry: Dentry, mode: int, excl: bool) -> int:
    return ovl_create_object(dentry, mode & 0o7777 | S_IFREG, 0, None)


def ovl_mkdir(idmap: Any, dir: Inode, dentry: Dentry, mode: int) -> Any:
    return ERR_PTR(ovl_create_object(dentry, mode & 0o7777 | S_IFDIR, 0, None))


def ovl_mknod(idmap: Any, dir: Inode, dentry: Dentry, mode: int, rdev: int) -> int:
    # Don't allow creation of "whiteout" on overlay
    if S_ISCHR(mode) and rdev == WHITEOUT_DEV:
        return -EPERM
    return ovl_create_object(dentry, mode, rdev, None)


def ovl_symlink(idmap: Any, dir: Inode, dentry: Dentry, link: bytes) -> int:
    return ovl_create_object(dentry, S_IFLNK, 0, link)


@custom(C, "ovl_link", "no redirects are set, and there is no index")
def ovl_link(old: Dentry, newdir: Inode, new: Dentry) -> int:
    err = ovl_copy_up(old)
    if err:
        return err
    err = ovl_copy_up(new.d_parent)
    if err:
        return err
    err = ovl_nlink_start(old)
    if err:
        return err

    inode = old.d_inode
    ihold(inode)
    err = ovl_create_or_link(new, inode, ovl_cattr(hardlink=ovl_dentry_upper(old)))
    if err:
        iput(inode)
    ovl_nlink_end(old)
    return err


def ovl_matches_upper(dentry: Dentry, upper: Dentry) -> bool:
    return ovl_dentry_upper(dentry).d_inode is upper.d_inode


@port_of(C, "ovl_remove_and_whiteout")
def ovl_remove_and_whiteout(dentry: Dentry, list_: list[Any]) -> int:
    ofs = OVL_FS(dentry.d_sb)
    upperdir = ovl_dentry_upper(dentry.d_parent)
    opaquedir = None

    if WARN_ON(ovl_workdir(dentry) is None):
        return -EROFS

    if list_:
        opaquedir = ovl_clear_empty(dentry, list_)
        if IS_ERR(opaquedir):
            return PTR_ERR(opaquedir)

    upper = ovl_lookup_upper_unlocked(ofs, dentry.d_name.name, upperdir)
    if IS_ERR(upper):
        err = PTR_ERR(upper)
    else:
        mismatch = upper is not opaquedir if opaquedir is not None else ovl_dentry_upper(dentry) is not None and not ovl_matches_upper(dentry, upper)
        if mismatch:
            err = -ESTALE
        else:
            err = ovl_cleanup_and_whiteout(ofs, upperdir, upper)
            if not err:
                ovl_dir_modified(dentry.d_parent, True)
            d_drop(dentry)
        dput(upper)
    dput(opaquedir)
    return err


@port_of(C, "ovl_remove_upper")
def ovl_remove_upper(dentry: Dentry, is_dir: bool, list_: list[Any]) -> int:
    ofs = OVL_FS(dentry.d_sb)
    upperdir = ovl_dentry_upper(dentry.d_parent)
    dir = upperdir.d_inode
    opaquedir = None

    if list_:
        opaquedir = ovl_clear_empty(dentry, list_)
        if IS_ERR(opaquedir):
            return PTR_ERR(opaquedir)

    upper = ovl_start_removing_upper(ofs, upperdir, dentry.d_name.name)
    if IS_ERR(upper):
        err = PTR_ERR(upper)
    else:
        if upper is not opaquedir if opaquedir is not None else not ovl_matches_upper(dentry, upper):
            err = -ESTALE
        else:
            err = vfs_rmdir(None, dir, upper) if is_dir else vfs_unlink(None, dir, upper)
            ovl_dir_modified(dentry.d_parent, False)
            # Keeping this dentry hashed would mean having to release upperpath/lowerpath. Just unhash for now.
            if not err:
                d_drop(dentry)
        end_removing(upper)
    dput(opaquedir)
    return err


def ovl_pure_upper(dentry: Dentry) -> bool:
    return ovl_dentry_lower(dentry) is None and not ovl_test_flag(OVL_WHITEOUTS, dentry.d_inode)


@port_of(C, "ovl_drop_nlink")
def ovl_drop_nlink(dentry: Dentry) -> None:
    inode = dentry.d_inode
    # Try to find another, hashed alias
    spin_lock(inode.i_lock)
    alias = any(a is not dentry and not d_unhashed(a) for a in inode.i_dentry)
    spin_unlock(inode.i_lock)
    # Changes to underlying layers may cause i_nlink to lose sync with reality: prevent the link count from going to zero prematurely.
    if inode.i_nlink > int(alias):
        drop_nlink(inode)


@port_of(C, "ovl_do_remove")
def ovl_do_remove(dentry: Dentry, is_dir: bool) -> int:
    lower_positive = ovl_lower_positive(dentry)
    list_: list[Any] = []
    err = 0

    # No need to clean pure upper removed by vfs_rmdir()
    if is_dir and (lower_positive or not ovl_pure_upper(dentry)):
        err = ovl_check_empty_dir(dentry, list_)
    if not err:
        err = ovl_copy_up(dentry.d_parent)
    if not err:
        err = ovl_nlink_start(dentry)
        if not err:
            with with_ovl_creds(dentry.d_sb):
                if not lower_positive:
                    err = ovl_remove_upper(dentry, is_dir, list_)
                else:
                    err = ovl_remove_and_whiteout(dentry, list_)
            if not err:
                if is_dir:
                    clear_nlink(dentry.d_inode)
                else:
                    ovl_drop_nlink(dentry)
            ovl_nlink_end(dentry)

            # Copy ctime. Note: we fail to update ctime if there was no copy-up, only a whiteout
            if ovl_dentry_upper(dentry) is not None:
                ovl_copyattr(dentry.d_inode)
    ovl_cache_free(list_)
    return err


def ovl_unlink(dir: Inode, dentry: Dentry) -> int:
    return ovl_do_remove(dentry, False)


def ovl_rmdir(dir: Inode, dentry: Dentry) -> int:
    return ovl_do_remove(dentry, True)


def ovl_type_merge_or_lower(dentry: Dentry) -> bool:
    type = ovl_path_type(dentry)
    return OVL_TYPE_MERGE(type) or not OVL_TYPE_UPPER(type)


def ovl_can_move(dentry: Dentry) -> bool:
    """Directories with a lower part cannot: there is no redirect_dir=on."""
    return not d_is_dir(dentry) or not ovl_type_merge_or_lower(dentry)


class ovl_renamedata:
    """``struct ovl_renamedata``"""

    __slots__ = ("cleanup_whiteout", "flags", "new_dentry", "old_dentry", "opaquedir", "overwrite", "update_nlink")

    def __init__(self, old: Dentry, new: Dentry, flags: int):
        self.old_dentry = old
        self.new_dentry = new
        self.flags = flags
        self.opaquedir: Any = None
        self.cleanup_whiteout = self.update_nlink = False
        self.overwrite = not flags & RENAME_EXCHANGE


@port_of(C, "ovl_rename_start")
def ovl_rename_start(ovlrd: ovl_renamedata, list_: list[Any]) -> int:
    old, new = ovlrd.old_dentry, ovlrd.new_dentry
    is_dir, new_is_dir = d_is_dir(old), new.d_inode is not None and d_is_dir(new)

    if ovlrd.flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE):
        return -EINVAL

    ovlrd.flags &= ~RENAME_NOREPLACE

    # Don't copy up directory trees
    if not ovl_can_move(old) or not ovlrd.overwrite and not ovl_can_move(new):
        return -EXDEV

    if ovlrd.overwrite and new_is_dir and not ovl_pure_upper(new):
        err = ovl_check_empty_dir(new, list_)
        if err:
            return err

    if ovlrd.overwrite:
        if ovl_lower_positive(old):
            if not ovl_dentry_is_whiteout(new):
                ovlrd.flags |= RENAME_WHITEOUT          # Whiteout source
            else:
                ovlrd.flags |= RENAME_EXCHANGE          # Switch whiteouts
        elif is_dir and ovl_dentry_is_whiteout(new):
            ovlrd.flags |= RENAME_EXCHANGE
            ovlrd.cleanup_whiteout = True

    err = ovl_copy_up(old) or ovl_copy_up(new.d_parent)
    if err:
        return err

    if not ovlrd.overwrite:
        err = ovl_copy_up(new)
        if err:
            return err
    elif new.d_inode is not None:
        err = ovl_nlink_start(new)
        if err:
            return err
        ovlrd.update_nlink = True

    if not ovlrd.update_nlink:
        # ovl_nlink_start() took ovl_want_write()
        return ovl_want_write(old)
    return 0


@custom(C, "ovl_rename_upper", "no redirects are set, and there is no index")
def ovl_rename_upper(ovlrd: ovl_renamedata, list_: list[Any]) -> int:
    old, new = ovlrd.old_dentry, ovlrd.new_dentry
    ofs = OVL_FS(old.d_sb)
    old_upperdir, new_upperdir = ovl_dentry_upper(old.d_parent), ovl_dentry_upper(new.d_parent)
    is_dir, new_is_dir = d_is_dir(old), new.d_inode is not None and d_is_dir(new)
    whiteout = None

    if list_:
        de = ovl_clear_empty(new, list_)
        if IS_ERR(de):
            return PTR_ERR(de)
        ovlrd.opaquedir = de

    rd = renamedata(None, old_upperdir, new_upperdir, ovlrd.flags)
    err = start_renaming(rd, 0, Qstr(old.d_name.name), Qstr(new.d_name.name))
    if err:
        return err

    old_opaque, new_opaque = ovl_dentry_is_opaque(old), ovl_dentry_is_opaque(new)
    err = 0
    if not ovl_matches_upper(old, rd.old_dentry):
        err = -ESTALE
    elif new.d_inode is not None and ovl_dentry_upper(new) is not None:
        if ovlrd.opaquedir is not None:
            if rd.new_dentry is not ovlrd.opaquedir:
                err = -ESTALE
        elif not ovl_matches_upper(new, rd.new_dentry):
            err = -ESTALE
    elif rd.new_dentry.d_inode is not None:
        if not new_opaque or not ovl_upper_is_whiteout(ofs, rd.new_dentry):
            err = -ESTALE
    elif ovlrd.flags & RENAME_EXCHANGE:
        err = -ESTALE
    if not err and rd.old_dentry.d_inode is rd.new_dentry.d_inode:
        err = -ESTALE

    if not err:
        if not ovl_type_merge_or_lower(old) and is_dir and not old_opaque and ovl_type_merge(new.d_parent):
            err = ovl_set_opaque_xerr(old, rd.old_dentry, -EXDEV)
        if (not err and not ovlrd.overwrite and not ovl_type_merge_or_lower(new) and new_is_dir and not new_opaque
                and ovl_type_merge(old.d_parent)):
            err = ovl_set_opaque_xerr(new, rd.new_dentry, -EXDEV)
        if not err:
            err = vfs_rename(rd)
        if not err and ovlrd.cleanup_whiteout:
            whiteout = dget(rd.new_dentry)
    end_renaming(rd)
    if err:
        return err

    if whiteout is not None:
        ovl_cleanup(ofs, old_upperdir, whiteout)
        dput(whiteout)

    if ovlrd.overwrite and new.d_inode is not None:
        if new_is_dir:
            clear_nlink(new.d_inode)
        else:
            ovl_drop_nlink(new)

    ovl_dir_modified(old.d_parent, False)
    ovl_dir_modified(new.d_parent, False)

    # copy ctime:
    ovl_copyattr(old.d_inode)
    if new.d_inode is not None and ovl_dentry_upper(new) is not None:
        ovl_copyattr(new.d_inode)
    return err


@port_of(C, "ovl_rename")
def ovl_rename(idmap: Any, olddir: Inode, old: Dentry, newdir: Inode, new: Dentry, flags: int) -> int:
    ovlrd = ovl_renamedata(old, new, flags)
    list_: list[Any] = []

    err = ovl_rename_start(ovlrd, list_)
    if not err:
        with with_ovl_creds(old.d_sb):
            err = ovl_rename_upper(ovlrd, list_)
        if ovlrd.update_nlink:
            ovl_nlink_end(new)
        else:
            ovl_drop_write(old)

    dput(ovlrd.opaquedir)
    ovl_cache_free(list_)
    return err


def _listxattr(dentry: Dentry, lst: int, size: int) -> int:
    from kemu.linux.overlayfs.xattrs import ovl_listxattr

    return ovl_listxattr(dentry, lst, size)


ovl_dir_inode_operations = inode_operations(
    lookup=ovl_lookup, mkdir=ovl_mkdir, symlink=ovl_symlink, unlink=ovl_unlink, rmdir=ovl_rmdir, rename=ovl_rename, link=ovl_link, setattr=ovl_setattr,
    create=ovl_create, mknod=ovl_mknod, permission=ovl_permission, getattr=ovl_getattr, listxattr=_listxattr, get_inode_acl=ovl_get_inode_acl,
    get_acl=ovl_get_acl, set_acl=ovl_set_acl)

__all__ = [n for n in dir() if n.startswith("ovl_")]
