# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/super.c: putting the layers together."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR, IS_ERR, IS_ERR_OR_NULL, PTR_ERR, PTR_ERR_OR_ZERO
from kemu.linux.errno import EBUSY, EEXIST, EINVAL, ELOOP, ENOMEM, ESTALE
from kemu.linux.fs.dcache import d_invalidate, d_make_root, dget_parent, dput, is_subdir, set_default_d_op
from kemu.linux.fs.file_table import fput
from kemu.linux.fs.filesystems import register_filesystem
from kemu.linux.fs.inode import inode_just_drop, iput
from kemu.linux.fs.namei import end_renaming, start_renaming_dentry
from kemu.linux.fs.namespace import __mnt_is_readonly, clone_private_mount, mnt_drop_write, mnt_want_write
from kemu.linux.fs.overlayfs.dir import ovl_cleanup, ovl_create_real, ovl_create_temp, ovl_tempname
from kemu.linux.fs.overlayfs.inode import ovl_get_trap_inode, ovl_inode_init, ovl_lookup_trap_inode, ovl_new_inode
from kemu.linux.fs.overlayfs.overlayfs import (
    ovl_do_mkdir,
    ovl_do_notify_change,
    ovl_do_rename_rd,
    ovl_do_tmpfile,
    ovl_is_volatile,
    ovl_lookup_upper_unlocked,
    ovl_removexattr,
    ovl_set_flag,
    ovl_setxattr,
    ovl_start_creating_upper,
    with_ovl_creds,
)
from kemu.linux.fs.overlayfs.ovl_entry import (
    AS_A_BOOT,
    OVL_E_CONNECTED,
    OVL_FS,
    OVL_I,
    OVL_IMPURE,
    OVL_WHITEOUTS,
    OVL_XATTR_OPAQUE,
    OVL_XINO_OFF,
    OVL_XINO_ON,
    ovl_cattr,
    ovl_entry,
    ovl_fs,
    ovl_fs_context,
    ovl_inode,
    ovl_inode_params,
    ovl_layer,
    ovl_lowerstack,
    ovl_numlower,
    ovl_path,
    ovl_sb,
    ovl_upper_mnt,
    ovl_upper_mnt_idmap,
)
from kemu.linux.fs.overlayfs.params import ovl_free_fs, ovl_fs_params_verify, ovl_init_fs_context, ovl_parameter_spec
from kemu.linux.fs.overlayfs.readdir import ovl_check_d_type_supported, ovl_dir_cache_free, ovl_workdir_cleanup
from kemu.linux.fs.overlayfs.util import (
    ovl_alloc_entry,
    ovl_dentry_init_reval,
    ovl_dentry_lower,
    ovl_dentry_set_flag,
    ovl_dentry_set_upper_alias,
    ovl_dentry_set_xwhiteouts,
    ovl_dentry_upper,
    ovl_free_entry,
    ovl_get_opaquedir_val,
    ovl_inuse_trylock,
    ovl_is_impuredir,
    ovl_is_inuse,
    ovl_path_real,
    ovl_set_upperdata,
    ovl_stack_put,
    ovl_upper_is_whiteout,
)
from kemu.linux.fs.overlayfs.xattrs import ovl_xattr_handlers
from kemu.linux.fs.statfs import vfs_statfs
from kemu.linux.fs.super import get_anon_bdev, kill_anon_super
from kemu.linux.include.dcache import (
    DCACHE_OP_REVALIDATE,
    DCACHE_OP_WEAK_REVALIDATE,
    Dentry,
    Qstr,
    d_is_reg,
    dentry_operations,
    dget,
)
from kemu.linux.include.fs.calls import inode_lock, inode_unlock
from kemu.linux.include.fs.constants import (
    ATTR_MODE,
    FILESYSTEM_MAX_STACK_DEPTH,
    FS_USERNS_MOUNT,
    MAX_LFS_FILESIZE,
    RENAME_WHITEOUT,
)
from kemu.linux.include.fs.types import FileSystemType, Inode, iattr, renamedata
from kemu.linux.include.fs_context import FsContext
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.init import module_init
from kemu.linux.include.mount import MNT_NOATIME, MNT_NODIRATIME, MNT_READONLY, MNT_RELATIME
from kemu.linux.include.mutex import mutex, mutex_init
from kemu.linux.include.namei import end_creating_keep
from kemu.linux.include.path import Path
from kemu.linux.include.slab import SLAB_PANIC, KmemCache, kmem_cache_alloc, kmem_cache_create, kzalloc_objs
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kernel.cred import prepare_creds
from kemu.linux.magic import OVERLAYFS_SUPER_MAGIC
from kemu.linux.mm.slub import kfree, kmem_cache_free
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, names, port_of
from kemu.linux.printk import pr_err, pr_info, pr_warn
from kemu.linux.stat import S_IFDIR, S_IFREG, S_ISDIR
from kemu.linux.statfs import kstatfs
from kemu.linux.super_types import (
    SB_I_NOUMASK,
    SB_I_SKIP_SYNC,
    SB_NOSEC,
    SB_POSIXACL,
    SB_RDONLY,
    SB_SILENT,
    SuperBlock,
    super_operations,
)
from kemu.linux.types import FieldPtr, Ref, ptr_to
from kemu.machine.current import NULL
from kemu.machine.statics import statics

