# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/readdir.c: merged directories. The tree is a dict by name, and lists are dicts or lists; inode numbers are those
of the real entries.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR, PTR_ERR_OR_ZERO
from kemu.linux.errno import EINVAL, ENOMEM, ENOTEMPTY
from kemu.linux.fcntl import O_LARGEFILE, O_RDONLY, SEEK_CUR, SEEK_SET
from kemu.linux.fs.dcache import dput
from kemu.linux.fs.file_table import fput
from kemu.linux.fs.libfs import generic_read_dir
from kemu.linux.fs.namei import lookup_one_positive_unlocked, start_removing_dentry
from kemu.linux.fs.overlayfs.overlayfs import (
    OVL_TYPE_UPPER,
    ovl_dir_is_real,
    ovl_do_rmdir,
    ovl_lookup_upper_unlocked,
    with_ovl_creds,
)
from kemu.linux.fs.overlayfs.ovl_entry import AS_A_BOOT, OVL_I, ovl_fs
from kemu.linux.fs.overlayfs.util import (
    ovl_dentry_has_xwhiteouts,
    ovl_dentry_upper,
    ovl_is_whiteout,
    ovl_path_open,
    ovl_path_real,
    ovl_path_type,
    ovl_path_upper,
)
from kemu.linux.fs.read_write import vfs_llseek
from kemu.linux.fs.readdir import iterate_dir, wrap_directory_iterator
from kemu.linux.include.dcache import Dentry, Qstr, d_inode, d_is_dir
from kemu.linux.include.fs.calls import dir_emit, file_inode, inode_lock, inode_unlock, name_is_dot_dotdot
from kemu.linux.include.fs.types import DirContext, File, Inode, file_operations
from kemu.linux.include.fs_dirent import DT_CHR, DT_REG, DT_UNKNOWN
from kemu.linux.include.namei import end_removing
from kemu.linux.include.path import Path
from kemu.linux.include.slab import kmalloc_obj, kzalloc_obj
from kemu.linux.mm.slub import kfree
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.printk import pr_err
from kemu.linux.types import INT_MAX, Ref, container_of
from kemu.machine.current import NULL

C = "fs/overlayfs/readdir.c"

OVL_INCOMPATDIR_NAME = b"incompat"


class ovl_cache_entry:
    """``struct ovl_cache_entry``"""

    __slots__ = ("check_xwhiteout", "ino", "is_upper", "is_whiteout", "name", "next_maybe_whiteout", "type")

    def __init__(self) -> None:
        self.name = b""
        self.type = self.ino = 0
        self.is_upper = self.is_whiteout = self.check_xwhiteout = False
        self.next_maybe_whiteout: ovl_cache_entry = NULL


class ovl_dir_cache:
    """``struct ovl_dir_cache``"""

    __slots__ = ("entries", "refcount", "version")

    def __init__(self) -> None:
        self.refcount = 0
        self.version = 0
        self.entries: list[ovl_cache_entry] = []


class ovl_readdir_data:
    """``struct ovl_readdir_data``: ``root`` is the tree, entries by name; ``list`` and ``middle`` are the lists, in order."""

    def __init__(self, actor: Any, dentry: Dentry = NULL):
        self.ctx = DirContext(actor, count=INT_MAX, container=self)
        self.dentry = dentry
        self.root: dict[bytes, ovl_cache_entry] = {}
        self.list: dict[ovl_cache_entry, None] = {}
        self.middle: dict[ovl_cache_entry, None] = {}
        self.is_lowest = self.is_upper = self.d_type_supported = self.in_xwhiteouts_dir = False
        self.first_maybe_whiteout: ovl_cache_entry = NULL
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


