# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/dir.c: making, removing and renaming names."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR, PTR_ERR_OR_ZERO
from kemu.linux.errno import EINVAL, EIO, EMLINK, ENOMEM, EPERM, EROFS, ESTALE, EXDEV
from kemu.linux.fcntl import AT_STATX_SYNC_AS_STAT
from kemu.linux.fs.dcache import __d_drop as d_drop
from kemu.linux.fs.dcache import d_instantiate, dput
from kemu.linux.fs.inode import clear_nlink, drop_nlink, ihold, inc_nlink, inode_init_owner, iput
from kemu.linux.fs.namei import end_renaming, start_removing_dentry, start_renaming, start_renaming_two_dentries
from kemu.linux.fs.overlayfs.copy_up import ovl_copy_up, ovl_copy_xattr, ovl_set_attr
from kemu.linux.fs.overlayfs.inode import (
    ovl_get_acl,
    ovl_get_inode,
    ovl_get_inode_acl,
    ovl_getattr,
    ovl_new_inode,
    ovl_permission,
    ovl_set_acl,
    ovl_setattr,
)
from kemu.linux.fs.overlayfs.namei import ovl_lookup, ovl_lower_positive
from kemu.linux.fs.overlayfs.overlayfs import (
    OVL_TYPE_MERGE,
    OVL_TYPE_UPPER,
    ovl_do_create,
    ovl_do_link,
    ovl_do_mkdir,
    ovl_do_mknod,
    ovl_do_notify_change,
    ovl_do_rename_rd,
    ovl_do_rmdir,
    ovl_do_set_acl,
    ovl_do_symlink,
    ovl_do_unlink,
    ovl_do_whiteout,
    ovl_lookup_upper_unlocked,
    ovl_set_flag,
    ovl_start_creating_upper,
    ovl_start_removing_upper,
    ovl_test_flag,
    with_ovl_creds,
)
from kemu.linux.fs.overlayfs.ovl_entry import (
    AS_A_BOOT,
    OVL_FS,
    OVL_UPPERDATA,
    OVL_WHITEOUTS,
    OVL_XATTR_OPAQUE,
    ovl_cattr,
    ovl_fs,
    ovl_inode_params,
    ovl_upper_mnt_idmap,
)
from kemu.linux.fs.overlayfs.readdir import ovl_cache_free, ovl_check_empty_dir, ovl_cleanup_whiteouts
from kemu.linux.fs.overlayfs.util import (
    ovl_check_setxattr,
    ovl_copyattr,
    ovl_dentry_init_reval,
    ovl_dentry_is_opaque,
    ovl_dentry_is_whiteout,
    ovl_dentry_lower,
    ovl_dentry_set_opaque,
    ovl_dentry_set_upper_alias,
    ovl_dentry_upper,
    ovl_dir_modified,
    ovl_drop_write,
    ovl_inode_real,
    ovl_nlink_end,
    ovl_nlink_start,
    ovl_path_type,
    ovl_path_upper,
    ovl_upper_is_whiteout,
    ovl_want_write,
    ovl_workdir,
)
from kemu.linux.fs.posix_acl import posix_acl_create
from kemu.linux.fs.stat import vfs_getattr
from kemu.linux.include.cred import override_creds, put_cred, revert_creds
from kemu.linux.include.dcache import Dentry, Qstr, d_inode, d_is_dir, d_is_negative, d_unhashed, dget
from kemu.linux.include.fs.calls import inode_lock, inode_unlock
from kemu.linux.include.fs.constants import (
    ATTR_MODE,
    I_CREATING,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    WHITEOUT_DEV,
)
from kemu.linux.include.fs.types import Inode, iattr, inode_operations, renamedata
from kemu.linux.include.mutex import mutex_lock
from kemu.linux.include.namei import end_creating, end_creating_keep, end_removing
from kemu.linux.include.path import Path
from kemu.linux.include.posix_acl import posix_acl_release
from kemu.linux.include.xattr import XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kernel.cred import prepare_creds
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.mnt_idmapping import nop_mnt_idmap
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, port_of
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
    Kstat,
)
from kemu.machine.current import NULL
from kemu.machine.statics import statics