C = "fs/overlayfs/super.c"

OVL_WORKDIR_NAME = b"work"
@statics
class g:
    ovl_inode_cachep: KmemCache = NULL


@custom(C, "ovl_d_real", AS_A_BOOT)
def ovl_d_real(dentry: Dentry, type: int) -> Dentry:
    if not d_is_reg(dentry):
        return dentry
    real = ovl_dentry_upper(dentry) or ovl_dentry_lower(dentry)
    return real if real is not None else dentry


@port_of(C, "ovl_revalidate_real")
def ovl_revalidate_real(d: Dentry | None, flags: int, weak: bool) -> int:
    ret = 1
    if d is None:
        return 1
    if weak:
        if d.d_flags & DCACHE_OP_WEAK_REVALIDATE:
            ret = d.d_op.d_weak_revalidate(d, flags)
    elif d.d_flags & DCACHE_OP_REVALIDATE:
        parent = dget_parent(d)
        ret = d.d_op.d_revalidate(parent.d_inode, Qstr(d.d_name.name), d, flags)
        dput(parent)
        if not ret:
            d_invalidate(d)
            ret = -ESTALE
    return ret


@custom(C, "ovl_dentry_revalidate_common", AS_A_BOOT)
def ovl_dentry_revalidate_common(dentry: Dentry, flags: int, weak: bool) -> int:
    inode: Any = dentry.d_inode
    if inode is None:
        return -10
    ret = 1
    if inode.upperdentry is not None:
        ret = ovl_revalidate_real(inode.upperdentry, flags, weak)
    for p in ovl_lowerstack(inode.oe):
        if ret <= 0:
            break
        ret = ovl_revalidate_real(p.dentry, flags, weak)
    return ret


def ovl_dentry_revalidate(dir: Inode, name: Qstr, dentry: Dentry, flags: int) -> int:
    return ovl_dentry_revalidate_common(dentry, flags, False)


def ovl_dentry_weak_revalidate(dentry: Dentry, flags: int) -> int:
    return ovl_dentry_revalidate_common(dentry, flags, True)


ovl_dentry_operations = dentry_operations(d_real=ovl_d_real, d_revalidate=ovl_dentry_revalidate,
                                          d_weak_revalidate=ovl_dentry_weak_revalidate)


@port_of(C, "ovl_alloc_inode")
def ovl_alloc_inode(sb: SuperBlock) -> Any:
    oi = kmem_cache_alloc(g.ovl_inode_cachep, GFP_KERNEL)
    if oi is None:
        return None
    oi.cache = NULL
    oi.version = 0
    oi.flags = 0
    oi.upperdentry = NULL
    oi.oe = NULL
    oi.lock = mutex("ovl_inode lock")
    mutex_init(oi.lock)

    return oi


@port_of(C, "ovl_free_inode")
def ovl_free_inode(inode: Any) -> None:
    kfree(inode.oe)
    kmem_cache_free(g.ovl_inode_cachep, inode)


@port_of(C, "ovl_destroy_inode")
def ovl_destroy_inode(inode: Any) -> None:
    oi = OVL_I(inode)

    dput(oi.upperdentry)
    ovl_stack_put(ovl_lowerstack(oi.oe), ovl_numlower(oi.oe))
    if S_ISDIR(inode.i_mode):
        ovl_dir_cache_free(inode)


