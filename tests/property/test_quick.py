# SPDX-License-Identifier: GPL-2.0-only
"""What vfs/quick.py, _plain() of vfs/attr.py and the writes of whole ranges leave is what the calls that they stand for leave.

Everything is done three times: with nothing attached (the short way), with a watch that is told everything and does nothing, and with a
chooser that always chooses what happens without one.
"""
from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kemu.forge.cpio_wild import choose_wild, damage
from kemu.forge.pick import Pick, SeedValues
from kemu.forge.strategies import broken_cpio_archives, cpio_archives
from kemu.linux import user as sys
from kemu.linux.cred import Cred, current_cred
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_APPEND, O_CREAT, O_EXCL, O_LARGEFILE, O_RDWR, O_TRUNC, O_WRONLY
from kemu.linux.file import fput
from kemu.linux.fs import filp_open, kernel_write, register_filesystem, vfs_fchmod, vfs_fchown, vfs_truncate, vfs_utimes
from kemu.linux.fs_struct import current_fs
from kemu.linux.init_syscalls import init_chdir, init_chmod, init_chown, init_chroot, init_stat, init_utimes
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.series import Series
from kemu.linux.shmem import shmem_fs_type
from kemu.linux.time64 import timespec64
from kemu.linux.types import Ref
from kemu.linux.user_change import sys_lsetxattr
from kemu.linux.vfs import open as vfs_open
from kemu.linux.vfs.dentry import g as dentries
from kemu.linux.vfs.file_table import g as files
from kemu.linux.vfs.inode_alloc import g as inodes
from kemu.linux.vfs.types import Kstat
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.report.walk import walk
from tests.unit.initramfs.archive import archive, record
from tests.unit.linux.vfs_files import ok

from initramfs import unpack
from initramfs.harness.boots import boot_initrd

CONFIG = {"CONFIG_EROFS_FS": False}