C = "fs/overlayfs/dir.c"

@statics
class g:
    temp_id = 0                     # static atomic_t temp_id = ATOMIC_INIT(0);


@port_of(C, "ovl_cleanup_locked")
def ovl_cleanup_locked(ofs: ovl_fs, wdir: Inode, wdentry: Dentry) -> int:
    dget(wdentry)
    if d_is_dir(wdentry):
        err = ovl_do_rmdir(ofs, wdir, wdentry)
    else:
        err = ovl_do_unlink(ofs, wdir, wdentry)
    dput(wdentry)

    if err:
        pr_err("overlayfs: cleanup of '%pd2' failed (%i)\n", wdentry, err)

    return err


@port_of(C, "ovl_cleanup")
def ovl_cleanup(ofs: ovl_fs, workdir: Dentry, wdentry: Dentry) -> int:
    wdentry = start_removing_dentry(workdir, wdentry)
    if IS_ERR(wdentry):
        return PTR_ERR(wdentry)

    ovl_cleanup_locked(ofs, workdir.d_inode, wdentry)
    end_removing(wdentry)

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

    mutex_lock(ofs.whiteout_lock)           # guard(mutex)(&ofs->whiteout_lock)
    try:
        if not ofs.whiteout:
            whiteout = ovl_start_creating_temp(ofs, workdir)
            if IS_ERR(whiteout):
                return whiteout
            err = ovl_do_whiteout(ofs, wdir, whiteout)
            if not err:
                ofs.whiteout = dget(whiteout)
            end_creating(whiteout)
            if err:
                return ERR_PTR(err)

        if not ofs.no_shared_whiteout:
            link = ovl_start_creating_temp(ofs, workdir)
            if IS_ERR(link):
                return link
            err = ovl_do_link(ofs, ofs.whiteout, wdir, link)
            if not err:
                whiteout = dget(link)
            end_creating(link)
            if not err:
                return whiteout

            if err != -EMLINK:
                pr_warn("overlayfs: Failed to link whiteout - disabling whiteout inode sharing(nlink=%u, err=%u)\n",
                        ofs.whiteout.d_inode.i_nlink, err)
                ofs.no_shared_whiteout = True
        whiteout = ofs.whiteout
        ofs.whiteout = NULL
        return whiteout
    finally:
        mutex_unlock(ofs.whiteout_lock)


@port_of(C, "ovl_cleanup_and_whiteout")
def ovl_cleanup_and_whiteout(ofs: ovl_fs, dir: Dentry, dentry: Dentry) -> int:
    flags = 0
    labels = Labels()
    late = Labels()         # behind the return: its last one jumps back

    @labels.label
    def out() -> None:
        dput(whiteout)

    @late.label
    def kill_whiteout() -> None:
        ovl_cleanup(ofs, ofs.workdir, whiteout)
        labels.goto(out, None)

    whiteout = ovl_whiteout(ofs)
    if IS_ERR(whiteout):
        err = PTR_ERR(whiteout)
        return err

    if d_is_dir(dentry):
        flags = RENAME_EXCHANGE

    rd = renamedata(ovl_upper_mnt_idmap(ofs), ofs.workdir, dir, flags)
    err = start_renaming_two_dentries(rd, whiteout, dentry)
    if not err:
        err = ovl_do_rename_rd(rd)
        end_renaming(rd)
    if err:
        return late.goto(kill_whiteout, err)
    if flags:
        ovl_cleanup(ofs, ofs.workdir, dentry)

    return labels.goto(out, err)