def ovl_put_super(sb: SuperBlock) -> None:
    if sb.s_fs_info is not None:
        ovl_free_fs(OVL_FS(sb))


@port_of(C, "ovl_statfs")
def ovl_statfs(dentry: Dentry, buf: kstatfs) -> int:
    sb = dentry.d_sb
    ofs = OVL_FS(sb)
    root_dentry = sb.s_root
    path = Path()

    ovl_path_real(root_dentry, path)

    err = vfs_statfs(path, buf)
    if not err:
        buf.f_namelen = ofs.namelen
        buf.f_type = OVERLAYFS_SUPER_MAGIC

    return err


ovl_super_operations = super_operations(alloc_inode=ovl_alloc_inode, free_inode=ovl_free_inode, destroy_inode=ovl_destroy_inode,
                                        drop_inode=inode_just_drop, put_super=ovl_put_super, statfs=ovl_statfs)


@custom(C, "ovl_workdir_create", AS_A_BOOT)
def ovl_workdir_create(ofs: ovl_fs, name: bytes) -> Any:
    """The directory, or NULL: then the mount is read-only."""
    dir = ofs.workbasedir.d_inode
    mnt = ovl_upper_mnt(ofs)
    retried = False
    labels = Labels()

    @labels.label
    def out_dput() -> None:
        dput(work)

    @labels.label
    def out_err() -> None:
        pr_warn("overlayfs: failed to create directory %s/%s (errno: %i); mounting read-only\n",
                ofs.config.workdir, name.decode(), -err)

    while True:
        # retry:
        work = ovl_start_creating_upper(ofs, ofs.workbasedir, name)

        if not IS_ERR(work):
            attr = iattr(ia_valid=ATTR_MODE, ia_mode=S_IFDIR | 0)

            if work.d_inode:
                end_creating_keep(work)
                err = -EEXIST
                if retried:
                    return labels.goto(out_dput, NULL)
                retried = True
                err = ovl_workdir_cleanup(ofs, ofs.workbasedir, mnt, work, 0)
                dput(work)
                if err == -EINVAL:
                    return ERR_PTR(err)

                continue

            work = ovl_do_mkdir(ofs, dir, work, attr.ia_mode)
            end_creating_keep(work)
            if IS_ERR(work):
                err = PTR_ERR(work)
                return labels.goto(out_err, NULL)

            # Clear any inherited mode bits
            inode_lock(work.d_inode)
            err = ovl_do_notify_change(ofs, work, attr)
            inode_unlock(work.d_inode)
            if err:
                return labels.goto(out_dput, NULL)
        else:
            err = PTR_ERR(work)
            return labels.goto(out_err, NULL)
        return work


@port_of(C, "ovl_check_namelen")
def ovl_check_namelen(path: Path, ofs: ovl_fs, name: str | None) -> int:
    statfs = kstatfs()
    err = vfs_statfs(path, statfs)

    if err:
        pr_err("overlayfs: statfs failed on '%s'\n", name)
    else:
        ofs.namelen = max(ofs.namelen, statfs.f_namelen)

    return err


@custom(C, "ovl_lower_dir", "file handles are not used: no index, no NFS export, no xino")
def ovl_lower_dir(name: str | None, path: Path, ofs: ovl_fs, stack_depth: FieldPtr) -> int:
    err = ovl_check_namelen(path, ofs, name)
    if err:
        return err

    stack_depth.v = max(stack_depth.v, path.mnt.mnt_sb.s_stack_depth)

    return 0


@port_of(C, "ovl_workdir_ok")
def ovl_workdir_ok(workdir: Dentry, upperdir: Dentry) -> bool:
    """Workdir should not be subdir of upperdir and vice versa"""
    return not is_subdir(workdir, upperdir) and not is_subdir(upperdir, workdir)


@port_of(C, "ovl_setup_trap")
def ovl_setup_trap(sb: SuperBlock, dir: Dentry, ptrap: Ref | FieldPtr, name: str) -> int:
    trap = ovl_get_trap_inode(sb, dir)
    err = PTR_ERR_OR_ZERO(trap)
    if err:
        if err == -ELOOP:
            pr_err("overlayfs: conflicting %s path\n", name)
        return err

    ptrap.v = trap
    return 0


