# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/params.c: mount options. A backslash keeps a comma or a colon; two colons begin a data-only layer."""
from __future__ import annotations

from kemu.linux.errno import EINVAL, ENOMEM, EPERM, EROFS
from kemu.linux.fs.dcache import dput
from kemu.linux.fs.fs_context import vfs_parse_monolithic_sep
from kemu.linux.fs.inode import iput
from kemu.linux.fs.namei import kern_path, path_put
from kemu.linux.fs.namespace import __mnt_is_readonly, kern_unmount
from kemu.linux.fs.overlayfs.overlayfs import ovl_force_readonly, ovl_is_volatile
from kemu.linux.fs.overlayfs.ovl_entry import (
    AS_A_BOOT,
    OVL_FS,
    OVL_FSYNC_AUTO,
    OVL_FSYNC_STRICT,
    OVL_FSYNC_VOLATILE,
    OVL_MAX_STACK,
    OVL_REDIRECT_FOLLOW,
    OVL_REDIRECT_NOFOLLOW,
    OVL_REDIRECT_OFF,
    OVL_REDIRECT_ON,
    OVL_UUID_AUTO,
    OVL_UUID_NULL,
    OVL_UUID_OFF,
    OVL_UUID_ON,
    OVL_VERITY_OFF,
    OVL_VERITY_ON,
    OVL_VERITY_REQUIRE,
    OVL_XINO_AUTO,
    OVL_XINO_OFF,
    OVL_XINO_ON,
    ovl_config,
    ovl_fs,
    ovl_fs_context,
    ovl_fs_context_layer,
    ovl_upper_mnt,
)
from kemu.linux.fs.overlayfs.util import ovl_dentry_weird, ovl_inuse_unlock
from kemu.linux.fs.super import free_anon_bdev, get_tree_nodev
from kemu.linux.include.cred import CAP_SYS_ADMIN, capable, put_cred
from kemu.linux.include.dcache import DCACHE_OP_REAL, d_is_dir
from kemu.linux.include.fs_context import (
    FS_CONTEXT_FOR_RECONFIGURE,
    FsContext,
    FsParameter,
    fs_context_operations,
    fs_value_is_string,
    invalfc,
)
from kemu.linux.include.fs_parser import (
    constant_table,
    fs_parse,
    fs_parse_result,
    fsparam_enum,
    fsparam_file_or_string,
    fsparam_flag,
    fsparam_flag_no,
    fsparam_string_empty,
)
from kemu.linux.include.namei import LOOKUP_FOLLOW
from kemu.linux.include.path import Path
from kemu.linux.include.slab import kmalloc_obj, kstrdup, kzalloc_obj
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kernel.cred import prepare_creds
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup, port_of
from kemu.linux.printk import pr_err, pr_info
from kemu.linux.super_types import SB_RDONLY

C = "fs/overlayfs/params.c"

(Opt_lowerdir, Opt_lowerdir_add, Opt_datadir_add, Opt_upperdir, Opt_workdir, Opt_default_permissions, Opt_redirect_dir, Opt_index,
 Opt_uuid, Opt_nfs_export, Opt_userxattr, Opt_xino, Opt_metacopy, Opt_verity, Opt_fsync, Opt_volatile,
 Opt_override_creds) = range(17)

ovl_parameter_bool = [constant_table("on", True), constant_table("off", False)]
ovl_parameter_uuid = [constant_table("off", OVL_UUID_OFF), constant_table("null", OVL_UUID_NULL),
                      constant_table("auto", OVL_UUID_AUTO),
                      constant_table("on", OVL_UUID_ON)]
ovl_parameter_xino = [constant_table("off", OVL_XINO_OFF), constant_table("auto", OVL_XINO_AUTO),
                      constant_table("on", OVL_XINO_ON)]
ovl_parameter_redirect_dir = [constant_table("off", OVL_REDIRECT_OFF), constant_table("follow", OVL_REDIRECT_FOLLOW),
                              constant_table("nofollow", OVL_REDIRECT_NOFOLLOW), constant_table("on", OVL_REDIRECT_ON)]
ovl_parameter_verity = [constant_table("off", OVL_VERITY_OFF), constant_table("on", OVL_VERITY_ON),
                        constant_table("require", OVL_VERITY_REQUIRE)]
