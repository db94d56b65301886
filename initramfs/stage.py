# SPDX-License-Identifier: GPL-2.0-only
"""The stage on which the layers of an initrd are put together: a tmpfs of its own, mounted in rootfs, seen by nobody. Ours;
docs/explanation/layered.md.

Everything here either stands when it returns 0, or has left nothing but what :func:`undo` takes down.
"""
from __future__ import annotations

from collections.abc import Callable

from kemu.linux.dcache import d_is_dir
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM
from kemu.linux.fs import MNT_DETACH, SB_RDONLY, WHITEOUT_DEV, Kstat, get_fs_type, put_filesystem, vfs_getattr
from kemu.linux.fs_context import FsContext, fs_context_for_mount, put_fs_context, vfs_parse_fs_string
from kemu.linux.fs_struct import copy_fs_struct, current_fs, free_fs_struct
from kemu.linux.init_syscalls import (
    init_chdir,
    init_chmod,
    init_chown,
    init_chroot,
    init_mkdir,
    init_mknod,
    init_rmdir,
    init_umount,
    kern_path,
)
from kemu.linux.mount import do_new_mount_fc, path_pivot_root, path_umount
from kemu.linux.namei import LOOKUP_FOLLOW
from kemu.linux.path import Path, path_get, path_put
from kemu.linux.port.statics import statics
from kemu.linux.printk import pr_err
from kemu.linux.sched import current
from kemu.linux.stat import S_IFCHR, STATX_BASIC_STATS
from kemu.linux.types import NULL
from kemu.linux.xattr import do_getxattr, do_setxattr, listxattr, vfs_listxattr

from erofs_memback import memback
from initramfs import initramfs as base
from initramfs.do_mounts_h import init_flush_fput
from initramfs.segments import EROFS, segment

STAGE = "/.initrd-layers"
OVERLAY_PREFIX = b"trusted.overlay."
FILE_SYSTEMS = ("tmpfs", "erofs", "overlay")

# attempting: the unpacker works on a layer, and what fails is no reason to panic
@statics
class g:
    attempting = False


class layers:
    """What stands on the stage: the lower layers' paths, topmost last, and what has to be unmounted, in order."""

    def __init__(self) -> None:
        self.lower: list[str] = []
        self.mounts: list[str] = []
        self.made_stage = False


def stage_possible() -> int:
    """Whether every file system is there. To be asked before the attempt begins: get_fs_type() may load a module, by a helper who
    waits for the initramfs.
    """
    for name in FILE_SYSTEMS:
        fs_type = get_fs_type(name)
        if fs_type is None:
            return -ENODEV
        put_filesystem(fs_type)
    return 0


# ------------------------------------------------------------------------- mounts

def mount_fc(fc: FsContext, at: str) -> int:
    """Put a context's mount at the path ``at`` and let the context go."""
    path = Path()
    err = kern_path(at, LOOKUP_FOLLOW, path)
    if not err:
        err = do_new_mount_fc(fc, path, 0)
        path_put(path)
    put_fs_context(fc)
    return err


def new_context(name: str, flags: int, *options: tuple[str, str]) -> FsContext:
    """A context with options; or ERR_PTR()."""
    fs_type = get_fs_type(name)
    if fs_type is None:
        return ERR_PTR(-ENODEV)
    fc = fs_context_for_mount(fs_type, flags)
    put_filesystem(fs_type)
    if IS_ERR(fc):
        return fc
    for key, value in options:
        err = vfs_parse_fs_string(fc, key, value)
        if err:
            put_fs_context(fc)
            return ERR_PTR(err)
    return fc


def mount_options(name: str, at: str, flags: int, *options: tuple[str, str]) -> int:
    fc = new_context(name, flags, *options)
    return PTR_ERR(fc) if IS_ERR(fc) else mount_fc(fc, at)


# ------------------------------------------------------------------------- layers