class Told:
    """A watch that is told everything and does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *a, **k: None


class Unmoved:
    """A chooser under which everything happens as it does without one."""

    def task(self, runnable: list[Any], current: Any, where: str) -> int:
        return runnable.index(current) if current in runnable else 0

    def fault(self, kind: str, what: str) -> bool:
        return False

    def value(self, name: str, low: int, high: int) -> int:
        return low


ATTACHED: list[dict[str, Any]] = [{}, {"watch": Told()}, {"chooser": Unmoved()}]


# ------------------------------------------------------------------------- all that is left

def _name_of(obj: Any) -> tuple[Any, ...]:
    return (type(obj).__name__,) if obj is not None else ()


def _inode(inode: Any) -> dict[str, Any]:
    out = {name: getattr(inode, name) for name in (
        "i_mode", "i_flags", "i_uid", "i_gid", "i_ino", "i_nlink", "i_rdev", "i_size", "i_atime_sec", "i_mtime_sec", "i_ctime_sec", "i_atime_nsec",
        "i_mtime_nsec", "i_ctime_nsec", "i_blkbits", "i_blocks", "i_state", "i_count", "i_writecount", "i_readcount", "i_linklen")}
    out["ops"] = id(inode.i_op), id(inode.i_fop), id(inode.i_mapping.a_ops), inode.i_mapping.flags, inode.i_mapping.gfp_mask
    out["locked"] = inode.i_rwsem is not None and (inode.i_rwsem.writer is not None or inode.i_rwsem.readers)
    acl = inode.i_acl
    out["acl"] = acl if acl is None or isinstance(acl, int) else list(acl.a_entries)
    out["xattrs"] = sorted(getattr(inode, "xattrs", {}))
    out["aliases"] = [d.d_name.name for d in inode.i_dentry]
    mem = this.mem
    out["pages"] = {i: (p.index, p.kind, p.flags, p.refcount, p.order, p.private, p.mapping is inode.i_mapping, mem.get_state(p.pfn),
                        bytes(mem.buf[p.pfn << mem.shift:(p.pfn + 1) << mem.shift])) for i, p in inode.i_mapping.i_pages.items()}
    out["nrpages"] = inode.i_mapping.nrpages
    return out


def _dentries(dentry: Any, at: bytes, out: dict[bytes, Any]) -> None:
    hashed = dentry.d_subdirs or {}
    out[at] = (dentry.d_flags, dentry.d_lockref, dentry.d_hashed, list(hashed), [d.d_name.name for d in dentry.d_children or ()], _name_of(dentry.d_op),
               None if dentry.d_inode is None else _inode(dentry.d_inode), id(dentry.d_sb.s_type))
    for d in dentry.d_children or ():
        _dentries(d, at + b"/" + d.d_name.name, out)


def _file(f: Any) -> tuple[Any, ...]:
    return (f.f_mode, f.f_flags, f.f_iocb_flags, f.f_ref, f.f_pos, f.f_wb_err, f.f_path.dentry.d_name.name, f.f_inode.i_ino, f.f_cred is current_cred(),
            f.f_ra.ra_pages, f.f_ra.prev_pos, id(f.f_op), f.f_mapping is f.f_inode.i_mapping)


def left(m: Machine) -> dict[str, Any]:
    """All that a caller, a detector or a report could see of the machine."""
    root = current_fs().root
    tree: dict[bytes, Any] = {}
    _dentries(root.dentry, b"", tree)
    sb = root.mnt.mnt_sb
    return {
        "counters": m.counters.as_dict(), "log": m.log.lines(), "now": m.clock.now_ns, "dentries": tree,
        "ledger": Counter((p.kind, p.order, p.flags, p.refcount, p.index, p.owner) for p in m.alloc.pages.values()),
        "codes": Counter(c if isinstance(c, int) else bytes(c) for c in m.mem.state.values()),
        "slab": sorted((o.size, o.slot) for o in m.slab.live.values()),
        "caches": (files.nr_files, files.filp_cache and files.filp_cache.live, dentries.dentry_cache.live, len(dentries.in_lookup), inodes.nr_inodes, inodes.last_ino),
        "closing": [_file(f) for f in files.delayed_fput_list], "cred": current_cred().usage, "mount": (root.mnt.mnt_count, root.mnt.mnt_writers),
        "sb": (len(sb.s_inodes), sb.s_remove_count, list(sb.s_dentry_lru), sb.s_active),
    }


def the_same(a: Any, b: Any, what: str = "") -> None:
    """Equal, or the first place where they differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        assert a.keys() == b.keys(), what
        for k in a:
            the_same(a[k], b[k], f"{what}/{k!r}")
    elif isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            the_same(x, y, f"{what}[{i}]")
    else:
        assert a == b, what


# ------------------------------------------------------------------------- archives

def _unpacker() -> dict[str, Any]:
    """What the unpacker's static variables say."""
    g = unpack.g
    out: dict[str, Any] = {name: getattr(g, name) for name in (
        "csum_present", "io_csum", "message", "hardlink_seen", "mtime", "ino", "major", "minor", "nlink", "mode", "body_len", "name_len", "uid", "gid", "rdev",
        "hdr_csum", "state", "next_state", "victim", "byte_count", "this_header", "next_header", "collected", "remains", "collect")}
    f = g.wfile
    return {**out, "pos": g.wfile_pos.v, "wfile": None if f is None else PTR_ERR(f) if IS_ERR(f) else _file(f)}


def unpacked(data: bytes, cmdline: str, at: int, attached: dict[str, Any], config: dict[str, bool] | None = None) -> dict[str, Any]:
    out: dict[str, Any] = {}

    def before(m: Machine) -> None:
        m.parts["looks_for_init"] = lambda: out.update(left=left(m), unpacker=_unpacker())

    r = boot_initrd(data, builtin="none", tree=False, config={**CONFIG, **(config or {})}, cmdline=cmdline, at=at, prepare=before, **attached)
    return {**out, "ended": r.ended, "error": str(r.error), "log": r.log, "freed": r.freed, "counters": r.machine.counters.as_dict()}


def three_ways(data: bytes, cmdline: str = "", at: int = 0, config: dict[str, bool] | None = None) -> None:
    first, *rest = (unpacked(data, cmdline, at, a, config) for a in ATTACHED)
    for other in rest:
        the_same(first, other)


kinds = st.sampled_from(["", "root=/dev/ram0 rootfstype=tmpfs", "root=/dev/ram0 rootfstype=tmpfs rootflags=size=64k"])