@custom(C, "ovl_create_real", "the upper file system keeps its dentries hashed and folds no case")
def ovl_create_real(ofs: ovl_fs, parent: Dentry, newdentry: Any, attr: ovl_cattr) -> Any:
    dir = parent.d_inode
    labels = Labels()

    if IS_ERR(newdentry):
        return newdentry

    @labels.label
    def out() -> None:
        end_creating(newdentry)

    err = -ESTALE
    if newdentry.d_inode:
        return labels.goto(out, ERR_PTR(err))

    if attr.hardlink:
        err = ovl_do_link(ofs, attr.hardlink, dir, newdentry)
    else:
        fmt = attr.mode & S_IFMT
        if fmt == S_IFREG:
            err = ovl_do_create(ofs, dir, newdentry, attr.mode)
        elif fmt == S_IFDIR:
            # mkdir is special...
            newdentry = ovl_do_mkdir(ofs, dir, newdentry, attr.mode)
            err = PTR_ERR_OR_ZERO(newdentry)
        elif fmt in (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK):
            err = ovl_do_mknod(ofs, dir, newdentry, attr.mode, attr.rdev)
        elif fmt == S_IFLNK:
            err = ovl_do_symlink(ofs, dir, newdentry, attr.link or b"")
        else:
            err = -EPERM
    if err:
        return labels.goto(out, ERR_PTR(err))

    if WARN_ON(not newdentry.d_inode):
        # Not quite sure if non-instantiated dentry is legal or not. VFS doesn't seem to care so check and warn here.
        err = -EIO
    elif d_unhashed(newdentry):
        err = -EIO
    if err:
        return labels.goto(out, ERR_PTR(err))
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
        # ovl_obtain_alias() can be called after ovl_create_real() and before we get here, so we may get an inode from cache with
        # the same real upperdentry that is not the inode we pre-allocated.  In this case we will use the cached inode to
        # instantiate the new dentry.
        inode = ovl_get_inode(dentry.d_sb, oip)
        if IS_ERR(inode):
            return PTR_ERR(inode)
        if inode is oip.newinode:
            ovl_set_flag(OVL_UPPERDATA, inode)
    else:
        WARN_ON(ovl_inode_real(inode) is not d_inode(newdentry))
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
    labels = Labels()

    @labels.label
    def out_cleanup() -> None:
        ovl_cleanup(ofs, upperdir, newdentry)
        dput(newdentry)

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
    err = ovl_instantiate(dentry, inode, newdentry, bool(attr.hardlink))
    if err:
        return labels.goto(out_cleanup, err)
    return 0


@port_of(C, "ovl_clear_empty")
def ovl_clear_empty(dentry: Dentry, list_: list[Any]) -> Any:
    ofs = OVL_FS(dentry.d_sb)
    workdir = ovl_workdir(dentry)
    upperdir = ovl_dentry_upper(dentry.d_parent)
    upperpath = Path()
    stat = Kstat()
    labels = Labels()

    @labels.label
    def out_cleanup() -> None:
        end_renaming(rd)

    @labels.label
    def out_cleanup_unlocked() -> None:
        ovl_cleanup(ofs, workdir, opaquedir)
        dput(opaquedir)

    if WARN_ON(not workdir):
        return ERR_PTR(-EROFS)

    ovl_path_upper(dentry, upperpath)
    err = vfs_getattr(upperpath, stat, STATX_BASIC_STATS, AT_STATX_SYNC_AS_STAT)
    if err:
        return ERR_PTR(err)

    err = -ESTALE
    if not S_ISDIR(stat.mode):
        return ERR_PTR(err)
    upper = upperpath.dentry

    opaquedir = ovl_create_temp(ofs, workdir, ovl_cattr(mode=stat.mode))
    if IS_ERR(opaquedir):
        err = PTR_ERR(opaquedir)
        return ERR_PTR(err)

    rd = renamedata(ovl_upper_mnt_idmap(ofs), workdir, upperdir, RENAME_EXCHANGE)
    err = start_renaming_two_dentries(rd, opaquedir, upper)
    if err:
        return labels.goto(out_cleanup_unlocked, ERR_PTR(err))

    err = ovl_copy_xattr(dentry.d_sb, upperpath, opaquedir)
    if err:
        return labels.goto(out_cleanup, ERR_PTR(err))

    err = ovl_set_opaque(dentry, opaquedir)
    if err:
        return labels.goto(out_cleanup, ERR_PTR(err))

    inode_lock(opaquedir.d_inode)
    err = ovl_set_attr(ofs, opaquedir, stat)
    inode_unlock(opaquedir.d_inode)
    if err:
        return labels.goto(out_cleanup, ERR_PTR(err))

    err = ovl_do_rename_rd(rd)
    end_renaming(rd)
    if err:
        return labels.goto(out_cleanup_unlocked, ERR_PTR(err))

    ovl_cleanup_whiteouts(ofs, upper, list_)
    ovl_cleanup(ofs, workdir, upper)

    # dentry's upper doesn't match now, get rid of it
    d_drop(dentry)

    return opaquedir