@port_of(C, "ovl_report_in_use")
def ovl_report_in_use(ofs: ovl_fs, name: str) -> int:
    if ofs.config.index:
        pr_err("overlayfs: %s is in-use as upperdir/workdir of another mount, mount with '-o index=off' to override exclusive "
               "upperdir protection.\n", name)
        return -EBUSY
    pr_warn("overlayfs: %s is in-use as upperdir/workdir of another mount, accessing files from both mounts will result in "
            "undefined behavior.\n", name)
    return 0


@port_of(C, "ovl_get_upper")
def ovl_get_upper(sb: SuperBlock, ofs: ovl_fs, upper_layer: ovl_layer, upperpath: Path) -> int:
    # Upperdir path should not be r/o
    if __mnt_is_readonly(upperpath.mnt):
        pr_err("overlayfs: upper fs is r/o, try multi-lower layers mount\n")
        err = -EINVAL
        return err

    err = ovl_check_namelen(upperpath, ofs, ofs.config.upperdir)
    if err:
        return err

    err = ovl_setup_trap(sb, upperpath.dentry, ptr_to(upper_layer, "trap"), "upperdir")
    if err:
        return err

    upper_mnt = clone_private_mount(upperpath)
    if IS_ERR(upper_mnt):
        pr_err("overlayfs: failed to clone upperpath\n")
        return PTR_ERR(upper_mnt)

    # Don't inherit atime flags
    upper_mnt.mnt_flags &= ~(MNT_NOATIME | MNT_NODIRATIME | MNT_RELATIME)
    upper_layer.mnt = upper_mnt
    upper_layer.idx = 0
    upper_layer.fsid = 0

    # Inherit SB_NOSEC flag from upperdir.
    #
    # This optimization changes behavior when a security related attribute (suid/sgid/security.*) is changed on an underlying
    # layer.  This is okay because we don't yet have guarantees in that case, but it will need careful treatment once we want to
    # honour changes to underlying filesystems.
    if upper_mnt.mnt_sb.s_flags & SB_NOSEC:
        sb.s_flags |= SB_NOSEC

    if ovl_inuse_trylock(ovl_upper_mnt(ofs).mnt_root):
        ofs.upperdir_locked = True
    else:
        err = ovl_report_in_use(ofs, "upperdir")
        if err:
            return err

    err = 0
    return err


@port_of(C, "ovl_check_rename_whiteout")
def ovl_check_rename_whiteout(ofs: ovl_fs) -> int:
    """Returns 1 if RENAME_WHITEOUT is supported, 0 if not supported and negative values if error is encountered."""
    workdir = ofs.workdir
    labels = Labels()

    @labels.label
    def cleanup_temp() -> None:
        ovl_cleanup(ofs, workdir, temp)
        dput(temp)

    temp = ovl_create_temp(ofs, workdir, ovl_cattr(mode=S_IFREG | 0))
    if IS_ERR(temp):
        err = PTR_ERR(temp)
        return err

    rd = renamedata(ovl_upper_mnt_idmap(ofs), workdir, workdir, RENAME_WHITEOUT)
    name2 = ovl_tempname()
    err = start_renaming_dentry(rd, 0, temp, Qstr(name2))
    if err:
        dput(temp)
        return err

    # Name is inline and stable - using snapshot as a copy helper
    name = temp.d_name.name                 # take_dentry_name_snapshot(&name, temp)
    err = ovl_do_rename_rd(rd)
    end_renaming(rd)
    if err:
        if err == -EINVAL:
            err = 0
        return labels.goto(cleanup_temp, err)

    whiteout = ovl_lookup_upper_unlocked(ofs, name, workdir)
    if IS_ERR(whiteout):
        err = PTR_ERR(whiteout)
        return labels.goto(cleanup_temp, err)

    err = int(ovl_upper_is_whiteout(ofs, whiteout))

    # Best effort cleanup of whiteout and temp file
    if err:
        ovl_cleanup(ofs, workdir, whiteout)
    dput(whiteout)

    return labels.goto(cleanup_temp, err)


@port_of(C, "ovl_lookup_or_create")
def ovl_lookup_or_create(ofs: ovl_fs, parent: Dentry, name: bytes, mode: int) -> Any:
    child = ovl_start_creating_upper(ofs, parent, name)
    if not IS_ERR(child):
        if not child.d_inode:
            child = ovl_create_real(ofs, parent, child, ovl_cattr(mode=mode))
        end_creating_keep(child)
    dput(parent)

    return child