@settings(max_examples=150)
@given(cpio_archives(), kinds, st.integers(0, 4095))
def test_archives(made: Any, cmdline: str, at: int) -> None:
    three_ways(made.data, cmdline, at)


@settings(max_examples=100)
@given(broken_cpio_archives(), kinds)
def test_broken_archives(made: Any, cmdline: str) -> None:
    three_ways(made.data, cmdline)


@pytest.mark.parametrize("seed", range(120))
def test_wild_and_damaged_archives(seed: int) -> None:
    pick = Pick(SeedValues(seed))
    made = choose_wild(pick, devices=False)
    three_ways((damage(made, pick) if seed % 2 else made).data)


def test_files_of_many_sizes_and_names() -> None:
    names = ["a", "./b", "d/c", "/d/e", "d//f", "d/./g", "d/../h", "d/", "d/c", "d/c/x", "no/such", "l", "l/k", "l2", "n" * 255, "n" * 256, "\udcff", "up"]
    rows = [record("d", 0o040755), record("l", 0o120777, b"d"), record("l2", 0o120777, b"d/c"), record("shut", 0o040000, uid=7)]
    for i, name in enumerate([*names, "shut/in"]):
        size = (0, 1, 4095, 4096, 4097, 70000)[i % 6]
        mode = (0o644, 0o4755, 0o2755, 0o7777, 0, 0o2644)[i // 2 % 6]
        raw = name.encode("utf-8", "surrogateescape")
        rows.append(record(raw, 0o100000 | mode, bytes([i + 1]) * size, uid=i % 3 * 1000, gid=i % 2, mtime=i * 0x0FFFFFFF & 0xFFFFFFFF))
    rows.append(record("ids", 0o104755, b"x", uid=0xFFFFFFFF, gid=0xFFFFFFFF))
    for cmdline in ("", "root=/dev/ram0 rootfstype=tmpfs"):
        three_ways(archive(*rows), cmdline, 1234)


def test_the_short_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """This file would compare nothing if it were not."""
    made: list[bool] = []
    real = vfs_open.open_new

    def noted(*a: Any) -> Any:
        f = real(*a)
        made.append(f is not None)
        return f

    monkeypatch.setattr(vfs_open, "open_new", noted)
    whole: list[bytes] = []
    new_file = unpack.new_file

    def noted_whole(at: Any, last: bytes, *a: Any) -> Any:
        f = new_file(at, last, *a)
        if f is not None:
            whole.append(last)
        return f

    monkeypatch.setattr(unpack, "new_file", noted_whole)
    data = archive(record("d", 0o040755), *(record(f"d/f{i}", data=bytes(i)) for i in range(10)))
    for cmdline, at_once in (("", 9), ("root=/dev/ram0 rootfstype=tmpfs", 0)):
        made.clear()
        whole.clear()
        unpacked(data, cmdline, 0, {})
        assert sum(made) + len(whole) == 9 and len(whole) == at_once      # the first open makes the slab cache, and the last is that of /dev/console
    made.clear()
    whole.clear()
    for attached in ATTACHED[1:]:
        unpacked(data, "", 0, attached)
    assert made == [] and whole == []


def test_a_series_that_edits_a_step_is_asked() -> None:
    """Whoever replaces one of the functions that whole files stand for sees every call of it."""
    names: list[str] = []
    real = unpack.filp_open
    series = Series("noted", packages=("initramfs",))

    @series.replaces(real)
    def noted(filename: str, flags: int, mode: int) -> Any:
        names.append(filename)
        return real(filename, flags, mode)

    data = archive(*(record(f"f{i}", data=bytes(i)) for i in range(10)))
    unpacked(data, "", 0, {"machine": partial(Machine, series=[series])})
    assert names[:10] == [f"f{i}" for i in range(10)]


def test_archives_that_end_anywhere() -> None:
    """The members' state too is what the ordinary steps would leave, wherever the archive ends."""
    rows = [record("d", 0o040755), *(record(f"d/f{i}", data=bytes([i]) * (7 * i), uid=i, mtime=i) for i in range(6))]
    data = b"".join(rows)
    for n in range(len(b"".join(rows[:3])), len(data), 13):
        three_ways(data[:n])
    for tail in (bytes(3), bytes(8), bytes(512) + data, b"0", b"x", bytes(1) + data, data.replace(b"070701", b"070702") + record("z", data=b"z"), data.replace(b"d/f", b"d/.")):
        three_ways(data + tail)
    for config in (True, False):
        with_mtime = {"CONFIG_INITRAMFS_PRESERVE_MTIME": config}
        three_ways(data, config=with_mtime)


# ------------------------------------------------------------------------- calls

CAPS = (0x02000001).to_bytes(4, "little") + b"\1\0\0\0" + bytes(12)
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 7, 0xFFFFFFFF, 2, 6, 7, 4, 5, 0xFFFFFFFF, 0x10, 7, 0xFFFFFFFF, 0x20, 4, 0xFFFFFFFF)    # user 7 has rw-
CALLERS = (None, Cred(7, 7, 0), Cred(7, 9, 0, (3,)), Cred(0, 0, 0))
paths = st.sampled_from(["f", "g", "d/f", "d/g", "/d/f", "d/l", "d/../f", "d", "d/deep/f", "shut/f", "sticky/f", "./f", "f/x", "", ".", "d/"])
ids = st.sampled_from([0, 7, 9, 3, 0xFFFFFFFF])
times = st.builds(timespec64, st.sampled_from([0, 1, -5, 1 << 33, 1 << 62]), st.sampled_from([0, 999_999_999, 1_000_000_000, -1]))
opens = st.tuples(st.just("open"), paths, st.sampled_from([0, O_TRUNC, O_EXCL, O_APPEND, O_RDWR]), st.sampled_from([0o644, 0, 0o7777, 0o2755]))
steps = st.lists(st.one_of(
    opens, opens, opens,
    st.tuples(st.just("write"), st.integers(0, 3), st.sampled_from([0, 1, 4095, 4096, 9000, -1, 1 << 62]), st.sampled_from([1, 100, 4096, 29000])),
    st.tuples(st.just("chown"), st.integers(0, 3), ids, ids),
    st.tuples(st.just("chmod"), st.integers(0, 3), st.sampled_from([0o644, 0o4755, 0o2755, 0o2644, 0, 0o177777])),
    st.tuples(st.just("truncate"), st.integers(0, 3), st.sampled_from([0, 1, 5000, 1 << 40, -1, (1 << 63) - 1])),
    st.tuples(st.just("utimes"), st.integers(0, 3), times, times),
    st.tuples(st.just("put"), st.integers(0, 3)),
    st.tuples(st.just("path"), paths, st.sampled_from(["chown", "chmod", "utimes", "stat", "unlink", "rmdir", "chdir", "cap", "acl", "link"])),
    st.tuples(st.just("caller"), st.integers(0, len(CALLERS) - 1)),
    st.tuples(st.just("tick"),)), min_size=8, max_size=40)