ovl_parameter_fsync = [constant_table("volatile", OVL_FSYNC_VOLATILE), constant_table("auto", OVL_FSYNC_AUTO),
                       constant_table("strict", OVL_FSYNC_STRICT)]

ovl_parameter_spec = [
    fsparam_string_empty("lowerdir", Opt_lowerdir), fsparam_file_or_string("lowerdir+", Opt_lowerdir_add),
    fsparam_file_or_string("datadir+", Opt_datadir_add), fsparam_file_or_string("upperdir", Opt_upperdir),
    fsparam_file_or_string("workdir", Opt_workdir), fsparam_flag("default_permissions", Opt_default_permissions),
    fsparam_enum("redirect_dir", Opt_redirect_dir, ovl_parameter_redirect_dir),
    fsparam_enum("index", Opt_index, ovl_parameter_bool),
    fsparam_enum("uuid", Opt_uuid, ovl_parameter_uuid), fsparam_enum("nfs_export", Opt_nfs_export, ovl_parameter_bool),
    fsparam_flag("userxattr", Opt_userxattr), fsparam_enum("xino", Opt_xino, ovl_parameter_xino),
    fsparam_enum("metacopy", Opt_metacopy, ovl_parameter_bool), fsparam_enum("verity", Opt_verity, ovl_parameter_verity),
    fsparam_enum("fsync", Opt_fsync, ovl_parameter_fsync), fsparam_flag("volatile", Opt_volatile),
    fsparam_flag_no("override_creds", Opt_override_creds)]


@custom(C, "ovl_next_opt", "gives an index: a text is not cut in place")
def ovl_next_opt(s: str) -> int:
    """Where the first option ends; -1: nowhere."""
    i = 0
    while i < len(s):
        if s[i] == "\\":
            i += 1
        elif s[i] == ",":
            return i
        i += 1
    return -1


def ovl_parse_monolithic(fc: FsContext, data: str | int | None) -> int:
    return vfs_parse_monolithic_sep(fc, data, ovl_next_opt)


@custom(C, "ovl_parse_param_split_lowerdirs", "gives the layers, whether each is data-only, in place of NULs in the string")
def ovl_parse_param_split_lowerdirs(text: str) -> list[tuple[str, bool]] | int:
    """``ssize_t ovl_parse_param_split_lowerdirs(char *str)``. Return: or -EINVAL for ``:::`` and colons at the end."""
    out: list[tuple[str, bool]] = []
    part, data, i, colons = "", False, 0, 0
    while i < len(text):
        c = text[i]
        if c == "\\":
            part += text[i:i + 2]               # keep esc chars in split lowerdir
            i += 1
            colons = 0
        elif c == ":":
            colons += 1
            if colons == 2 and text[i + 1:i + 2] == ":":
                pr_err("overlayfs: only single ':' or double '::' sequences of unescaped colons in lowerdir mount option "
                       "allowed.\n")
                return -EINVAL
            if colons == 1:
                out.append((part, data))
                part = ""
            data = colons == 2
        else:
            part += c
            colons = 0
        i += 1
    if colons:
        pr_err("overlayfs: unescaped trailing colons in lowerdir mount option.\n")
        return -EINVAL
    return [*out, (part, data)]


@port_of(C, "ovl_mount_dir_noesc")
def ovl_mount_dir_noesc(name: str, path: Path) -> int:
    if not name:
        pr_err("overlayfs: empty lowerdir\n")
        return -EINVAL
    err = kern_path(name, LOOKUP_FOLLOW, path)
    if err:
        pr_err("overlayfs: failed to resolve '%s': %i\n", name, err)
    return err


@dup(C, "ovl_unescape")
def ovl_unescape(s: str) -> str:
    out, i = "", 0
    while i < len(s):
        if s[i] == "\\":
            i += 1
        out += s[i:i + 1]
        i += 1
    return out


@port_of(C, "ovl_mount_dir")
def ovl_mount_dir(name: str, path: Path) -> int:
    tmp = kstrdup(name)
    if tmp is None:
        return -ENOMEM
    return ovl_mount_dir_noesc(ovl_unescape(tmp), path)


