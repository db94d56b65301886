# SPDX-License-Identifier: GPL-2.0-only
"""What short forms leave is what the functions that they stand for leave: the same bytes, counters, log, errnos, and state of the
machine.

Everything is done in every way: with short forms, without, with a watch that is told everything and does nothing, and with a
chooser that always chooses what happens without one.
"""
from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path as HostPath
from sys import modules
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kemu.cli import main
from kemu.explore import run as explore_run
from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.run import execute
from kemu.explore.source import SeedSource
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.forge.cpio_wild import choose_wild, damage
from kemu.forge.pick import Pick, SeedValues
from kemu.forge.strategies import broken_cpio_archives, cpio_archives
from kemu.linux.cred import Cred
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_APPEND, O_CREAT, O_EXCL, O_LARGEFILE, O_RDWR, O_TRUNC, O_WRONLY
from kemu.linux.file import fput
from kemu.linux.fs import filp_open, kernel_write, register_filesystem, vfs_fchmod, vfs_fchown, vfs_truncate, vfs_utimes
from kemu.linux.fs.namei import walk_component
from kemu.linux.fs_struct import current_fs
from kemu.linux.init_syscalls import LooksForInit, init_chdir, init_chmod, init_chown, init_chroot, init_stat, init_utimes
from kemu.linux.mm.shmem import shmem_fs_type
from kemu.linux.port import user as sys
from kemu.linux.port.series import Series
from kemu.linux.port.user_change import sys_lsetxattr
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.short.long_paths import link_path_walk_on
from kemu.linux.short.ram_runs import fill_new
from kemu.linux.stat import Kstat
from kemu.linux.time64 import timespec64
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.series import ShortForms
from kemu.report import manifest
from kemu.report.walk import walk
from tests.conftest import SHARED
from tests.property.left import Told, Unmoved, file_state, left, the_same
from tests.unit.initramfs.archive import archive, record
from tests.unit.linux.vfs_files import ok

from erofs_memback.harness.mount import MountError, mounted
from initramfs import unpack
from initramfs.harness.boots import boot_initrd
from initramfs.harness.short import forms, new_file

CONFIG = {"CONFIG_EROFS_FS": False}
DATA = HostPath(__file__).parents[1] / "data"
short, ram_runs, long_paths = (modules[fn.__module__] for fn in (forms, fill_new, link_path_walk_on))
WAYS: list[dict[str, Any]] = [{"short": forms()}, {}, {"watch": Told()}, {"chooser": Unmoved()}]


# ------------------------------------------------------------------------- archives

def _unpacker() -> dict[str, Any]:
    """What the unpacker's static variables say."""
    g = unpack.g
    out: dict[str, Any] = {name: getattr(g, name) for name in (
        "csum_present", "io_csum", "message", "hardlink_seen", "mtime", "ino", "major", "minor", "nlink", "mode", "body_len",
        "name_len", "uid", "gid", "rdev",
        "hdr_csum", "state", "next_state", "victim", "byte_count", "this_header", "next_header", "collected", "remains",
        "collect")}
    f = g.wfile
    return {**out, "pos": g.wfile_pos.v, "wfile": None if f is None else PTR_ERR(f) if IS_ERR(f) else file_state(f)}


def unpacked(data: bytes, cmdline: str, at: int, attached: dict[str, Any],
             config: dict[str, bool] | None = None) -> dict[str, Any]:
    out: dict[str, Any] = {}

    def before(m: Machine) -> None:
        m.part(LooksForInit).look = lambda: out.update(left=left(m), unpacker=_unpacker())

    r = boot_initrd(data, builtin="none", config={**CONFIG, **(config or {})}, cmdline=cmdline, at=at, prepare=before, **attached)
    return {**out, "tree": manifest.dump(r.tree), "ended": r.ended, "error": str(r.error), "log": r.log, "freed": r.freed,
            "counters": r.machine.counters.as_dict()}


def every_way(data: bytes, cmdline: str = "", at: int = 0, config: dict[str, bool] | None = None) -> None:
    first, *rest = (unpacked(data, cmdline, at, a, config) for a in WAYS)
    for other in rest:
        the_same(first, other)