@port_of(C, "ovl_set_upper_acl")
def ovl_set_upper_acl(ofs: ovl_fs, upperdentry: Dentry, acl_name: bytes, acl: Any) -> int:
    if not IS_ENABLED("CONFIG_FS_POSIX_ACL") or not acl:
        return 0

    return ovl_do_set_acl(ofs, upperdentry, acl_name, acl)


@port_of(C, "ovl_create_over_whiteout")
def ovl_create_over_whiteout(dentry: Dentry, inode: Any, cattr: ovl_cattr) -> int:
    ofs = OVL_FS(dentry.d_sb)
    workdir = ovl_workdir(dentry)
    upperdir = ovl_dentry_upper(dentry.d_parent)
    acl = default_acl = None
    hardlink = bool(cattr.hardlink)
    labels = Labels()
    late = Labels()         # behind the return: its last one jumps back

    @labels.label
    def out_dput() -> None:
        dput(upper)

    @labels.label
    def out() -> None:
        if not hardlink:
            posix_acl_release(acl)
            posix_acl_release(default_acl)

    @late.label
    def out_cleanup() -> None:
        end_renaming(rd)

    @late.label
    def out_cleanup_unlocked() -> None:
        ovl_cleanup(ofs, workdir, newdentry)
        dput(newdentry)
        labels.goto(out_dput, None)

    if WARN_ON(not workdir):
        return -EROFS

    if not hardlink:
        err, cattr.mode, default_acl, acl = posix_acl_create(dentry.d_parent.d_inode, cattr.mode)
        if err:
            return err

    upper = ovl_lookup_upper_unlocked(ofs, dentry.d_name.name, upperdir)
    if IS_ERR(upper):
        err = PTR_ERR(upper)
        return labels.goto(out, err)

    err = -ESTALE
    if d_is_negative(upper) or not ovl_upper_is_whiteout(ofs, upper):
        return labels.goto(out_dput, err)

    newdentry = ovl_create_temp(ofs, workdir, cattr)
    if IS_ERR(newdentry):
        err = PTR_ERR(newdentry)
        return labels.goto(out_dput, err)

    rd = renamedata(ovl_upper_mnt_idmap(ofs), workdir, upperdir, 0)
    err = start_renaming_two_dentries(rd, newdentry, upper)
    if err:
        return late.goto(out_cleanup_unlocked, err)

    # mode could have been mutilated due to umask (e.g. sgid directory)
    if not hardlink and not S_ISLNK(cattr.mode) and newdentry.d_inode.i_mode != cattr.mode:
        attr = iattr(ia_valid=ATTR_MODE, ia_mode=cattr.mode)
        inode_lock(newdentry.d_inode)
        err = ovl_do_notify_change(ofs, newdentry, attr)
        inode_unlock(newdentry.d_inode)
        if err:
            return late.goto(out_cleanup, err)
    if not hardlink:
        err = ovl_set_upper_acl(ofs, newdentry, XATTR_NAME_POSIX_ACL_ACCESS, acl)
        if err:
            return late.goto(out_cleanup, err)

        err = ovl_set_upper_acl(ofs, newdentry, XATTR_NAME_POSIX_ACL_DEFAULT, default_acl)
        if err:
            return late.goto(out_cleanup, err)

    if not hardlink and S_ISDIR(cattr.mode):
        err = ovl_set_opaque(dentry, newdentry)
        if err:
            return late.goto(out_cleanup, err)

        rd.flags = RENAME_EXCHANGE
        err = ovl_do_rename_rd(rd)
        end_renaming(rd)
        if err:
            return late.goto(out_cleanup_unlocked, err)

        ovl_cleanup(ofs, workdir, upper)
    else:
        err = ovl_do_rename_rd(rd)
        end_renaming(rd)
        if err:
            return late.goto(out_cleanup_unlocked, err)
    ovl_dir_modified(dentry.d_parent, False)
    err = ovl_instantiate(dentry, inode, newdentry, hardlink)
    if err:
        ovl_cleanup(ofs, upperdir, newdentry)
        dput(newdentry)
    return labels.goto(out_dput, err)


