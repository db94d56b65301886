# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/readdir.c: merged directories. The rb tree and its list are one dict; inode numbers are those of the real entries."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.dcache import Dentry, d_is_dir, dput
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, ENOMEM, ENOTEMPTY
from kemu.linux.fcntl import O_LARGEFILE, O_RDONLY, SEEK_CUR, SEEK_SET
from kemu.linux.fs_dirent import DT_CHR, DT_REG, DT_UNKNOWN
from kemu.linux.honesty import custom, port_of
from kemu.linux.overlayfs.how import AS_A_BOOT
from kemu.linux.overlayfs.ovl_entry import OVL_FS, OVL_I, ovl_fs, ovl_layer
from kemu.linux.overlayfs.util import (
    OVL_E,
    OVL_TYPE_UPPER,
    ovl_dentry_has_xwhiteouts,
    ovl_dentry_upper,
    ovl_dir_is_real,
    ovl_is_whiteout,
    ovl_lookup_upper_unlocked,
    ovl_lowerstack,
    ovl_path_open,
    ovl_path_real,
    ovl_path_upper,
    with_ovl_creds,
)
from kemu.linux.printk import pr_err
from kemu.linux.slab import kfree, kmalloc_obj, kzalloc_obj
from kemu.linux.vfs.basic import Path, Qstr
from kemu.linux.vfs.file_table import fput
from kemu.linux.vfs.libfs import generic_read_dir
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.one import end_removing, lookup_one_positive_unlocked, start_removing_dentry
from kemu.linux.vfs.read_write import vfs_llseek
from kemu.linux.vfs.readdir import dir_emit, iterate_dir, wrap_directory_iterator
from kemu.linux.vfs.types import DirContext, File, Inode, file_operations

C = "fs/overlayfs/readdir.c"


class ovl_cache_entry:
    """``struct ovl_cache_entry``"""

    __slots__ = ("check_xwhiteout", "ino", "is_upper", "is_whiteout", "layer", "name", "type")

    def __init__(self) -> None:
        self.name = b""
        self.type = self.ino = 0
        self.is_upper = self.is_whiteout = self.check_xwhiteout = False
        self.layer: Any = None


class ovl_dir_cache:
    """``struct ovl_dir_cache``"""

    __slots__ = ("entries", "refcount", "version")

    def __init__(self) -> None:
        self.refcount = 0
        self.version = 0
        self.entries: list[ovl_cache_entry] = []


class ovl_readdir_data:
    """``struct ovl_readdir_data``: ``root`` has the entries by name, ``middle`` those of the lowest layer."""

    def __init__(self, actor: Any, dentry: Dentry | None = None):
        self.ctx = DirContext(actor, count=0x7FFFFFFF, container=self)
        self.dentry = dentry
        self.root: dict[bytes, ovl_cache_entry] = {}
        self.middle: list[ovl_cache_entry] = []
        self.is_lowest = self.is_upper = self.d_type_supported = self.in_xwhiteouts_dir = False
        self.maybe_whiteout: list[ovl_cache_entry] = []
        self.count = self.err = 0


class ovl_dir_file:
    """``struct ovl_dir_file``"""

    __slots__ = ("cache", "cursor", "is_real", "is_upper", "realfile", "upperfile")

    def __init__(self) -> None:
        self.is_real = self.is_upper = False
        self.cache: ovl_dir_cache | None = None
        self.cursor = 0
        self.realfile: Any = None
        self.upperfile: Any = None


def name_is_dot_dotdot(name: bytes) -> bool:
    return name in (b".", b"..")


@port_of(C, "ovl_cache_entry_new")
def ovl_cache_entry_new(rdd: ovl_readdir_data, name: bytes, ino: int, d_type: int) -> ovl_cache_entry | None:
    p: ovl_cache_entry | None = kmalloc_obj(ovl_cache_entry)
    if p is None:
        rdd.err = -ENOMEM
        return None
    p.name = bytes(name)
    p.type = d_type
    p.ino = ino
    p.is_upper = rdd.is_upper
    # Defer check for overlay.whiteout to ovl_iterate()
    p.check_xwhiteout = rdd.in_xwhiteouts_dir and d_type == DT_REG
    if d_type == DT_CHR:
        rdd.maybe_whiteout.append(p)
    return p