systems = st.sampled_from([("ramfs", None), ("tmpfs", None), ("tmpfs", "size=16k,nr_inodes=12")])


def play(script: list[tuple[Any, ...]], fs: tuple[str, str | None], attached: dict[str, Any]) -> dict[str, Any]:
    """What each call answered, and what is left."""
    said: list[Any] = []
    with Machine(**attached) as m:
        this.task.cred = Cred()
        register_filesystem(ramfs_fs_type if fs[0] == "ramfs" else shmem_fs_type)
        ok(sys.sys_mkdir("/mnt", 0o755))
        ok(sys.sys_mount("none", "/mnt", fs[0], 0, fs[1]))
        ok(init_chdir("/mnt") or init_chroot("."))
        for path, mode in (("d", 0o755), ("d/deep", 0o700), ("shut", 0o000), ("sticky", 0o3777)):
            ok(sys.sys_mkdir(path, mode))
            ok(init_chmod(path, mode))
        ok(sys.sys_symlink("../g", "d/l"))
        src = m.slab.kmalloc(30000, True)
        this.mem.store(src, bytes(range(250)) * 120)
        opened: list[Any] = []
        do: dict[str, Callable[..., Any]] = {
            "chown": lambda f, u, g: vfs_fchown(f, u, g), "chmod": lambda f, mode: vfs_fchmod(f, mode),
            "truncate": lambda f, n: vfs_truncate(f.f_path, n), "utimes": lambda f, a, b: vfs_utimes(f.f_path, (a, b))}
        by_path: dict[str, Callable[[str], Any]] = {
            "chown": lambda p: init_chown(p, 3, 4, 0), "chmod": lambda p: init_chmod(p, 0o4711), "stat": lambda p: init_stat(p, Kstat(), 0),
            "utimes": lambda p: init_utimes(p, (timespec64(5, 6), timespec64(7, 8))), "unlink": sys.sys_unlink, "rmdir": sys.sys_rmdir, "chdir": init_chdir,
            "acl": lambda p: sys_lsetxattr(p, b"system.posix_acl_access", ACL),
            "cap": lambda p: sys_lsetxattr(p, b"security.capability", CAPS),
            "link": lambda p: sys.sys_link(p, "d/new")}
        for what, *args in script:
            if what == "open":
                f = filp_open(args[0], O_WRONLY | O_CREAT | O_LARGEFILE | args[1], args[2])
                said.append(PTR_ERR(f) if IS_ERR(f) else _file(f))
                if not IS_ERR(f):
                    opened.append(f)
            elif what == "caller":
                this.task.cred = CALLERS[args[0]]
            elif what == "tick":
                m.clock.now_ns += 12_345_678
            elif what == "path":
                said.append(by_path[args[1]](args[0]))
            elif opened:
                f = opened[args[0] % len(opened)]
                if what == "write":
                    pos = Ref(args[1])
                    said.append((kernel_write(f, src + 7, args[2], pos), pos.v))
                elif what == "put":
                    opened.remove(f)
                    said.append(fput(f))
                else:
                    said.append(do[what](f, *args[1:]))
        this.task.cred = None
        for f in opened:
            fput(f)
        m.idle()
        return {"said": said, "left": left(m), "tree": list(walk(current_fs().root, cap=1 << 16))}