def copy_xattrs(from_: Path, to: Path) -> int:
    """The extended attributes of one directory for another, without those by which overlayfs talks to itself."""
    size = vfs_listxattr(from_.dentry, 0, 0)
    if size <= 0:
        return size
    names = listxattr(from_.dentry, size)
    if isinstance(names, int):
        return names
    for name in names.split(b"\0")[:-1]:
        if name.startswith(OVERLAY_PREFIX):
            continue
        value = do_getxattr(from_.mnt.mnt_idmap, from_.dentry, name)
        err = value if isinstance(value, int) else do_setxattr(to.mnt.mnt_idmap, to.dentry, name, value, 0)
        if err:
            return err
    return 0


def copy_attrs(from_: str, to: str) -> int:
    """A layer's root looks like that of the layer below, until somebody says otherwise."""
    below, above, stat = Path(), Path(), Kstat()
    err = kern_path(from_, LOOKUP_FOLLOW, below)
    if err:
        return err
    err = kern_path(to, LOOKUP_FOLLOW, above)
    if not err:
        err = vfs_getattr(below, stat, STATX_BASIC_STATS, 0) or copy_xattrs(below, above)
        path_put(above)
    path_put(below)
    return err or init_chown(to, stat.uid, stat.gid, 0) or init_chmod(to, stat.mode & 0o7777)


def mount_overlay(st: layers, upper: str, work: str, merged: str) -> int:
    """An overlay of what there is; ``upper`` is a directory of the stage.

    What overlayfs cannot have it does without, and says so only in the log: no work directory, and it is read-only; no extended
    attributes, and a directory that has been removed cannot be made again. So it has to show that it can: ``upper`` gets a
    whiteout, over which a directory is made. Its name must be nobody's: -EEXIST if a layer has it.
    """
    probe = f"{merged}/{STAGE[1:]}"
    path = Path()
    for lower in st.lower:
        err = kern_path(f"{lower}/{STAGE[1:]}", 0, path)
        if not err:
            path_put(path)
            return -EEXIST
        if err != -ENOENT:
            return err
    err = init_mknod(f"{upper}/{STAGE[1:]}", S_IFCHR, WHITEOUT_DEV)
    if err:
        return err
    options = [("lowerdir+", p) for p in reversed(st.lower)] + [("upperdir", upper), ("workdir", work)]
    err = mount_options("overlay", merged, 0, *options)
    if err:
        return err
    st.mounts.append(merged)
    return init_mkdir(probe, 0o700) or init_rmdir(probe)


def add_erofs(st: layers, n: int, seg: segment, lend: Callable[[segment], memback.erofs_memback_region]) -> int:
    """An image: mounted where it lies. ``lend(seg)`` gives its region."""
    at = f"{STAGE}/{n}"
    err = init_mkdir(at, 0o755)
    if err:
        return err
    fc = new_context("erofs", SB_RDONLY, ("source", "initrd"))
    if IS_ERR(fc):
        return PTR_ERR(fc)
    region = lend(seg)
    err = memback.erofs_fc_set_memback(fc, region) if region else -ENOMEM
    if err:
        put_fs_context(fc)
    else:
        err = mount_fc(fc, at)
    if err:
        return err
    st.mounts.append(at)
    path = Path()
    err = kern_path(at, LOOKUP_FOLLOW, path)
    if err:
        return err
    err = 0 if d_is_dir(path.dentry) else -EINVAL
    path_put(path)
    st.lower.append(at)
    return err


def unpack_in(root: str, start: int, size: int) -> tuple[int, str]:
    """unpack_to_rootfs() with ``root`` as root and working directory of this task alone."""
    shared = current().fs
    private = copy_fs_struct(current_fs())
    if private is None:
        return -ENOMEM, NULL
    current().fs = private
    err = init_chdir(root) or init_chroot(".")
    g.attempting = True
    message: str = NULL if err else base.unpack_to_rootfs(start, size)
    g.attempting = False
    current().fs = shared
    free_fs_struct(private)
    init_flush_fput()
    return err, message