@port_of(C, "ovl_cache_entry_new")
def ovl_cache_entry_new(rdd: ovl_readdir_data, name: bytes, ino: int, d_type: int) -> ovl_cache_entry:
    p: ovl_cache_entry = kmalloc_obj(ovl_cache_entry)
    if not p:
        return NULL             # type: ignore[no-any-return]

    p.name = bytes(name)
    p.type = d_type
    p.ino = ino
    p.is_upper = rdd.is_upper
    p.is_whiteout = False
    # Defer check for overlay.whiteout to ovl_iterate()
    p.check_xwhiteout = rdd.in_xwhiteouts_dir and d_type == DT_REG

    if d_type == DT_CHR:
        p.next_maybe_whiteout = rdd.first_maybe_whiteout
        rdd.first_maybe_whiteout = p
    return p


@port_of(C, "ovl_cache_entry_add_rb")
def ovl_cache_entry_add_rb(rdd: ovl_readdir_data, name: bytes, ino: int, d_type: int) -> int:
    if name in rdd.root:                    # ovl_cache_entry_find_link()
        return 0

    p = ovl_cache_entry_new(rdd, name, ino, d_type)
    if not p:
        rdd.err = -ENOMEM
        return -ENOMEM

    rdd.list[p] = None                      # list_add_tail(&p->l_node, rdd->list)
    rdd.root[p.name] = p                    # rb_insert_color(&p->node, rdd->root)

    return 1


@port_of(C, "ovl_fill_lowest")
def ovl_fill_lowest(rdd: ovl_readdir_data, name: bytes, offset: int, ino: int, d_type: int) -> int:
    p = rdd.root.get(name)                  # ovl_cache_entry_find()
    if p:
        for a in (rdd.list, rdd.middle):
            a.pop(p, None)
        rdd.middle[p] = None                # list_move_tail(&p->l_node, &rdd->middle)
        return 0
    else:
        p = ovl_cache_entry_new(rdd, name, ino, d_type)
        if not p:
            rdd.err = -ENOMEM
        else:
            rdd.middle[p] = None            # list_add_tail(&p->l_node, &rdd->middle)

    return rdd.err or 1


@port_of(C, "ovl_cache_entry_free")
def ovl_cache_entry_free(p: ovl_cache_entry) -> None:
    kfree(p)