@custom(C, "ovl_override_creator_creds", "CONFIG_SECURITY is n: no security_dentry_create_files_as()")
def ovl_override_creator_creds(dentry: Dentry, inode: Inode, mode: int) -> Any:
    override_cred = prepare_creds()
    if not override_cred:
        return ERR_PTR(-ENOMEM)

    override_cred.fsuid = inode.i_uid
    override_cred.fsgid = inode.i_gid

    return override_creds(override_cred)


@port_of(C, "ovl_revert_creator_creds")
def ovl_revert_creator_creds(old_cred: Any) -> None:
    override_cred = revert_creds(old_cred)
    put_cred(override_cred)


def ovl_create_handle_whiteouts(dentry: Dentry, inode: Any, attr: ovl_cattr) -> int:
    if not ovl_dentry_is_whiteout(dentry):
        return ovl_create_upper(dentry, inode, attr)
    return ovl_create_over_whiteout(dentry, inode, attr)


@port_of(C, "ovl_create_or_link")
def ovl_create_or_link(dentry: Dentry, inode: Any, attr: ovl_cattr) -> int:
    with with_ovl_creds(dentry.d_sb):
        # In the creation cases(create, mkdir, mknod, symlink), ovl should transfer current's fs{u,g}id to underlying fs. Because
        # underlying fs want to initialize its new inode owner using current's fs{u,g}id. And in this case, the @inode is a new
        # inode that is initialized in inode_init_owner() to current's fs{u,g}id. So use the inode's i_{u,g}id to override the
        # cred's fs{u,g}id.
        #
        # But in the other hardlink case, ovl_link() does not create a new inode, so just use the ovl mounter's fs{u,g}id.
        if attr.hardlink:
            return ovl_create_handle_whiteouts(dentry, inode, attr)

        cred = ovl_override_creator_creds(dentry, inode, attr.mode)
        if IS_ERR(cred):
            return PTR_ERR(cred)
        try:
            return ovl_create_handle_whiteouts(dentry, inode, attr)
        finally:
            ovl_revert_creator_creds(cred)


@port_of(C, "ovl_create_object")
def ovl_create_object(dentry: Dentry, mode: int, rdev: int, link: bytes | None) -> int:
    attr = ovl_cattr(rdev=rdev, link=link)
    labels = Labels()

    @labels.label
    def out_drop_write() -> None:
        ovl_drop_write(dentry)

    err = ovl_copy_up(dentry.d_parent)
    if err:
        return err

    err = ovl_want_write(dentry)
    if err:
        return err

    # Preallocate inode to be used by ovl_get_inode()
    err = -ENOMEM
    inode = ovl_new_inode(dentry.d_sb, mode, rdev)
    if not inode:
        return labels.goto(out_drop_write, err)

    spin_lock(inode.i_lock)
    inode.i_state |= I_CREATING             # inode_state_set()
    spin_unlock(inode.i_lock)

    inode_init_owner(nop_mnt_idmap, inode, dentry.d_parent.d_inode, mode)
    attr.mode = inode.i_mode

    err = ovl_create_or_link(dentry, inode, attr)
    # Did we end up using the preallocated inode?
    if inode is not d_inode(dentry):
        iput(inode)

    return labels.goto(out_drop_write, err)


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
    labels = Labels()

    @labels.label
    def out_nlink_end() -> None:
        ovl_nlink_end(old)

    err = ovl_copy_up(old)
    if err:
        return err

    err = ovl_copy_up(new.d_parent)
    if err:
        return err

    err = ovl_nlink_start(old)
    if err:
        return err

    inode = d_inode(old)
    ihold(inode)

    err = ovl_create_or_link(new, inode, ovl_cattr(hardlink=ovl_dentry_upper(old)))
    if err:
        iput(inode)

    return labels.goto(out_nlink_end, err)