kinds = st.sampled_from(["", "root=/dev/ram0 rootfstype=tmpfs", "root=/dev/ram0 rootfstype=tmpfs rootflags=size=64k"])


@settings(max_examples=100)
@given(cpio_archives(), kinds, st.integers(0, 4095))
def test_archives(made: Any, cmdline: str, at: int) -> None:
    every_way(made.data, cmdline, at)


@settings(max_examples=70)
@given(broken_cpio_archives(), kinds)
def test_broken_archives(made: Any, cmdline: str) -> None:
    every_way(made.data, cmdline)


@pytest.mark.parametrize("seed", range(80))
def test_wild_and_damaged_archives(seed: int) -> None:
    pick = Pick(SeedValues(seed))
    made = choose_wild(pick, devices=False)
    every_way((damage(made, pick) if seed % 2 else made).data)


def test_files_of_many_sizes_and_names() -> None:
    names = ["a", "./b", "d/c", "/d/e", "d//f", "d/./g", "d/../h", "d/", "d/c", "d/c/x", "no/such", "l", "l/k", "l2", "n" * 255,
             "n" * 256, "\udcff", "up"]
    rows = [record("d", 0o040755), record("l", 0o120777, b"d"), record("l2", 0o120777, b"d/c"), record("shut", 0o040000, uid=7)]
    for i, name in enumerate([*names, "shut/in"]):
        size = (0, 1, 4095, 4096, 4097, 70000)[i % 6]
        mode = (0o644, 0o4755, 0o2755, 0o7777, 0, 0o2644)[i // 2 % 6]
        raw = name.encode("utf-8", "surrogateescape")
        rows.append(record(raw, 0o100000 | mode, bytes([i + 1]) * size, uid=i % 3 * 1000, gid=i % 2,
                           mtime=i * 0x0FFFFFFF & 0xFFFFFFFF))
    rows.append(record("ids", 0o104755, b"x", uid=0xFFFFFFFF, gid=0xFFFFFFFF))
    for cmdline in ("", "root=/dev/ram0 rootfstype=tmpfs"):
        every_way(archive(*rows), cmdline, 1234)


def test_archives_that_end_anywhere() -> None:
    """The members' state too is what the ordinary steps would leave, wherever the archive ends."""
    rows = [record("d", 0o040755), *(record(f"d/f{i}", data=bytes([i]) * (7 * i), uid=i, mtime=i) for i in range(6))]
    data = b"".join(rows)
    for n in range(len(b"".join(rows[:3])), len(data), 13):
        every_way(data[:n])
    for tail in (bytes(3), bytes(8), bytes(512) + data, b"0", b"x", bytes(1) + data,
                 data.replace(b"070701", b"070702") + record("z", data=b"z"), data.replace(b"d/f", b"d/.")):
        every_way(data + tail)
    for config in (True, False):
        with_mtime = {"CONFIG_INITRAMFS_PRESERVE_MTIME": config}
        every_way(data, config=with_mtime)


# ------------------------------------------------------------------------- calls

CAPS = (0x02000001).to_bytes(4, "little") + b"\1\0\0\0" + bytes(12)
# user 7 has rw-
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 7, 0xFFFFFFFF, 2, 6, 7, 4, 5, 0xFFFFFFFF, 0x10, 7, 0xFFFFFFFF, 0x20, 4, 0xFFFFFFFF)
CALLERS = (None, Cred(7, 7, 0), Cred(7, 9, 0, (3,)), Cred(0, 0, 0))
paths = st.sampled_from(["f", "g", "d/f", "d/g", "/d/f", "d/l", "d/../f", "d", "d/deep/f", "shut/f", "sticky/f", "./f", "f/x", "",
                         ".", "d/"])
ids = st.sampled_from([0, 7, 9, 3, 0xFFFFFFFF])
times = st.builds(timespec64, st.sampled_from([0, 1, -5, 1 << 33, 1 << 62]), st.sampled_from([0, 999_999_999, 1_000_000_000, -1]))
opens = st.tuples(st.just("open"), paths, st.sampled_from([0, O_TRUNC, O_EXCL, O_APPEND, O_RDWR]),
                  st.sampled_from([0o644, 0, 0o7777, 0o2755]))