@port_of(C, "ovl_create_volatile_dirty")
def ovl_create_volatile_dirty(ofs: ovl_fs) -> int:
    """``int ovl_create_volatile_dirty(struct ovl_fs *ofs)``: makes the file "dirty" in incompat/volatile of the work directory,
    unless it is there.
    """
    d: Any = dget(ofs.workbasedir)
    volatile_path = (OVL_WORKDIR_NAME, b"incompat", b"volatile", b"dirty")

    ctr = len(volatile_path)
    for name in volatile_path:
        d = ovl_lookup_or_create(ofs, d, name, S_IFDIR if ctr > 1 else S_IFREG)
        if IS_ERR(d):
            return PTR_ERR(d)
        ctr -= 1
    dput(d)
    return 0


@custom(C, "ovl_make_workdir", AS_A_BOOT)
def ovl_make_workdir(sb: SuperBlock, ofs: ovl_fs, workpath: Path) -> int:
    mnt = ovl_upper_mnt(ofs)
    labels = Labels()

    @labels.label
    def out() -> None:
        mnt_drop_write(mnt)

    err = mnt_want_write(mnt)
    if err:
        return err

    workdir = ovl_workdir_create(ofs, OVL_WORKDIR_NAME)
    if IS_ERR_OR_NULL(workdir):
        return labels.goto(out, PTR_ERR(workdir) if workdir else 0)

    ofs.workdir = workdir

    err = ovl_setup_trap(sb, ofs.workdir, ptr_to(ofs, "workdir_trap"), "workdir")
    if err:
        return labels.goto(out, err)

    # Upper should support d_type, else whiteouts are visible.  Given workdir and upper are on same fs, we can do iterate_dir() on
    # workdir. This check requires successful creation of workdir in previous step.
    err = ovl_check_d_type_supported(workpath)
    if err < 0:
        return labels.goto(out, err)

    d_type = err
    if not d_type:
        pr_warn("overlayfs: upper fs needs to support d_type.\n")

    # Check if upper/work fs supports O_TMPFILE
    tmpfile = ovl_do_tmpfile(ofs, ofs.workdir, S_IFREG | 0)
    ofs.tmpfile = not IS_ERR(tmpfile)
    if ofs.tmpfile:
        fput(tmpfile)
    else:
        pr_warn("overlayfs: upper fs does not support tmpfile.\n")

    # Check if upper/work fs supports RENAME_WHITEOUT
    err = ovl_check_rename_whiteout(ofs)
    if err < 0:
        return labels.goto(out, err)

    rename_whiteout = err
    if not rename_whiteout:
        pr_warn("overlayfs: upper fs does not support RENAME_WHITEOUT.\n")

    # Check if upper/work fs supports (trusted|user).overlay.* xattr
    err = ovl_setxattr(ofs, ofs.workdir, OVL_XATTR_OPAQUE, b"0")
    if err:
        pr_warn("overlayfs: failed to set xattr on upper\n")
        ofs.noxattr = True
        err = 0
    else:
        ovl_removexattr(ofs, ofs.workdir, OVL_XATTR_OPAQUE)

    # For volatile mount, create a incompat/volatile/dirty file to keep track of it.
    if ovl_is_volatile(ofs.config):
        err = ovl_create_volatile_dirty(ofs)
        if err < 0:
            pr_err("overlayfs: Failed to create volatile/dirty file.\n")
            return labels.goto(out, err)

    return labels.goto(out, err)


@port_of(C, "ovl_get_workdir")
def ovl_get_workdir(sb: SuperBlock, ofs: ovl_fs, upperpath: Path, workpath: Path) -> int:
    err = -EINVAL
    if upperpath.mnt is not workpath.mnt:
        pr_err("overlayfs: workdir and upperdir must reside under the same mount\n")
        return err
    if not ovl_workdir_ok(workpath.dentry, upperpath.dentry):
        pr_err("overlayfs: workdir and upperdir must be separate subtrees\n")
        return err

    ofs.workbasedir = dget(workpath.dentry)

    if ovl_inuse_trylock(ofs.workbasedir):
        ofs.workdir_locked = True
    else:
        err = ovl_report_in_use(ofs, "workdir")
        if err:
            return err

    err = ovl_setup_trap(sb, ofs.workbasedir, ptr_to(ofs, "workbasedir_trap"), "workdir")
    if err:
        return err

    return ovl_make_workdir(sb, ofs, workpath)