@port_of(C, "ovl_matches_upper")
def ovl_matches_upper(dentry: Dentry, upper: Dentry) -> bool:
    return d_inode(ovl_dentry_upper(dentry)) is d_inode(upper)


@port_of(C, "ovl_remove_and_whiteout")
def ovl_remove_and_whiteout(dentry: Dentry, list_: list[Any]) -> int:
    ofs = OVL_FS(dentry.d_sb)
    workdir = ovl_workdir(dentry)
    upperdir = ovl_dentry_upper(dentry.d_parent)
    opaquedir = NULL
    labels = Labels()

    @labels.label
    def out_dput_upper() -> None:
        dput(upper)

    @labels.label
    def out_dput() -> None:
        dput(opaquedir)

    if WARN_ON(not workdir):
        return -EROFS

    if list_:
        opaquedir = ovl_clear_empty(dentry, list_)
        if IS_ERR(opaquedir):
            err = PTR_ERR(opaquedir)
            return err

    upper = ovl_lookup_upper_unlocked(ofs, dentry.d_name.name, upperdir)
    if IS_ERR(upper):
        err = PTR_ERR(upper)
        return labels.goto(out_dput, err)

    err = -ESTALE
    if ((opaquedir and upper is not opaquedir) or
            (not opaquedir and ovl_dentry_upper(dentry) and
            not ovl_matches_upper(dentry, upper))):
        return labels.goto(out_dput_upper, err)

    err = ovl_cleanup_and_whiteout(ofs, upperdir, upper)
    if not err:
        ovl_dir_modified(dentry.d_parent, True)

    d_drop(dentry)
    return labels.goto(out_dput_upper, err)


@port_of(C, "ovl_remove_upper")
def ovl_remove_upper(dentry: Dentry, is_dir: bool, list_: list[Any]) -> int:
    ofs = OVL_FS(dentry.d_sb)
    upperdir = ovl_dentry_upper(dentry.d_parent)
    dir = upperdir.d_inode
    opaquedir = NULL
    labels = Labels()

    @labels.label
    def out_unlock() -> None:
        end_removing(upper)

    @labels.label
    def out_dput() -> None:
        dput(opaquedir)

    if list_:
        opaquedir = ovl_clear_empty(dentry, list_)
        if IS_ERR(opaquedir):
            err = PTR_ERR(opaquedir)
            return err

    upper = ovl_start_removing_upper(ofs, upperdir, dentry.d_name.name)
    if IS_ERR(upper):
        err = PTR_ERR(upper)
        return labels.goto(out_dput, err)

    err = -ESTALE
    if ((opaquedir and upper is not opaquedir) or
            (not opaquedir and not ovl_matches_upper(dentry, upper))):
        return labels.goto(out_unlock, err)

    if is_dir:
        err = ovl_do_rmdir(ofs, dir, upper)
    else:
        err = ovl_do_unlink(ofs, dir, upper)
    ovl_dir_modified(dentry.d_parent, False)

    # Keeping this dentry hashed would mean having to release upperpath/lowerpath, which could only be done if we are the sole
    # user of this dentry.  Too tricky...  Just unhash for now.
    if not err:
        d_drop(dentry)
    return labels.goto(out_unlock, err)


@port_of(C, "ovl_pure_upper")
def ovl_pure_upper(dentry: Dentry) -> bool:
    return not ovl_dentry_lower(dentry) and not ovl_test_flag(OVL_WHITEOUTS, d_inode(dentry))