def add_cpio(st: layers, n: int, runs: list[tuple[int, int]], last: bool) -> int:
    """Archives in a row: unpacked over everything below, into a directory of the stage that then is a layer. ``last``: of the
    whole initrd.
    """
    upper, work, merged = f"{STAGE}/{n}", f"{STAGE}/{n}w", f"{STAGE}/{n}m"
    err = init_mkdir(upper, 0o755)
    if err:
        return err
    where = upper
    if st.lower:
        err = copy_attrs(st.lower[-1],
                         upper) or init_mkdir(work, 0o755) or init_mkdir(merged, 0o755) or mount_overlay(st, upper, work, merged)
        if err:
            return err
        where = merged
    for start, end in runs:
        err, message = unpack_in(where, start, end - start)
        if err:
            return err
        if message:
            pr_err("initrd: unpacking failed: %s\n", message)
            return -EINVAL
    if st.lower and not last:
        err = init_umount(merged, 0)
        if err:
            return err
        st.mounts.remove(merged)
        init_flush_fput()
    st.lower.append(upper)
    return 0


def build_layers(st: layers, builtin: tuple[int, int], segments: list[segment],
                 lend: Callable[[segment], memback.erofs_memback_region]) -> tuple[int, str]:
    """Return: (0, path of the finished root) or (error, NULL). ``builtin``: the kernel's own archive, (start, size);
    ``lend(segment)`` gives a region.
    """
    err = init_mkdir(STAGE, 0o700)
    if err:
        return err, NULL
    st.made_stage = True
    err = mount_options("tmpfs", STAGE, 0, ("source", "tmpfs"), ("mode", "0755"))
    if err:
        return err, NULL
    st.mounts.append(STAGE)

    # the built-in archive is the lowest layer; adjacent archives are one layer
    rows: list[segment | list[tuple[int, int]]] = []
    start, size = builtin
    if size:
        rows.append([(start, start + size)])
    for seg in segments:
        if seg.kind == EROFS:
            rows.append(seg)
        elif rows and isinstance(rows[-1], list):
            rows[-1].append((seg.start, seg.end))
        else:
            rows.append([(seg.start, seg.end)])
    for n, row in enumerate(rows):
        last = n == len(rows) - 1
        err = add_erofs(st, n, row, lend) if isinstance(row, segment) else add_cpio(st, n, row, last)
        if err:
            return err, NULL
    if not isinstance(rows[-1], segment):
        return 0, f"{STAGE}/{len(rows) - 1}m"
    upper, work, merged = f"{STAGE}/u", f"{STAGE}/w", f"{STAGE}/m"
    err = (init_mkdir(upper, 0o755) or copy_attrs(st.lower[-1], upper) or init_mkdir(work, 0o755) or init_mkdir(merged, 0o755)
           or mount_overlay(st, upper, work, merged))
    return (err, NULL) if err else (0, merged)


def switch_root(merged: str) -> int:
    """The overlay takes rootfs's place, for every task; rootfs and the stage are not seen any more."""
    new = Path()
    err = kern_path(merged, LOOKUP_FOLLOW, new)
    if err:
        return err
    old = current_fs().root.copy()
    path_get(old)
    err = path_pivot_root(new, new)
    path_put(new)
    if err:
        path_put(old)
        return err
    path_umount(old, MNT_DETACH)                # takes the path; it cannot fail: the mount is ours, unlocked, and has a parent
    return 0


def undo(st: layers) -> None:
    """Take down what stands, last things first. Who is still in there keeps it until he leaves."""
    for at in reversed(st.mounts):
        err = init_umount(at, 0)
        if err:
            init_umount(at, MNT_DETACH)
        init_flush_fput()
    if st.made_stage:
        init_rmdir(STAGE)
    init_flush_fput()