@port_of(C, "ovl_get_fsid")
def ovl_get_fsid(ofs: ovl_fs, path: Path) -> int:
    """Get a unique fsid for the layer."""
    sb = path.mnt.mnt_sb
    for i in range(ofs.numfs):
        if ofs.fs[i].sb is sb:
            return i
    dev = Ref(0)
    err = get_anon_bdev(dev)
    if err:
        pr_err("overlayfs: failed to get anonymous bdev for lowerpath\n")
        return err
    ofs.fs[ofs.numfs].sb = sb
    ofs.fs[ofs.numfs].pseudo_dev = dev.v
    ofs.numfs += 1
    return ofs.numfs - 1


@custom(C, "ovl_get_layers", AS_A_BOOT)
def ovl_get_layers(sb: SuperBlock, ofs: ovl_fs, ctx: ovl_fs_context, layers: list[ovl_layer]) -> int:
    block = kzalloc_objs(None, len(ctx.lower) + 2)
    if block is None:
        return -ENOMEM
    kfree(block)
    ofs.fs = [ovl_sb() for _ in range(len(ctx.lower) + 2)]

    # idx/fsid 0 are reserved for upper fs even with lower only overlay
    ofs.numfs += 1
    dev = Ref(0)
    err = get_anon_bdev(dev)
    if err:
        pr_err("overlayfs: failed to get anonymous bdev for upper fs\n")
        return err
    ofs.fs[0].pseudo_dev = dev.v

    if ovl_upper_mnt(ofs) is not None:
        ofs.fs[0].sb = ovl_upper_mnt(ofs).mnt_sb
        ofs.fs[0].is_lower = False

    trap = Ref()
    for layer in ctx.lower:
        fsid = ovl_get_fsid(ofs, layer.path)
        if fsid < 0:
            return fsid

        # Check if lower root conflicts with this overlay layers
        err = ovl_setup_trap(sb, layer.path.dentry, trap, "lowerdir")
        if err:
            return err

        if ovl_is_inuse(layer.path.dentry):
            err = ovl_report_in_use(ofs, "lowerdir")
            if err:
                iput(trap.v)
                return err

        mnt = clone_private_mount(layer.path)
        if IS_ERR(mnt):
            pr_err("overlayfs: failed to clone lowerpath\n")
            iput(trap.v)
            return PTR_ERR(mnt)

        # Make lower layers R/O. That way fchmod/fchown on lower file will fail instead of modifying lower fs.
        mnt.mnt_flags |= MNT_READONLY | MNT_NOATIME

        new = layers[ofs.numlayer]
        new.trap = trap.v
        new.mnt = mnt
        new.idx = ofs.numlayer
        new.fsid = fsid
        new.fs = ofs.fs[fsid]
        assert ofs.config.lowerdirs is not None
        ofs.config.lowerdirs[ofs.numlayer] = layer.name
        ofs.numlayer += 1
        ofs.fs[fsid].is_lower = True

    # When all layers on same fs, overlay can use real inode numbers.
    if ofs.numfs - (ovl_upper_mnt(ofs) is None) == 1:
        if ofs.config.xino == OVL_XINO_ON:
            pr_info("overlayfs: \"xino=on\" is useless with all layers on same fs, ignore.\n")
        ofs.xino_mode = 0
    else:
        ofs.xino_mode = -1
    return 0


@port_of(C, "ovl_get_lowerstack")
def ovl_get_lowerstack(sb: SuperBlock, ctx: ovl_fs_context, ofs: ovl_fs, layers: list[ovl_layer]) -> Any:
    if not ofs.config.upperdir and len(ctx.lower) == 1:
        pr_err("overlayfs: at least 2 lowerdir are needed while upperdir nonexistent\n")
        return ERR_PTR(-EINVAL)

    err = -EINVAL
    for l in ctx.lower:
        err = ovl_lower_dir(l.name, l.path, ofs, ptr_to(sb, "s_stack_depth"))
        if err:
            return ERR_PTR(err)

    err = -EINVAL
    sb.s_stack_depth += 1
    if sb.s_stack_depth > FILESYSTEM_MAX_STACK_DEPTH:
        pr_err("overlayfs: maximum fs stacking depth exceeded\n")
        return ERR_PTR(err)

    err = ovl_get_layers(sb, ofs, ctx, layers)
    if err:
        return ERR_PTR(err)

    err = -ENOMEM
    lowerstack = [ovl_path(ofs.layers[i + 1], l.path.dentry) for i, l in enumerate(ctx.lower)]
    oe = ovl_alloc_entry(lowerstack)
    if not oe:
        return ERR_PTR(err)

    return oe