steps = st.lists(st.one_of(
    opens, opens, opens,
    st.tuples(st.just("write"), st.integers(0, 3), st.sampled_from([0, 1, 4095, 4096, 9000, -1, 1 << 62]),
              st.sampled_from([1, 100, 4096, 29000])),
    st.tuples(st.just("chown"), st.integers(0, 3), ids, ids),
    st.tuples(st.just("chmod"), st.integers(0, 3), st.sampled_from([0o644, 0o4755, 0o2755, 0o2644, 0, 0o177777])),
    st.tuples(st.just("truncate"), st.integers(0, 3), st.sampled_from([0, 1, 5000, 1 << 40, -1, (1 << 63) - 1])),
    st.tuples(st.just("utimes"), st.integers(0, 3), times, times),
    st.tuples(st.just("put"), st.integers(0, 3)),
    st.tuples(st.just("path"), paths, st.sampled_from(["chown", "chmod", "utimes", "stat", "unlink", "rmdir", "chdir", "cap",
                                                       "acl", "link"])),
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
            "chown": lambda p: init_chown(p, 3, 4, 0), "chmod": lambda p: init_chmod(p, 0o4711),
            "stat": lambda p: init_stat(p, Kstat(), 0),
            "utimes": lambda p: init_utimes(p, (timespec64(5, 6), timespec64(7, 8))), "unlink": sys.sys_unlink,
            "rmdir": sys.sys_rmdir, "chdir": init_chdir,
            "acl": lambda p: sys_lsetxattr(p, b"system.posix_acl_access", ACL),
            "cap": lambda p: sys_lsetxattr(p, b"security.capability", CAPS),
            "link": lambda p: sys.sys_link(p, "d/new")}
        for what, *args in script:
            if what == "open":
                f = filp_open(args[0], O_WRONLY | O_CREAT | O_LARGEFILE | args[1], args[2])
                said.append(PTR_ERR(f) if IS_ERR(f) else file_state(f))
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


@settings(max_examples=250)
@given(steps, systems)
# in a directory that is gone
@example([*FIRST, ("path", "d/deep", "chdir"), ("path", "../deep", "rmdir"), ("open", "g", 0, 0o644)], RAMFS)
@example([*FIRST, ("caller", 1), ("open", "d/g", 0, 0o644)], RAMFS)
# ->create fails
@example([*FIRST, *(("open", f"d/{i}", 0, 0o644) for i in range(12)), ("open", "d/0", 0, 0o644)], FULL)
# the second is short
@example([*FIRST, *(("open", f"d/{i}", 0, 0o644) for i in range(3)), ("write", 0, 1, 9000), ("write", 1, 1, 9000)], FULL)
@example([("open", "f", 0, 0o644), ("write", 0, 0, 9000), ("truncate", 0, 1), ("truncate", 0, 5000)], RAMFS)
@example([("open", "f", 0, 0o644), ("tick",), ("truncate", 0, 5000), ("tick",), ("truncate", 0, 5000)], TMPFS)
@example([("open", "f", 0, 0o4777), ("chown", 0, 7, 9), ("chmod", 0, 0o6777), ("caller", 1), ("chown", 0, 7, 7),
          ("write", 0, 0, 1)], TMPFS)
@example([("open", "f", 0, 0o644), ("path", "f", "cap"), ("chown", 0, 0, 0), ("path", "f", "cap"), ("truncate", 0, 5000)], TMPFS)
@example([("open", "f", 0, 0o644), ("path", "f", "acl"), ("chmod", 0, 0o4711), ("path", "d", "acl"), ("open", "d/f", 0, 0o644)],
         TMPFS)
@example([("open", "f", O_APPEND, 0o644), ("write", 0, 0, 100), ("write", 0, 0, 100), ("write", 0, 4095, 4096)], RAMFS)
def test_calls(script: list[tuple[Any, ...]], fs: tuple[str, str | None]) -> None:
    first, *rest = (play(script, fs, a) for a in WAYS)
    for other in rest:
        the_same(first, other)


# ------------------------------------------------------------------------- long paths

NAMES = [b"l" * 60 + b"%d" % i for i in range(3)]           # three of them are a long path
DIR, FILE, LINK = 0o040755, 0o100644, 0o120777
long_names = st.lists(st.sampled_from([*NAMES, b"d", b"..", b"."]), min_size=1, max_size=6).map(b"/".join)
members = st.builds(lambda name, mode, target, slash: Member(name + (b"/" if slash else b""), mode,
                                                             target if mode == LINK else b"x" if mode == FILE else b""),
                    long_names, st.sampled_from([DIR, DIR, DIR, FILE, LINK]), long_names, st.booleans())


@settings(deadline=None, max_examples=60)
@given(st.lists(members, min_size=2, max_size=24), st.sampled_from([long_paths.LONG, 0]))
def test_long_paths(found: list[Member], at_least: int) -> None:
    data = encode([Segment(members=[*found, trailer()])])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_paths, "LONG", at_least)
        got = unpacked(data, "", 0, WAYS[0])
    the_same(got, unpacked(data, "", 0, WAYS[1]))