@port_of(C, "ovl_mount_dir_check")
def ovl_mount_dir_check(fc: FsContext, path: Path, layer: int, name: str, upper: bool) -> int:
    ctx: ovl_fs_context = fc.fs_private

    if not d_is_dir(path.dentry):
        return invalfc(fc, "%s is not a directory", name)
    if ovl_dentry_weird(path.dentry):
        return invalfc(fc, "filesystem on %s not supported", name)

    # Check whether upper path is read-only here to report failures early.
    if upper:
        if path.dentry.d_flags & DCACHE_OP_REAL:
            return invalfc(fc, "filesystem on %s not supported as upperdir", name)
        if __mnt_is_readonly(path.mnt):
            return invalfc(fc, "filesystem on %s is read-only", name)
    else:
        if ctx.lowerdir_all is not None and layer != Opt_lowerdir:
            return invalfc(fc, "lowerdir+ and datadir+ cannot follow lowerdir")
        if ctx.nr_data and layer == Opt_lowerdir_add:
            return invalfc(fc, "regular lower layers cannot follow data layers")
        if len(ctx.lower) == OVL_MAX_STACK:
            return invalfc(fc, "too many lower directories, limit is %d", OVL_MAX_STACK)
    return 0


@custom(C, "ovl_add_layer", AS_A_BOOT)
def ovl_add_layer(fc: FsContext, layer: int, path: Path, name: str) -> None:
    config = fc.s_fs_info.config
    ctx: ovl_fs_context = fc.fs_private
    if layer == Opt_workdir:
        old, ctx.work = ctx.work, path
        config.workdir = name
        path_put(old)
    elif layer == Opt_upperdir:
        old, ctx.upper = ctx.upper, path
        config.upperdir = name
        path_put(old)
    else:
        if layer == Opt_datadir_add:
            ctx.nr_data += 1
        ctx.lower.append(ovl_fs_context_layer(name, path))


@port_of(C, "ovl_do_parse_layer")
def ovl_do_parse_layer(fc: FsContext, layer_name: str, layer_path: Path, layer: int) -> int:
    """Takes the path's references when it succeeds."""
    name = kstrdup(layer_name)
    if name is None:
        return -ENOMEM
    err = ovl_mount_dir_check(fc, layer_path, layer, name, layer in (Opt_upperdir, Opt_workdir))
    if err:
        return err
    # Store the user provided path string in ctx to show in mountinfo
    ovl_add_layer(fc, layer, layer_path, name)
    return 0


@custom(C, "ovl_parse_layer", AS_A_BOOT)
def ovl_parse_layer(fc: FsContext, param: FsParameter, layer: int) -> int:
    path = Path()
    if param.type != fs_value_is_string or param.string is None:
        return -EINVAL
    if layer in (Opt_upperdir, Opt_workdir, Opt_lowerdir):
        err = ovl_mount_dir(param.string, path)
    else:
        err = ovl_mount_dir_noesc(param.string, path)
    if err:
        return err
    err = ovl_do_parse_layer(fc, param.string, path, layer)
    if err:
        path_put(path)
    return err


@dup(C, "ovl_reset_lowerdirs")
def ovl_reset_lowerdirs(ctx: ovl_fs_context) -> None:
    # Reset old user provided lowerdir string
    ctx.lowerdir_all = None
    for layer in ctx.lower:
        path_put(layer.path)
    ctx.lower.clear()
    ctx.nr_data = 0


@dup(C, "ovl_parse_param_lowerdir")
def ovl_parse_param_lowerdir(name: str, fc: FsContext) -> int:
    ctx: ovl_fs_context = fc.fs_private

    # drop all existing lower layers
    ovl_reset_lowerdirs(ctx)

    if not name:
        return 0

    if name[0] == ":":
        pr_err("overlayfs: cannot append lower layer\n")
        return -EINVAL

    # Store user provided lowerdir string to show in mount options
    ctx.lowerdir_all = kstrdup(name)
    if ctx.lowerdir_all is None:
        return -ENOMEM
    dup = kstrdup(name)
    if dup is None:
        return -ENOMEM

    layers = ovl_parse_param_split_lowerdirs(dup)
    if isinstance(layers, int):
        return layers
    if len(layers) > OVL_MAX_STACK:
        pr_err("overlayfs: too many lower directories, limit is %d\n", OVL_MAX_STACK)
        return -EINVAL

    for text, data in layers:
        if not data and ctx.nr_data > 0:
            pr_err("overlayfs: regular lower layers cannot follow data lower layers\n")
            return -EINVAL
        path = Path()
        err = ovl_mount_dir(text, path)
        if err:
            return err
        err = ovl_do_parse_layer(fc, text, path, Opt_lowerdir)
        if err:
            path_put(path)
            return err
        if data:
            ctx.nr_data += 1
    return 0