@port_of(C, "ovl_fill_merge")
def ovl_fill_merge(ctx: DirContext, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
    rdd: ovl_readdir_data = container_of(ctx, "ctx")

    if rdd.err:
        return False

    rdd.count += 1
    if not rdd.is_lowest:
        ret = ovl_cache_entry_add_rb(rdd, name, ino, d_type)
    else:
        ret = ovl_fill_lowest(rdd, name, offset, ino, d_type)

    return ret >= 0


@custom(C, "ovl_fill_plain", AS_A_BOOT)
def ovl_fill_plain(ctx: DirContext, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
    rdd: ovl_readdir_data = container_of(ctx, "ctx")

    rdd.count += 1
    p = ovl_cache_entry_new(rdd, name, ino, d_type)
    if not p:
        rdd.err = -ENOMEM
        return False
    rdd.list[p] = None                      # list_add_tail(&p->l_node, rdd->list)

    return True


@custom(C, "ovl_check_whiteouts", AS_A_BOOT)
def ovl_check_whiteouts(path: Path, rdd: ovl_readdir_data) -> int:
    dir = path.dentry

    while rdd.first_maybe_whiteout:
        p = rdd.first_maybe_whiteout
        rdd.first_maybe_whiteout = p.next_maybe_whiteout
        dentry = lookup_one_positive_unlocked(path.mnt.mnt_idmap, Qstr(p.name), dir)
        if not IS_ERR(dentry):
            p.is_whiteout = ovl_is_whiteout(dentry)
            dput(dentry)

    return 0


@port_of(C, "ovl_dir_read")
def ovl_dir_read(realpath: Path, rdd: ovl_readdir_data) -> int:
    realfile = ovl_path_open(realpath, O_RDONLY | O_LARGEFILE)
    if IS_ERR(realfile):
        return PTR_ERR(realfile)

    rdd.first_maybe_whiteout = NULL
    rdd.ctx.pos = 0
    while True:
        rdd.count = 0
        rdd.err = 0
        err = iterate_dir(realfile, rdd.ctx)
        if err >= 0:
            err = rdd.err
        if not (not err and rdd.count):
            break

    if not err and rdd.first_maybe_whiteout and rdd.dentry:
        err = ovl_check_whiteouts(realpath, rdd)

    fput(realfile)

    return err


@port_of(C, "ovl_dir_read_merged")
def ovl_dir_read_merged(dentry: Dentry, list_: list[ovl_cache_entry]) -> int:
    from kemu.linux.fs.overlayfs.namei import ovl_path_next  # noqa: PLC0415  (circle: fs/overlayfs/namei.c needs this)

    realpath = Path()
    rdd = ovl_readdir_data(ovl_fill_merge, dentry)
    layer = Ref()

    idx = 0
    while idx != -1:
        next = ovl_path_next(idx, dentry, realpath, layer)

        rdd.is_upper = ovl_dentry_upper(dentry) is realpath.dentry
        rdd.in_xwhiteouts_dir = layer.v.has_xwhiteouts and ovl_dentry_has_xwhiteouts(dentry)

        if next != -1:
            err = ovl_dir_read(realpath, rdd)
            if err:
                break
        else:
            # Insert lowest layer entries before upper ones, this allows offsets to be reasonably constant
            rdd.is_lowest = True
            err = ovl_dir_read(realpath, rdd)
        idx = next
    list_ += [*rdd.middle, *rdd.list]       # list_add(&rdd.middle, rdd.list)
    return err


@port_of(C, "ovl_cache_free")
def ovl_cache_free(list_: list[ovl_cache_entry]) -> None:
    for p in list_:
        ovl_cache_entry_free(p)

    list_.clear()                           # INIT_LIST_HEAD(list)


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
    cache = od.cache
    inode: Any = file_inode(file)

    if cache and inode.version != cache.version:
        ovl_cache_put(od, inode)
        od.cache = NULL
        od.cursor = 0
    is_real = ovl_dir_is_real(inode)
    if od.is_real != is_real:
        # is_real can only become false when dir is copied up
        if WARN_ON(is_real):
            return
        od.is_real = False


@port_of(C, "ovl_cache_get")
def ovl_cache_get(dentry: Dentry) -> Any:
    inode: Any = d_inode(dentry)

    cache = inode.cache
    if cache and inode.version == cache.version:
        WARN_ON(not cache.refcount)
        cache.refcount += 1
        return cache
    inode.cache = NULL

    cache = kzalloc_obj(ovl_dir_cache)
    if not cache:
        return ERR_PTR(-ENOMEM)

    cache.refcount = 1

    res = ovl_dir_read_merged(dentry, cache.entries)
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


@custom(C, "ovl_dir_fsync", "nothing is written back: the upper layer is in memory")
def ovl_dir_fsync(file: File, start: int, end: int, datasync: int) -> int:
    realfile = ovl_dir_real_file(file, True)
    err = PTR_ERR_OR_ZERO(realfile)

    # Nothing to sync for lower
    return err


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


ovl_dir_operations = file_operations(read=generic_read_dir, open=ovl_dir_open, iterate_shared=shared_ovl_iterate,
                                     llseek=ovl_dir_llseek,
                                     fsync=ovl_dir_fsync, release=ovl_dir_release)


@port_of(C, "ovl_check_empty_dir")
def ovl_check_empty_dir(dentry: Dentry, list_: list[ovl_cache_entry]) -> int:
    with with_ovl_creds(dentry.d_sb):
        err = ovl_dir_read_merged(dentry, list_)
    if err:
        return err

    err = 0

    for p in list_[:]:                      # list_for_each_entry_safe()
        # Select whiteouts in upperdir, they should be cleared when deleting this directory.
        if p.is_whiteout:
            if p.is_upper:
                continue
        elif not name_is_dot_dotdot(p.name):
            err = -ENOTEMPTY
            break

        # del_entry:
        list_.remove(p)
        ovl_cache_entry_free(p)

    return err


@port_of(C, "ovl_cleanup_whiteouts")
def ovl_cleanup_whiteouts(ofs: ovl_fs, upper: Dentry, list_: list[ovl_cache_entry]) -> None:
    from kemu.linux.fs.overlayfs.dir import ovl_cleanup  # noqa: PLC0415  (circle: fs/overlayfs/dir.c needs this)

    for p in list_:
        if WARN_ON(not p.is_whiteout or not p.is_upper):
            continue

        dentry = ovl_lookup_upper_unlocked(ofs, p.name, upper)
        if IS_ERR(dentry):
            pr_err("overlayfs: lookup '%s/%.*s' failed (%i)\n", upper.d_name.name, len(p.name), p.name, PTR_ERR(dentry))
            continue
        if dentry.d_inode:
            ovl_cleanup(ofs, upper, dentry)
        dput(dentry)


@port_of(C, "ovl_check_d_type")
def ovl_check_d_type(ctx: DirContext, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
    rdd: ovl_readdir_data = container_of(ctx, "ctx")

    # Even if d_type is not supported, DT_DIR is returned for . and ..
    if name_is_dot_dotdot(name):
        return True

    if d_type != DT_UNKNOWN:
        rdd.d_type_supported = True

    return True


@port_of(C, "ovl_check_d_type_supported")
def ovl_check_d_type_supported(realpath: Path) -> int:
    rdd = ovl_readdir_data(ovl_check_d_type)

    err = ovl_dir_read(realpath, rdd)
    if err:
        return err

    return int(rdd.d_type_supported)


@port_of(C, "ovl_workdir_cleanup_recurse")
def ovl_workdir_cleanup_recurse(ofs: ovl_fs, path: Path, level: int) -> int:
    rdd = ovl_readdir_data(ovl_fill_plain)
    incompat = False
    labels = Labels()

    @labels.label
    def out() -> None:
        ovl_cache_free(list_)

    # The "work/incompat" directory is treated specially - if it is not empty, instead of printing a generic error and mounting
    # read-only, we will error about incompat features and fail the mount.
    if level == 2 and path.dentry.d_name.name == OVL_INCOMPATDIR_NAME:
        incompat = True

    err = ovl_dir_read(path, rdd)
    list_ = list(rdd.list)
    if err:
        return labels.goto(out, err)

    for p in list_:
        if name_is_dot_dotdot(p.name):
            continue
        elif incompat:
            pr_err("overlayfs: overlay with incompat feature '%s' cannot be mounted\n", p.name)
            err = -EINVAL
            break
        dentry = ovl_lookup_upper_unlocked(ofs, p.name, path.dentry)
        if IS_ERR(dentry):
            continue
        if dentry.d_inode:
            err = ovl_workdir_cleanup(ofs, path.dentry, path.mnt, dentry, level)
        dput(dentry)
        if err:
            break
    return labels.goto(out, err)


@port_of(C, "ovl_workdir_cleanup")
def ovl_workdir_cleanup(ofs: ovl_fs, parent: Dentry, mnt: Any, dentry: Dentry, level: int) -> int:
    from kemu.linux.fs.overlayfs.dir import ovl_cleanup  # noqa: PLC0415  (circle: fs/overlayfs/dir.c needs this)

    if not d_is_dir(dentry) or level > 1:
        return ovl_cleanup(ofs, parent, dentry)

    dentry = start_removing_dentry(parent, dentry)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    err = ovl_do_rmdir(ofs, parent.d_inode, dentry)
    end_removing(dentry)
    if err:
        path = Path(mnt, dentry)

        err = ovl_workdir_cleanup_recurse(ofs, path, level + 1)
        if not err:
            err = ovl_cleanup(ofs, parent, dentry)

    return err