@port_of(C, "ovl_fill_merge")
def ovl_fill_merge(ctx: DirContext, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
    rdd: ovl_readdir_data = ctx.container
    if rdd.err:
        return False
    rdd.count += 1
    p = rdd.root.get(name)
    if p is not None:
        if rdd.is_lowest:                       # Insert lowest layer entries before upper ones
            del rdd.root[p.name]
            rdd.middle.append(p)
        return True
    p = ovl_cache_entry_new(rdd, name, ino, d_type)
    if p is None:
        return False
    if rdd.is_lowest:
        rdd.middle.append(p)
    else:
        rdd.root[p.name] = p
    return True


@custom(C, "ovl_fill_plain", AS_A_BOOT)
def ovl_fill_plain(ctx: DirContext, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
    rdd: ovl_readdir_data = ctx.container
    rdd.count += 1
    p = ovl_cache_entry_new(rdd, name, ino, d_type)
    if p is None:
        return False
    rdd.middle.append(p)
    return True


@custom(C, "ovl_check_whiteouts", AS_A_BOOT)
def ovl_check_whiteouts(path: Path, rdd: ovl_readdir_data) -> int:
    while rdd.maybe_whiteout:
        p = rdd.maybe_whiteout.pop()
        dentry = lookup_one_positive_unlocked(path.mnt.mnt_idmap, Qstr(p.name), path.dentry)
        if not IS_ERR(dentry):
            p.is_whiteout = ovl_is_whiteout(dentry)
            dput(dentry)
    return 0


@port_of(C, "ovl_dir_read")
def ovl_dir_read(realpath: Path, rdd: ovl_readdir_data) -> int:
    realfile = ovl_path_open(realpath, O_RDONLY | O_LARGEFILE)
    if IS_ERR(realfile):
        return PTR_ERR(realfile)

    rdd.maybe_whiteout = []
    rdd.ctx.pos = 0
    while True:
        rdd.count = 0
        rdd.err = 0
        err = iterate_dir(realfile, rdd.ctx)
        if err >= 0:
            err = rdd.err
        if err or not rdd.count:
            break

    if not err and rdd.maybe_whiteout and rdd.dentry is not None:
        err = ovl_check_whiteouts(realpath, rdd)

    fput(realfile)
    return err


@port_of(C, "ovl_dir_read_merged")
def ovl_dir_read_merged(dentry: Dentry) -> tuple[int, list[ovl_cache_entry]]:
    """(error, the entries; the lowest layer's first)."""
    rdd = ovl_readdir_data(ovl_fill_merge, dentry)
    ofs = OVL_FS(dentry.d_sb)
    layers: list[tuple[ovl_layer, Dentry]] = []
    upper = ovl_dentry_upper(dentry)
    if upper is not None:
        layers.append((ofs.layers[0], upper))
    layers += [(p.layer, p.dentry) for p in ovl_lowerstack(OVL_E(dentry))]
    err = 0
    for i, (layer, real) in enumerate(layers):
        rdd.is_upper = real is upper
        rdd.in_xwhiteouts_dir = layer.has_xwhiteouts and ovl_dentry_has_xwhiteouts(dentry)
        rdd.is_lowest = i == len(layers) - 1
        err = ovl_dir_read(Path(layer.mnt, real), rdd)
        if err:
            break
    return err, rdd.middle + list(rdd.root.values())


def ovl_cache_free(entries: list[ovl_cache_entry]) -> None:
    for p in entries:
        kfree(p)
    entries.clear()


def ovl_dir_cache_free(inode: Any) -> None:
    cache = OVL_I(inode).cache
    if cache is not None:
        ovl_cache_free(cache.entries)
        kfree(cache)
        inode.cache = None


@port_of(C, "ovl_cache_put")
def ovl_cache_put(od: ovl_dir_file, inode: Any) -> None:
    cache = od.cache
    assert cache is not None
    WARN_ON(cache.refcount <= 0)
    cache.refcount -= 1
    if not cache.refcount:
        if inode.cache is cache:
            inode.cache = None
        ovl_cache_free(cache.entries)
        kfree(cache)


@port_of(C, "ovl_dir_reset")
def ovl_dir_reset(file: File) -> None:
    od: ovl_dir_file = file.private_data
    inode: Any = file.f_inode
    if od.cache is not None and inode.version != od.cache.version:
        ovl_cache_put(od, inode)
        od.cache = None
        od.cursor = 0
    is_real = ovl_dir_is_real(inode)
    if od.is_real != is_real:
        # is_real can only become false when dir is copied up
        if WARN_ON(is_real):
            return
        od.is_real = False


@port_of(C, "ovl_cache_get")
def ovl_cache_get(dentry: Dentry) -> Any:
    inode: Any = dentry.d_inode
    cache = inode.cache
    if cache is not None and inode.version == cache.version:
        WARN_ON(not cache.refcount)
        cache.refcount += 1
        return cache
    inode.cache = None

    cache = kzalloc_obj(ovl_dir_cache)
    if cache is None:
        return ERR_PTR(-ENOMEM)

    cache.refcount = 1
    res, cache.entries = ovl_dir_read_merged(dentry)
    if res:
        ovl_cache_free(cache.entries)
        kfree(cache)
        return ERR_PTR(res)

    cache.version = inode.version
    inode.cache = cache
    return cache


@custom(C, "ovl_cache_update", AS_A_BOOT)
def ovl_cache_update(path: Path, p: ovl_cache_entry) -> int:
    """Of an entry that may be a whiteout by its attribute."""
    dir = path.dentry
    this = lookup_one_positive_unlocked(None, Qstr(p.name), dir)
    if IS_ERR(this):
        p.is_whiteout = True
    else:
        dput(this)
    p.check_xwhiteout = False
    return 0


@port_of(C, "ovl_iterate_merged")
def ovl_iterate_merged(file: File, ctx: DirContext) -> int:
    od: ovl_dir_file = file.private_data
    dentry = file.f_path.dentry

    if od.cache is None:
        cache = ovl_cache_get(dentry)
        if IS_ERR(cache):
            return PTR_ERR(cache)
        od.cache = cache
        od.cursor = min(ctx.pos, len(cache.entries))            # ovl_seek_cursor()

    assert od.cache is not None
    while od.cursor < len(od.cache.entries):
        p = od.cache.entries[od.cursor]
        if not p.is_whiteout and p.check_xwhiteout:
            err = ovl_cache_update(file.f_path, p)
            if err:
                return err
        # ovl_cache_update() sets is_whiteout on stale entry
        if not p.is_whiteout:
            if not dir_emit(ctx, p.name, len(p.name), p.ino, p.type):
                break
        od.cursor += 1
        ctx.pos += 1
    return 0


@custom(C, "ovl_iterate", "inode numbers of a directory that is not merged are not translated")
def ovl_iterate(file: File, ctx: DirContext) -> int:
    od: ovl_dir_file = file.private_data
    if not ctx.pos:
        ovl_dir_reset(file)
    with with_ovl_creds(file.f_path.dentry.d_sb):
        if not od.is_real:
            return ovl_iterate_merged(file, ctx)
        return iterate_dir(od.realfile, ctx)


def shared_ovl_iterate(file: File, ctx: DirContext) -> int:
    return wrap_directory_iterator(file, ctx, ovl_iterate)


@port_of(C, "ovl_dir_llseek")
def ovl_dir_llseek(file: File, offset: int, origin: int) -> int:
    od: ovl_dir_file = file.private_data
    inode_lock(file.f_inode)
    if not file.f_pos:
        ovl_dir_reset(file)

    if od.is_real:
        res = vfs_llseek(od.realfile, offset, origin)
        file.f_pos = od.realfile.f_pos
    else:
        res = -EINVAL
        if origin == SEEK_CUR:
            offset += file.f_pos
        if origin in (SEEK_CUR, SEEK_SET) and offset >= 0:
            if offset != file.f_pos:
                file.f_pos = offset
                if od.cache is not None:
                    od.cursor = min(offset, len(od.cache.entries))
            res = offset
    inode_unlock(file.f_inode)
    return res


@port_of(C, "ovl_dir_open_realfile")
def ovl_dir_open_realfile(file: File, realpath: Path) -> Any:
    with with_ovl_creds(file.f_inode.i_sb):
        return ovl_path_open(realpath, O_RDONLY | file.f_flags & O_LARGEFILE)


@port_of(C, "ovl_dir_real_file")
def ovl_dir_real_file(file: File, want_upper: bool) -> Any:
    from kemu.linux.overlayfs.util import ovl_path_type

    od: ovl_dir_file = file.private_data
    dentry = file.f_path.dentry
    if not OVL_TYPE_UPPER(ovl_path_type(dentry)):
        return None if want_upper else od.realfile
    # Need to check if we started out being a lower dir, but got copied up
    if od.is_upper:
        return od.realfile
    if od.upperfile is None:
        upperpath = Path()
        ovl_path_upper(dentry, upperpath)
        realfile = ovl_dir_open_realfile(file, upperpath)
        if IS_ERR(realfile):
            return realfile
        od.upperfile = realfile
    return od.upperfile


@port_of(C, "ovl_dir_fsync")
def ovl_dir_fsync(file: File, start: int, end: int, datasync: int) -> int:
    realfile = ovl_dir_real_file(file, True)
    return PTR_ERR(realfile) if IS_ERR(realfile) else 0


@port_of(C, "ovl_dir_release")
def ovl_dir_release(inode: Inode, file: File) -> int:
    od: ovl_dir_file = file.private_data
    if od.cache is not None:
        inode_lock(inode)
        ovl_cache_put(od, inode)
        inode_unlock(inode)
    fput(od.realfile)
    if od.upperfile is not None:
        fput(od.upperfile)
    kfree(od)
    return 0


@port_of(C, "ovl_dir_open")
def ovl_dir_open(inode: Inode, file: File) -> int:
    od = kzalloc_obj(ovl_dir_file)
    if od is None:
        return -ENOMEM
    realpath = Path()
    type = ovl_path_real(file.f_path.dentry, realpath)
    realfile = ovl_dir_open_realfile(file, realpath)
    if IS_ERR(realfile):
        kfree(od)
        return PTR_ERR(realfile)
    od.realfile = realfile
    od.is_real = ovl_dir_is_real(inode)
    od.is_upper = OVL_TYPE_UPPER(type)
    file.private_data = od
    return 0


ovl_dir_operations = file_operations(read=generic_read_dir, open=ovl_dir_open, iterate_shared=shared_ovl_iterate, llseek=ovl_dir_llseek,
                                     fsync=ovl_dir_fsync, release=ovl_dir_release)


@port_of(C, "ovl_check_empty_dir")
def ovl_check_empty_dir(dentry: Dentry, list_: list[ovl_cache_entry]) -> int:
    """``list_`` gets the whiteouts of the upper directory, which are to be cleared before it can be removed."""
    with with_ovl_creds(dentry.d_sb):
        err, entries = ovl_dir_read_merged(dentry)
    if err:
        list_ += entries
        return err

    for i, p in enumerate(entries):
        if p.is_whiteout and p.is_upper:
            list_.append(p)
        elif p.is_whiteout or name_is_dot_dotdot(p.name):
            kfree(p)
        else:
            list_ += entries[i:]
            return -ENOTEMPTY
    return 0


@port_of(C, "ovl_cleanup_whiteouts")
def ovl_cleanup_whiteouts(ofs: ovl_fs, upper: Dentry, list_: list[ovl_cache_entry]) -> None:
    from kemu.linux.overlayfs.dir import ovl_cleanup

    for p in list_:
        if WARN_ON(not p.is_whiteout or not p.is_upper):
            continue
        dentry = ovl_lookup_upper_unlocked(ofs, p.name, upper)
        if IS_ERR(dentry):
            pr_err("overlayfs: lookup '%s/%.*s' failed (%i)\n", upper.d_name.name, len(p.name), p.name, PTR_ERR(dentry))
            continue
        if dentry.d_inode is not None:
            ovl_cleanup(ofs, upper, dentry)
        dput(dentry)


@port_of(C, "ovl_check_d_type")
def ovl_check_d_type(ctx: DirContext, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
    # Even if d_type is not supported, DT_DIR is returned for . and ..
    if not name_is_dot_dotdot(name) and d_type != DT_UNKNOWN:
        ctx.container.d_type_supported = True
    return True


@port_of(C, "ovl_check_d_type_supported")
def ovl_check_d_type_supported(realpath: Path) -> int:
    rdd = ovl_readdir_data(ovl_check_d_type)
    err = ovl_dir_read(realpath, rdd)
    return err or int(rdd.d_type_supported)


@port_of(C, "ovl_workdir_cleanup_recurse")
def ovl_workdir_cleanup_recurse(ofs: ovl_fs, path: Path, level: int) -> int:
    rdd = ovl_readdir_data(ovl_fill_plain)
    # If the "work/incompat" directory is not empty, fail the mount
    incompat = level == 2 and path.dentry.d_name.name == b"incompat"

    err = ovl_dir_read(path, rdd)
    if not err:
        for p in rdd.middle:
            if name_is_dot_dotdot(p.name):
                continue
            if incompat:
                pr_err("overlayfs: overlay with incompat feature '%s' cannot be mounted\n", p.name)
                err = -EINVAL
                break
            dentry = ovl_lookup_upper_unlocked(ofs, p.name, path.dentry)
            if IS_ERR(dentry):
                continue
            if dentry.d_inode is not None:
                err = ovl_workdir_cleanup(ofs, path.dentry, path.mnt, dentry, level)
            dput(dentry)
            if err:
                break
    ovl_cache_free(rdd.middle)
    return err


@port_of(C, "ovl_workdir_cleanup")
def ovl_workdir_cleanup(ofs: ovl_fs, parent: Dentry, mnt: Any, dentry: Dentry, level: int) -> int:
    from kemu.linux.overlayfs.dir import ovl_cleanup
    from kemu.linux.vfs.dir_ops import vfs_rmdir

    if not d_is_dir(dentry) or level > 1:
        return ovl_cleanup(ofs, parent, dentry)

    locked = start_removing_dentry(parent, dentry)
    if IS_ERR(locked):
        return PTR_ERR(locked)
    err = vfs_rmdir(None, parent.d_inode, locked)
    end_removing(locked)
    if err:
        err = ovl_workdir_cleanup_recurse(ofs, Path(mnt, dentry), level + 1)
        if not err:
            err = ovl_cleanup(ofs, parent, dentry)
    return err


__all__ = [n for n in dir() if n.startswith("ovl_")]