def test_a_deep_tree_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 folders, each named from the root: a hundred thousand steps are enough, a square number would be twenty million."""
    steps = 0
    plain = walk_component

    def counting(nd: Any, flags: int) -> Any:
        nonlocal steps
        steps += 1
        return plain(nd, flags)

    data = encode([Segment(members=[*(Member(b"d/" * n + b"d", DIR) for n in range(2000)), trailer()])])
    monkeypatch.setattr(modules[walk_component.__module__], "walk_component", counting)
    r = boot_initrd(data, builtin="none", short=forms())
    assert len(r.tree) == 2001 and steps < 200_000


# ------------------------------------------------------------------------- what there is

def _images(folder: HostPath, every: int = 1) -> list[HostPath]:
    return sorted(folder.rglob("*.erofs"))[::every]


def _archives(folder: HostPath, every: int = 1) -> list[HostPath]:
    return sorted(p for p in folder.rglob("*") if ".cpio" in p.name and p.suffix not in (".jsonl", ".md"))[::every]


CORPUS = SHARED / "corpus"
ARCHIVES = [*_archives(DATA), *(sorted(p for p in (CORPUS / "cpio").glob("*") if p.suffix not in (".jsonl", ".md", ".json"))[::4]
                                if CORPUS.exists() else [])]
IMAGES = [*_images(DATA), *(_images(CORPUS, 12) if CORPUS.exists() else [])]


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda p: p.name)
def test_archives_of_others(path: HostPath) -> None:
    data = path.read_bytes()
    if len(data) > 4 << 20:
        pytest.skip("large")
    the_same(*(unpacked(data, "", 0, way) for way in WAYS[:2]))


def seen(image: bytes, backend: str, way: dict[str, Any]) -> dict[str, Any]:
    try:
        with mounted(image, backend=backend, **way) as m:
            tree = list(walk(m.path, cap=1 << 24))
            return {"tree": tree, "counters": m.machine.counters.as_dict(), "log": m.machine.log.lines()}
    except MountError as e:
        return {"errno": e.errno, "log": e.log}


@pytest.mark.parametrize("path", IMAGES, ids=lambda p: p.name)
def test_images_of_others(path: HostPath) -> None:
    """A file-backed mount writes its image to a ramfs, in whole ranges."""
    data = path.read_bytes()
    if len(data) > 4 << 20:
        pytest.skip("large")
    the_same(*(seen(data, "fileio", way) for way in WAYS[:2]))


# ------------------------------------------------------------------------- experiments

load_entry_points()


# what is fed with kept inputs draws nothing that is worth its time from a seed
@pytest.mark.parametrize("name", sorted(name for name, e in registry.items() if e.feed is None and "py" in e.rungs))
def test_experiments(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an experiment does, on machines that nobody looks into: the same outcome, and on each machine the same counters and
    log.
    """
    def done(way: dict[str, Any], seed: int) -> list[Any]:
        machines: list[Machine] = []

        def unobserved(chooser: Any, watch: Any, **options: Any) -> Machine:
            machines.append(Machine(**{**options, **way}))
            return machines[-1]

        monkeypatch.setattr(explore_run, "Observed", unobserved)
        out = execute(registry[name], SeedSource(seed), detect=False)
        return [out.finding and (out.finding.title, out.finding.report), out.offsets,
                *((m.counters.as_dict(), m.log.lines(), m.clock.now_ns) for m in machines)]

    for seed in range(3):
        the_same(done(WAYS[0], seed), done(WAYS[1], seed), f"seed {seed}")