@port_of(C, "ovl_drop_nlink")
def ovl_drop_nlink(dentry: Dentry) -> None:
    inode = d_inode(dentry)

    # Try to find another, hashed alias
    spin_lock(inode.i_lock)
    for alias in inode.i_dentry:            # for_each_alias()
        if alias is not dentry and not d_unhashed(alias):
            break
    else:
        alias = NULL
    spin_unlock(inode.i_lock)

    # Changes to underlying layers may cause i_nlink to lose sync with reality.  In this case prevent the link count from going to
    # zero prematurely.
    if inode.i_nlink > bool(alias):
        drop_nlink(inode)


@port_of(C, "ovl_do_remove")
def ovl_do_remove(dentry: Dentry, is_dir: bool) -> int:
    lower_positive = ovl_lower_positive(dentry)
    list_: list[Any] = []
    labels = Labels()

    @labels.label
    def out() -> None:
        ovl_cache_free(list_)

    # No need to clean pure upper removed by vfs_rmdir()
    if is_dir and (lower_positive or not ovl_pure_upper(dentry)):
        err = ovl_check_empty_dir(dentry, list_)
        if err:
            return labels.goto(out, err)

    err = ovl_copy_up(dentry.d_parent)
    if err:
        return labels.goto(out, err)

    err = ovl_nlink_start(dentry)
    if err:
        return labels.goto(out, err)

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

    # Copy ctime
    #
    # Note: we fail to update ctime if there was no copy-up, only a whiteout
    if ovl_dentry_upper(dentry):
        ovl_copyattr(d_inode(dentry))

    return labels.goto(out, err)


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
    old = ovlrd.old_dentry
    new = ovlrd.new_dentry
    is_dir = d_is_dir(old)
    new_is_dir = d_is_dir(new)

    if ovlrd.flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE):
        return -EINVAL

    ovlrd.flags &= ~RENAME_NOREPLACE

    # Don't copy up directory trees
    err = -EXDEV
    if not ovl_can_move(old):
        return err
    if not ovlrd.overwrite and not ovl_can_move(new):
        return err

    if ovlrd.overwrite and new_is_dir and not ovl_pure_upper(new):
        err = ovl_check_empty_dir(new, list_)
        if err:
            return err

    if ovlrd.overwrite:
        if ovl_lower_positive(old):
            if not ovl_dentry_is_whiteout(new):
                # Whiteout source
                ovlrd.flags |= RENAME_WHITEOUT
            else:
                # Switch whiteouts
                ovlrd.flags |= RENAME_EXCHANGE
        elif is_dir and ovl_dentry_is_whiteout(new):
            ovlrd.flags |= RENAME_EXCHANGE
            ovlrd.cleanup_whiteout = True

    err = ovl_copy_up(old)
    if err:
        return err

    err = ovl_copy_up(new.d_parent)
    if err:
        return err

    if not ovlrd.overwrite:
        err = ovl_copy_up(new)
        if err:
            return err
    elif d_inode(new):
        err = ovl_nlink_start(new)
        if err:
            return err

        ovlrd.update_nlink = True

    if not ovlrd.update_nlink:
        # ovl_nlink_start() took ovl_want_write()
        err = ovl_want_write(old)
        if err:
            return err

    return 0