@custom(C, "ovl_parse_param", AS_A_BOOT)
def ovl_parse_param(fc: FsContext, param: FsParameter) -> int:
    result = fs_parse_result()
    ofs: ovl_fs = fc.s_fs_info
    ctx: ovl_fs_context = fc.fs_private
    err = 0

    if fc.purpose == FS_CONTEXT_FOR_RECONFIGURE:
        # On remount overlayfs has always ignored all mount options no matter if malformed or not
        if fc.oldapi:
            return 0
        return invalfc(fc, "No changes allowed in reconfigure")

    opt = fs_parse(fc, ovl_parameter_spec, param, result)
    if opt < 0:
        return opt

    config = ofs.config
    if opt == Opt_lowerdir:
        err = ovl_parse_param_lowerdir(param.string or "", fc)
    elif opt in (Opt_lowerdir_add, Opt_datadir_add, Opt_upperdir, Opt_workdir):
        err = ovl_parse_layer(fc, param, opt)
    elif opt == Opt_default_permissions:
        config.default_permissions = True
    elif opt == Opt_redirect_dir:
        config.redirect_mode = result.uint_32
        if config.redirect_mode == OVL_REDIRECT_OFF:
            config.redirect_mode = _redirect_mode_def()
        ctx.set.add("redirect")
    elif opt == Opt_index:
        config.index = bool(result.uint_32)
        ctx.set.add("index")
    elif opt == Opt_uuid:
        config.uuid = result.uint_32
    elif opt == Opt_nfs_export:
        config.nfs_export = bool(result.uint_32)
        ctx.set.add("nfs_export")
    elif opt == Opt_xino:
        config.xino = result.uint_32
    elif opt == Opt_metacopy:
        config.metacopy = bool(result.uint_32)
        ctx.set.add("metacopy")
    elif opt == Opt_verity:
        config.verity_mode = result.uint_32
    elif opt == Opt_fsync:
        config.fsync_mode = result.uint_32
    elif opt == Opt_volatile:
        config.fsync_mode = OVL_FSYNC_VOLATILE
    elif opt == Opt_userxattr:
        config.userxattr = True
    elif opt == Opt_override_creds:
        old, ofs.creator_cred = ofs.creator_cred, None
        if old is not None:
            put_cred(old)
        if not result.negated:
            ofs.creator_cred = prepare_creds()
            if ofs.creator_cred is None:
                err = -ENOMEM
    return err


def ovl_get_tree(fc: FsContext) -> int:
    from kemu.linux.fs.overlayfs.super import ovl_fill_super  # noqa: PLC0415  (circle: fs/overlayfs/super.c needs this)

    return get_tree_nodev(fc, ovl_fill_super)


@port_of(C, "ovl_fs_context_free")
def ovl_fs_context_free(ctx: ovl_fs_context) -> None:
    ovl_reset_lowerdirs(ctx)
    path_put(ctx.upper)
    path_put(ctx.work)
    kfree(ctx)


@port_of(C, "ovl_free")
def ovl_free(fc: FsContext) -> None:
    # ofs is transferred to the superblock on a successful mount, but if an error occurs before the transfer we have to free it
    # here.
    if fc.s_fs_info is not None:
        ovl_free_fs(fc.s_fs_info)
    if fc.fs_private is not None:
        ovl_fs_context_free(fc.fs_private)


@custom(C, "ovl_reconfigure", "nothing is dirty: the upper file system is not synced")
def ovl_reconfigure(fc: FsContext) -> int:
    assert fc.root is not None
    if not fc.sb_flags & SB_RDONLY and ovl_force_readonly(OVL_FS(fc.root.d_sb)):
        return -EROFS
    return 0


ovl_context_ops = fs_context_operations(parse_monolithic=ovl_parse_monolithic, parse_param=ovl_parse_param, get_tree=ovl_get_tree,
                                        reconfigure=ovl_reconfigure, free=ovl_free)