@port_of(C, "ovl_check_layer")
def ovl_check_layer(sb: SuperBlock, ofs: ovl_fs, dentry: Dentry | None, name: str, is_lower: bool) -> int:
    """Check if this layer root is a descendant of: another layer of this overlayfs instance; upper/work dir of any overlayfs
    instance.
    """
    next = dentry
    err = 0

    if not dentry:
        return 0

    parent = dget_parent(next)          # type: ignore[arg-type]

    # Walk back ancestors to root (inclusive) looking for traps
    while not err and parent is not next:
        if is_lower and ovl_lookup_trap_inode(sb, parent):
            err = -ELOOP
            pr_err("overlayfs: overlapping %s path\n", name)
        elif ovl_is_inuse(parent):
            err = ovl_report_in_use(ofs, name)
        next = parent
        parent = dget_parent(next)
        dput(next)

    dput(parent)

    return err


@port_of(C, "ovl_check_overlapping_layers")
def ovl_check_overlapping_layers(sb: SuperBlock, ofs: ovl_fs) -> int:
    if ovl_upper_mnt(ofs) is not None:
        err = ovl_check_layer(sb, ofs, ovl_upper_mnt(ofs).mnt_root, "upperdir", False)
        if err:
            return err
        err = ovl_check_layer(sb, ofs, ofs.workbasedir, "workdir", False)
        if err:
            return err
    for i in range(1, ofs.numlayer):
        err = ovl_check_layer(sb, ofs, ofs.layers[i].mnt.mnt_root, "lowerdir", True)
        if err:
            return err
    return 0


@custom(C, "ovl_get_root", AS_A_BOOT)
def ovl_get_root(sb: SuperBlock, upperdentry: Any, oe: ovl_entry) -> Any:
    ofs = OVL_FS(sb)
    lowerpath = oe.lowerstack[0]
    ino = lowerpath.dentry.d_inode.i_ino
    fsid = lowerpath.layer.fsid
    oip = ovl_inode_params(upperdentry, oe)

    root = d_make_root(ovl_new_inode(sb, S_IFDIR, 0))
    if root is None:
        return None
    inode = root.d_inode

    if upperdentry is not None:
        # Root inode uses upper st_ino/i_ino
        ino = upperdentry.d_inode.i_ino
        fsid = 0
        ovl_dentry_set_upper_alias(root)
        if ovl_is_impuredir(sb, upperdentry):
            ovl_set_flag(OVL_IMPURE, inode)

    # Look for xwhiteouts marker except in the lowermost layer
    for p in oe.lowerstack[:-1]:
        # overlay.opaque=x means xwhiteouts directory
        if ovl_get_opaquedir_val(ofs, Path(p.layer.mnt, p.dentry)) == b"x":
            p.layer.has_xwhiteouts = True
            ovl_dentry_set_xwhiteouts(root)

    # Root is always merge -> can have whiteouts
    ovl_set_flag(OVL_WHITEOUTS, inode)
    ovl_dentry_set_flag(OVL_E_CONNECTED, root)
    ovl_set_upperdata(inode)
    ovl_inode_init(inode, oip, ino, fsid)
    ovl_dentry_init_reval(root, upperdentry, oe)
    # root keeps a reference of upperdentry
    dget(upperdentry)
    return root