@custom(C, "ovl_rename_upper", "no redirects are set, and there is no index")
def ovl_rename_upper(ovlrd: ovl_renamedata, list_: list[Any]) -> int:
    old = ovlrd.old_dentry
    new = ovlrd.new_dentry
    ofs = OVL_FS(old.d_sb)
    old_upperdir = ovl_dentry_upper(old.d_parent)
    new_upperdir = ovl_dentry_upper(new.d_parent)
    is_dir = d_is_dir(old)
    new_is_dir = d_is_dir(new)
    whiteout = NULL
    labels = Labels()

    if list_:
        de = ovl_clear_empty(new, list_)
        if IS_ERR(de):
            return PTR_ERR(de)
        ovlrd.opaquedir = de

    @labels.label
    def out_unlock() -> None:
        end_renaming(rd)

    rd = renamedata(ovl_upper_mnt_idmap(ofs), old_upperdir, new_upperdir, ovlrd.flags)

    err = start_renaming(rd, 0, Qstr(old.d_name.name), Qstr(new.d_name.name))
    if err:
        return err

    err = -ESTALE
    if not ovl_matches_upper(old, rd.old_dentry):
        return labels.goto(out_unlock, err)

    old_opaque = ovl_dentry_is_opaque(old)
    new_opaque = ovl_dentry_is_opaque(new)

    err = -ESTALE
    if d_inode(new) and ovl_dentry_upper(new):
        if ovlrd.opaquedir:
            if rd.new_dentry is not ovlrd.opaquedir:
                return labels.goto(out_unlock, err)
        else:
            if not ovl_matches_upper(new, rd.new_dentry):
                return labels.goto(out_unlock, err)
    else:
        if not d_is_negative(rd.new_dentry):
            if not new_opaque or not ovl_upper_is_whiteout(ofs, rd.new_dentry):
                return labels.goto(out_unlock, err)
        else:
            if ovlrd.flags & RENAME_EXCHANGE:
                return labels.goto(out_unlock, err)

    if rd.old_dentry.d_inode is rd.new_dentry.d_inode:
        return labels.goto(out_unlock, err)

    err = 0
    if not ovl_type_merge_or_lower(old) and is_dir and not old_opaque and ovl_type_merge(new.d_parent):
        err = ovl_set_opaque_xerr(old, rd.old_dentry, -EXDEV)
    if err:
        return labels.goto(out_unlock, err)

    if (not ovlrd.overwrite and not ovl_type_merge_or_lower(new) and new_is_dir and not new_opaque and
            ovl_type_merge(old.d_parent)):
        err = ovl_set_opaque_xerr(new, rd.new_dentry, -EXDEV)
    if err:
        return labels.goto(out_unlock, err)

    err = ovl_do_rename_rd(rd)

    if not err and ovlrd.cleanup_whiteout:
        whiteout = dget(rd.new_dentry)

    labels.goto(out_unlock, err)

    if err:
        return err

    if whiteout:
        ovl_cleanup(ofs, old_upperdir, whiteout)
        dput(whiteout)

    if ovlrd.overwrite and d_inode(new):
        if new_is_dir:
            clear_nlink(d_inode(new))
        else:
            ovl_drop_nlink(new)

    ovl_dir_modified(old.d_parent, False)
    ovl_dir_modified(new.d_parent, False)

    # copy ctime:
    ovl_copyattr(d_inode(old))
    if d_inode(new) and ovl_dentry_upper(new):
        ovl_copyattr(d_inode(new))

    return err


@port_of(C, "ovl_rename_end")
def ovl_rename_end(ovlrd: ovl_renamedata) -> None:
    if ovlrd.update_nlink:
        ovl_nlink_end(ovlrd.new_dentry)
    else:
        ovl_drop_write(ovlrd.old_dentry)


@port_of(C, "ovl_rename")
def ovl_rename(idmap: Any, olddir: Inode, old: Dentry, newdir: Inode, new: Dentry, flags: int) -> int:
    ovlrd = ovl_renamedata(old, new, flags)
    list_: list[Any] = []

    err = ovl_rename_start(ovlrd, list_)
    if not err:
        with with_ovl_creds(old.d_sb):
            err = ovl_rename_upper(ovlrd, list_)
        ovl_rename_end(ovlrd)

    dput(ovlrd.opaquedir)
    ovl_cache_free(list_)
    return err


# xattrs.py, which needs this file, adds .listxattr = ovl_listxattr
ovl_dir_inode_operations = inode_operations(
    lookup=ovl_lookup, mkdir=ovl_mkdir, symlink=ovl_symlink, unlink=ovl_unlink, rmdir=ovl_rmdir, rename=ovl_rename, link=ovl_link,
    setattr=ovl_setattr,
    create=ovl_create, mknod=ovl_mknod, permission=ovl_permission, getattr=ovl_getattr, get_inode_acl=ovl_get_inode_acl,
    get_acl=ovl_get_acl, set_acl=ovl_set_acl)