# ------------------------------------------------------------------------- at the edge

MANY = archive(record("d", 0o040755), *(record(f"d/f{i}", data=bytes(i)) for i in range(10)))


class Noted:
    """How often each short form has been used."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.made: list[bytes] = []
        self.ranges = self.walks = 0
        real_file, real_run, real_walk = short.new_file, ram_runs._write_run, long_paths._beginning

        def file(at: Any, last: bytes, *args: Any) -> Any:
            f = real_file(at, last, *args)
            if f is not None:
                self.made.append(last)
            return f

        def run(*args: Any) -> int:
            n = real_run(*args)
            self.ranges += n > 0
            return n

        def beginning(*args: Any) -> Any:
            found = real_walk(*args)
            self.walks += found[1] > 0
            return found

        patch.setattr(short, "new_file", file)
        patch.setattr(ram_runs, "_write_run", run)
        patch.setattr(long_paths, "_beginning", beginning)


def test_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """This file would compare nothing if they were not."""
    noted = Noted(monkeypatch)
    unpacked(MANY, "", 0, WAYS[0])
    assert len(noted.made) == 9                             # the first open makes the slab cache
    unpacked(MANY, "root=/dev/ram0 rootfstype=tmpfs", 0, WAYS[0])
    assert len(noted.made) == 9 and noted.ranges == 9       # of the ten files one is empty
    deep = encode([Segment(members=[*(Member(b"d/" * n + b"d", DIR) for n in range(100)), trailer()])])
    unpacked(deep, "", 0, WAYS[0])
    assert noted.walks > 30


@pytest.mark.parametrize("way", WAYS[1:])
def test_they_are_not_used_unless_asked_for(way: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted(monkeypatch)
    unpacked(MANY, "", 0, way)
    assert (noted.made, noted.ranges, noted.walks) == ([], 0, 0)


def test_a_machine_that_is_looked_into_takes_none() -> None:
    for attached in WAYS[2:]:
        with pytest.raises(ValueError, match="short forms"):
            Machine(short=forms(), **attached)


@pytest.mark.parametrize("to", [("machine", "this"), ("machine",), ("this",)])
@pytest.mark.parametrize("what", ["watch", "chooser"])
def test_attached_later(what: str, to: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """From then on the functions themselves run, and what was done is what they would have done."""
    noted = Noted(monkeypatch)
    attached = {"watch": Told(), "chooser": Unmoved()}[what]

    def attach(m: Machine) -> None:
        for place in to:
            setattr({"machine": m, "this": this}[place], what, attached)

    r = boot_initrd(MANY, builtin="none", config=CONFIG, short=forms(), prepare=attach)
    assert noted.made == [] and len(r.tree) == 12 and r.machine.short == []
    late: list[Any] = []
    real = unpack.do_name

    def do_name() -> int:
        if not late:
            late.append(attach(this.machine))
        return real()

    monkeypatch.setattr(unpack, "actions", [do_name if a is real else a for a in unpack.actions])
    r = boot_initrd(MANY, builtin="none", config=CONFIG, short=forms())
    assert noted.made == [] and len(r.tree) == 12           # the first member is a folder: do_name() comes before the files


def originals() -> list[Any]:
    return [unpack.write_buffer, *(pair[0] for s in forms() for pair in s.replacements.values())]


def test_everything_is_put_back() -> None:
    before = originals()
    unpacked(MANY, "", 0, WAYS[0])
    with Machine(short=forms()) as outer:
        assert unpack.write_buffer is not before[0]
        with Machine():
            assert unpack.write_buffer is before[0]         # a machine within has its own
            outer.watch = Told()
        assert unpack.write_buffer is before[0]
    assert originals() == before


@pytest.mark.parametrize("fn", [filp_open, unpack.do_name, unpack.clean_path])
def test_a_series_that_edits_a_step_is_asked(fn: Any) -> None:
    """Whoever replaces one of the functions that whole files stand for sees every call of it."""
    calls: list[Any] = []
    series = Series("noted", packages=("initramfs",))

    @series.replaces(fn)
    def noted(*args: Any) -> Any:
        calls.append(args)
        return fn(*args)

    unpacked(MANY, "", 0, {"machine": partial(Machine, series=[series]), "short": forms()})
    assert len(calls) >= 10


def test_a_series_of_something_else_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from erofs_memback import memback

    noted = Noted(monkeypatch)
    unpacked(MANY, "", 0, {"machine": partial(Machine, series=[memback.series]), "short": forms()})
    assert len(noted.made) == 9


@pytest.mark.parametrize("args", [("boot", "{archive}", "--manifest"), ("boot", "{archive}", "--dmesg"),
                                  ("compare", "{archive}", "--json"),
                                  ("mount", "{image}", "--backend", "fileio", "--stats")], ids=" ".join)
def test_commands(args: tuple[str, ...], tmp_path: HostPath, monkeypatch: pytest.MonkeyPatch,
                  capsys: pytest.CaptureFixture[str]) -> None:
    """They use short forms, and with ``--no-short`` none: the same output."""
    (tmp_path / "archive").write_bytes((DATA / "root.cpio").read_bytes().replace(b"TRAILER!!!", b"trailer   ") + MANY)
    argv = [a.format(archive=tmp_path / "archive", image=DATA / "demo.erofs") for a in args]
    noted = Noted(monkeypatch)
    code = main(argv)
    first = capsys.readouterr()
    used = len(noted.made) + noted.ranges
    assert used > 0
    assert main([*argv, "--no-short"]) == code and capsys.readouterr() == first
    assert len(noted.made) + noted.ranges == used


# ------------------------------------------------------------------------- this file can fail

def _wrong_owner(made: Any, *args: Any) -> Any:
    if made is not None:
        made.f_inode.i_gid ^= 1
    return made


def _wrong_time(made: Any, *args: Any) -> Any:
    if made is not None:
        made.f_inode.i_mtime_sec += 1
    return made


def _wrong_count(made: Any, *args: Any) -> Any:
    if made is not None:
        this.counters.bytes_copied += 1
    return made


@pytest.mark.parametrize("wrong", [_wrong_owner, _wrong_time, _wrong_count])
def test_a_wrong_short_form_is_found(wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    real = new_file
    monkeypatch.setattr(short, "new_file", lambda *args: wrong(real(*args), *args))
    with pytest.raises(AssertionError):
        every_way(MANY)


def test_a_wrong_range_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ram_runs._make_run

    def wrong(mapping: Any, index: int, nr: int, pfn: int) -> None:
        real(mapping, index, nr, pfn)
        mapping.i_pages[index].flags &= ~8

    monkeypatch.setattr(ram_runs, "_make_run", wrong)
    with pytest.raises(AssertionError):
        every_way(MANY, "root=/dev/ram0 rootfstype=tmpfs")


def test_a_wrong_walk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_paths, "_leads", lambda at, names, dir: True)
    monkeypatch.setattr(long_paths, "LONG", 0)
    rows = [Member(b"a", DIR), Member(b"a/b", DIR), Member(b"c", DIR), Member(b"c/l", LINK, b"../a/b"), Member(b"c/l/x", DIR),
            Member(b"c/q", DIR)]
    data = encode([Segment(members=[*rows, trailer()])])
    got = unpacked(data, "", 0, WAYS[0])
    with pytest.raises(AssertionError):
        the_same(got, unpacked(data, "", 0, WAYS[1]))


def test_names_elsewhere_stay() -> None:
    """Sites are looked for in the modules of the named packages alone."""
    form = ShortForms("elsewhere", packages=("kemu.check",), stands_for=("initramfs.unpack",))
    form.replaces(unpack.write_buffer)(lambda buf, n: 0)
    with Machine(short=[form]):
        assert unpack.write_buffer is form.replacements[id(unpack.write_buffer)][0]