FIRST = [("open", "f", 0, 0o644), ("put", 0)]
RAMFS, TMPFS, FULL = ("ramfs", None), ("tmpfs", None), ("tmpfs", "size=16k,nr_inodes=12")


@settings(max_examples=400)
@given(steps, systems)
@example([*FIRST, ("path", "d/deep", "chdir"), ("path", "../deep", "rmdir"), ("open", "g", 0, 0o644)], RAMFS)      # in a directory that is gone
@example([*FIRST, ("caller", 1), ("open", "d/g", 0, 0o644)], RAMFS)
@example([*FIRST, *(("open", f"d/{i}", 0, 0o644) for i in range(12)), ("open", "d/0", 0, 0o644)], FULL)             # ->create fails
@example([*FIRST, *(("open", f"d/{i}", 0, 0o644) for i in range(3)), ("write", 0, 1, 9000), ("write", 1, 1, 9000)], FULL)   # the second is short
@example([("open", "f", 0, 0o644), ("write", 0, 0, 9000), ("truncate", 0, 1), ("truncate", 0, 5000)], RAMFS)
@example([("open", "f", 0, 0o644), ("tick",), ("truncate", 0, 5000), ("tick",), ("truncate", 0, 5000)], TMPFS)
@example([("open", "f", 0, 0o4777), ("chown", 0, 7, 9), ("chmod", 0, 0o6777), ("caller", 1), ("chown", 0, 7, 7), ("write", 0, 0, 1)], TMPFS)
@example([("open", "f", 0, 0o644), ("path", "f", "cap"), ("chown", 0, 0, 0), ("path", "f", "cap"), ("truncate", 0, 5000)], TMPFS)
@example([("open", "f", 0, 0o644), ("path", "f", "acl"), ("chmod", 0, 0o4711), ("path", "d", "acl"), ("open", "d/f", 0, 0o644)], TMPFS)
@example([("open", "f", O_APPEND, 0o644), ("write", 0, 0, 100), ("write", 0, 0, 100), ("write", 0, 4095, 4096)], RAMFS)
def test_calls(script: list[tuple[Any, ...]], fs: tuple[str, str | None]) -> None:
    first, *rest = (play(script, fs, a) for a in ATTACHED)
    for other in rest:
        the_same(first, other)