@custom(C, "ovl_fill_super_creds", "without index and without traps for overlapping layers")
def ovl_fill_super_creds(fc: FsContext, sb: SuperBlock) -> int:
    ofs = OVL_FS(sb)
    ctx: ovl_fs_context = fc.fs_private
    labels = Labels()

    @labels.label
    def out_free_oe() -> None:
        ovl_free_entry(oe)

    err = ovl_fs_params_verify(ctx, ofs.config)
    if err:
        return err

    if not ctx.lower:
        if not fc.sb_flags & SB_SILENT:
            pr_err("overlayfs: missing 'lowerdir'\n")
        return -EINVAL

    block = kzalloc_objs(None, len(ctx.lower) + 1)
    if block is None:
        return -ENOMEM
    kfree(block)
    layers = [ovl_layer() for _ in range(len(ctx.lower) + 1)]
    ofs.config.lowerdirs = [ctx.lowerdir_all, *[None] * len(ctx.lower)]
    ctx.lowerdir_all = None
    ofs.layers = layers
    # Layer 0 is reserved for upper even if there's no upper.
    ofs.numlayer = 1

    sb.s_stack_depth = 0
    sb.s_maxbytes = MAX_LFS_FILESIZE
    ofs.last_ino = 1
    if ofs.config.xino != OVL_XINO_OFF:
        ofs.config.xino = OVL_XINO_OFF          # no file handles: xino=auto falls back

    # alloc/destroy_inode needed for setting up traps in inode cache
    sb.s_op = ovl_super_operations

    if ofs.config.upperdir is not None:
        if ofs.config.workdir is None:
            pr_err("overlayfs: missing 'workdir'\n")
            return -EINVAL

        err = ovl_get_upper(sb, ofs, layers[0], ctx.upper)
        if err:
            return err
        upper_sb = ovl_upper_mnt(ofs).mnt_sb

        err = ovl_get_workdir(sb, ofs, ctx.upper, ctx.work)
        if err:
            return err

        if ofs.workdir is None:
            sb.s_flags |= SB_RDONLY

        sb.s_stack_depth = upper_sb.s_stack_depth
        sb.s_time_gran = upper_sb.s_time_gran
    oe = ovl_get_lowerstack(sb, ctx, ofs, layers)
    if IS_ERR(oe):
        return PTR_ERR(oe)

    # If the upper fs is nonexistent, we mark overlayfs r/o too
    if ovl_upper_mnt(ofs) is None:
        sb.s_flags |= SB_RDONLY

    err = ovl_check_overlapping_layers(sb, ofs)
    if err:
        return labels.goto(out_free_oe, err)

    sb.s_magic = OVERLAYFS_SUPER_MAGIC
    sb.s_xattr = ovl_xattr_handlers(ofs)
    if IS_ENABLED("CONFIG_FS_POSIX_ACL"):
        sb.s_flags |= SB_POSIXACL
    sb.s_iflags |= SB_I_SKIP_SYNC
    # Ensure that umask handling is done by the filesystems used for the the upper layer instead of overlayfs
    sb.s_iflags |= SB_I_NOUMASK

    sb.s_root = ovl_get_root(sb, ctx.upper.dentry, oe)
    if not sb.s_root:
        return labels.goto(out_free_oe, -ENOMEM)

    return 0


@custom(C, "ovl_fill_super", AS_A_BOOT)
def ovl_fill_super(sb: SuperBlock, fc: FsContext) -> int:
    ofs: ovl_fs = sb.s_fs_info
    labels = Labels()

    @labels.label
    def out_err() -> None:
        if err:
            ovl_free_fs(ofs)
            sb.s_fs_info = NULL

    set_default_d_op(sb, ovl_dentry_operations)     # ovl_set_d_op()

    if not ofs.creator_cred:
        err = -ENOMEM
        ofs.creator_cred = prepare_creds()
        if not ofs.creator_cred:
            return labels.goto(out_err, err)

    with with_ovl_creds(sb):
        err = ovl_fill_super_creds(fc, sb)

    return labels.goto(out_err, err)


ovl_fs_type = FileSystemType(name="overlay", init_fs_context=ovl_init_fs_context, parameters=ovl_parameter_spec,
                             fs_flags=FS_USERNS_MOUNT,
                             kill_sb=kill_anon_super)


@module_init
@custom(C, "ovl_init", "nothing if CONFIG_OVERLAY_FS is off")
def ovl_init() -> int:
    """``static int __init ovl_init(void)``. Return: 0, -ENOMEM, -EBUSY."""
    if not IS_ENABLED("CONFIG_OVERLAY_FS"):
        return 0
    g.ovl_inode_cachep = kmem_cache_create("ovl_inode", ovl_inode, 0, SLAB_PANIC)
    return register_filesystem(ovl_fs_type)


names("dup", C, "ovl_fs_type")