def _redirect_mode_def() -> int:
    return OVL_REDIRECT_FOLLOW if IS_ENABLED("CONFIG_OVERLAY_FS_REDIRECT_ALWAYS_FOLLOW") else OVL_REDIRECT_NOFOLLOW


@port_of(C, "ovl_init_fs_context")
def ovl_init_fs_context(fc: FsContext) -> int:
    ctx = kzalloc_obj(ovl_fs_context)
    if ctx is None:
        return -ENOMEM
    ofs = kmalloc_obj(ovl_fs)
    if ofs is None:
        ovl_fs_context_free(ctx)
        return -ENOMEM

    ofs.config.redirect_mode = _redirect_mode_def()
    ofs.config.uuid = OVL_UUID_AUTO
    ofs.config.fsync_mode = OVL_FSYNC_AUTO
    fc.s_fs_info = ofs
    fc.fs_private = ctx
    fc.ops = ovl_context_ops
    return 0


@port_of(C, "ovl_free_fs")
def ovl_free_fs(ofs: ovl_fs) -> None:
    iput(ofs.workbasedir_trap)
    iput(ofs.workdir_trap)
    dput(ofs.whiteout)
    dput(ofs.workdir)
    if ofs.workdir_locked:
        ovl_inuse_unlock(ofs.workbasedir)
    dput(ofs.workbasedir)
    if ofs.upperdir_locked:
        ovl_inuse_unlock(ovl_upper_mnt(ofs).mnt_root)

    for layer in ofs.layers[:ofs.numlayer]:
        iput(layer.trap)
    for layer in ofs.layers[:ofs.numlayer]:     # kern_unmount_array()
        if layer.mnt is not None:
            kern_unmount(layer.mnt)
    for f in ofs.fs[:ofs.numfs]:
        if f.pseudo_dev:
            free_anon_bdev(f.pseudo_dev)
    if ofs.creator_cred is not None:
        put_cred(ofs.creator_cred)
    kfree(ofs)


def _requires(config: ovl_config, ctx: ovl_fs_context) -> int:
    """What userxattr and missing privileges exclude."""
    if config.userxattr:
        if "redirect" in ctx.set and config.redirect_mode != OVL_REDIRECT_NOFOLLOW:
            pr_err("overlayfs: conflicting options: userxattr,redirect_dir=%s\n",
                   ovl_parameter_redirect_dir[config.redirect_mode].name)
            return -EINVAL
        if config.metacopy and "metacopy" in ctx.set:
            pr_err("overlayfs: conflicting options: userxattr,metacopy=on\n")
            return -EINVAL
        config.redirect_mode = OVL_REDIRECT_NOFOLLOW
        config.metacopy = False
    elif not capable(CAP_SYS_ADMIN):
        if "redirect" in ctx.set and config.redirect_mode != OVL_REDIRECT_NOFOLLOW:
            pr_err("overlayfs: redirect_dir requires permission to access trusted xattrs\n")
            return -EPERM
        if config.metacopy and "metacopy" in ctx.set:
            pr_err("overlayfs: metacopy requires permission to access trusted xattrs\n")
            return -EPERM
    return 0


@custom(C, "ovl_fs_params_verify", "options that need file handles, metacopy or data layers are refused: -EINVAL")
def ovl_fs_params_verify(ctx: ovl_fs_context, config: ovl_config) -> int:
    """``int ovl_fs_params_verify(const struct ovl_fs_context *ctx, struct ovl_config *config)``. Return: 0, -EINVAL, -EPERM."""
    # Workdir/index are useless in non-upper mount
    if config.upperdir is None:
        if config.workdir is not None:
            pr_info("overlayfs: option \"workdir=%s\" is useless in a non-upper mount, ignore\n", config.workdir)
            config.workdir = None
        config.index = False
        if ovl_is_volatile(config):
            pr_info("overlayfs: option \"volatile\" is meaningless in a non-upper mount, ignoring it.\n")
            config.fsync_mode = OVL_FSYNC_AUTO
    if config.metacopy or config.index or config.nfs_export or config.redirect_mode == OVL_REDIRECT_ON or ctx.nr_data:
        pr_err("overlayfs: metacopy, index, nfs_export, redirect_dir=on and data-only layers are not there\n")
        return -EINVAL
    return _requires(config, ctx)
