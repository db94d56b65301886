# SPDX-License-Identifier: GPL-2.0-only
"""One thing that both kernels are asked: a case of the coverage search, how closely it is looked at, and which call fails."""
from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from errno import EIO, errorcode
from typing import Any

from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.doors import names, sysfs
from kemu.rung.c.kernel import FAIL_MORE, NEVER, Instance
from kemu.rung.c.module import come_and_go
from kemu.rung.protocol import Answer
from kemu.series.review.guards import Guards
from kemu.series.review.watched import Told, Watched

CAP, MOST = 1 << 18, 96                # bytes of a file that are read, and entries of a tree
_NAMES = 10
_VALUES = (b"0", b"1", b"2", b"3", b"4", b"9", b"18446744073709551616", b"-1", b"4294967296", b"x", b"")
_REMOUNTS = (b"noacl,nouser_xattr", b"acl,user_xattr,cache_strategy=disabled", b"cache_strategy=readaround", b"nonsense",
             b"domain_id=e", b"dax=always", b"fsoffset=4096", b"device=/dev/kemu1", b"")
_REMOUNT = 32 | 1                      # MS_REMOUNT | MS_RDONLY


@dataclass(frozen=True)
class Trial:
    """``case.fail_nth``: which allocation or read of a disk fails, of those while it is looked at, if it is; ``call``, ``nth``,
    ``error``: which call of a function outside of what is tested, and with which errno, if it gives one; ``look``: what is
    mounted is asked more than a walk asks; ``soon``: what RCU frees is gone at once, and what is read of a disk comes when
    somebody sleeps. ``apart``: it is the series' n-th, where the base has other calls: what comes of it must come of one of the
    base's that fails. ``region``: by the series' own back end, from where the image lies in memory, and by the block device where
    there is none.
    """

    case: Case
    look: bool = False
    call: str = ""
    nth: int = 0
    error: int = EIO
    soon: bool = False
    region: bool = False
    apart: bool = False

    @property
    def faulty(self) -> bool:
        """Whether something fails in it."""
        return bool(self.call) or self.case.fail_nth not in (0, NEVER)

    @property
    def failing(self) -> list[str]:
        """What fails in it, as text."""
        nth, more = self.case.fail_nth % FAIL_MORE, self.case.fail_nth // FAIL_MORE
        counted = [f"call {nth} of those that can fail does{f', and the {more} behind it' if more else ''}"]
        why = "" if self.error == EIO else f" with {errorcode.get(self.error, self.error)}"
        return [*(counted if self.case.fail_nth not in (0, NEVER) else []),
                *([f"call {self.nth} of {self.call}() fails{why}"] if self.call else [])]

    def whole(self) -> Trial:
        """The same with nothing that fails."""
        return replace(self, case=replace(self.case, fail_nth=0), call="", nth=0, error=EIO, apart=False)

    def __str__(self) -> str:
        words = [str(replace(self.case, fail_nth=0))]
        if self.region:
            words.append("from a region, by the series' own back end")
        if self.look:
            words.append("looked at closely")
        if self.soon:
            words.append("grace periods of RCU are over at once")
        words += self.failing
        if self.apart:
            words.append("in the base any other")
        return ", ".join(words)


@dataclass
class Seen:
    """What a kernel showed. ``left``: objects of slab and pages that are there more than before."""

    answer: Answer
    look: list[str] = field(default_factory=list)
    left: tuple[int, int] = (0, 0)
    told: dict[str, Told] = field(default_factory=dict)
    ran: set[int] = field(default_factory=set)
    compared: list[tuple[int, int, int]] = field(default_factory=list)     # what is changed has compared these, and they differ
    sites: list[int] = field(default_factory=list)     # of the calls that could have failed, where they are counted,
    near: bytes = b""                                  # and whether they come from what is changed
    converted: frozenset[tuple[int, int, int]] = frozenset()       # values of the disk's byte order, bytes, where in a page
    close: frozenset[tuple[int, int, int]] = frozenset()           # those soon behind which what is changed compares something
    guards: Guards = field(default_factory=Guards)


def run(kernel: Watched, trial: Trial) -> Seen:
    """Ask a kernel."""
    case = trial.case
    look: list[str] = []
    k = kernel.instance
    before = k.counters()
    k.lib.kemu_delay(int(trial.soon))
    kernel.watch((trial.call, trial.nth, trial.error), trial.soon)

    points = 0

    def then(k: Instance) -> None:
        nonlocal points
        if case.fail_nth:
            k.lib.kemu_fail_nth(case.fail_nth)
        look.extend(closely(k, b"/files/0" if case.backend == "file" else b"/dev/kemu0"))
        if case.fail_nth:
            points = k.counters()["faults"]
            k.lib.kemu_fail_nth(0)

    if case.kind == "module":
        answer = come_and_go(kernel, case.data, case.fail_nth, case.options, others_fail=bool(trial.call))
    elif case.kind == "cpio":
        def left_over(k: Instance) -> None:
            look.extend(firmware(k))

        answer = kernel.cpio(case.data, at=case.at, memory=case.memory, cap=CAP, fail_nth=case.fail_nth, cmdline=case.options,
                             builtin=b"".join(case.devices), then=left_over if case.options else None)
    else:
        backend = ("region" if k.has_region else "disk") if trial.region else case.backend
        answer = kernel.erofs(case.data, at=case.at, options=case.options, devices=case.devices, backend=backend,
                              memory=case.memory, cap=CAP, max_entries=MOST, fail_nth=0 if trial.look else case.fail_nth,
                              facts=True, then=then if trial.look else None)
        answer.points = points or answer.points
    if kernel.last is k and not k.dead:
        k.lib.kemu_delay(0)
    compared, (converted, close), guards = kernel.compared(), kernel.converted(), kernel.guards()
    told, ran = kernel.unwatch()
    seen = Seen(answer, look, told=told, ran=ran, compared=compared, converted=converted, close=close,
                guards=guards)
    if kernel.last is k and not k.dead:
        after = k.counters()
        seen.left = after["slab_objects"] - before["slab_objects"], after["pages"] - before["pages"]
    elif case.kind == "module":
        seen.left = answer.behind
    if case.fail_nth == NEVER and kernel.last is not None:
        seen.sites = kernel.last.fault_sites(answer.points)
        seen.near = kernel.last.faults_near(answer.points)
    return seen


def closely(k: Instance, source: bytes = b"/dev/kemu0") -> list[str]:
    """All that look.c asks of what is mounted at /mnt, its attributes in sysfs, remounts and memory pressure."""
    out: list[str] = []
    k.lib.kemu_look_clear()
    inside = [b"/mnt/" + name for name in names(k, b"/mnt")[:_NAMES]]
    for path in (b"/mnt", *inside):
        k.check(k.lib.kemu_look(path))
    sysfs(k)
    for folder in sorted(names(k, b"/sys/fs/erofs")):
        out += _attributes(k, b"/sys/fs/erofs/" + folder)
    for path in inside[:2]:                            # with what has been written there
        k.check(k.lib.kemu_look(path))
    out += _others(k, source)
    k.check(k.lib.kemu_shrink())
    for options in _REMOUNTS:
        out.append(f"remount {options.decode()}: {k.check(k.lib.kemu_mount(b'', b'/mnt', b'', _REMOUNT, options))}")
        k.check(k.lib.kemu_look(b"/mnt"))
    size = k.ffi.new("unsigned long long *")
    text = k.lib.kemu_look_lines(size)
    return out + bytes(k.ffi.buffer(text, size[0])).decode("utf-8", "replace").splitlines()


def _others(k: Instance, own: bytes) -> list[str]:
    """What is no device, mounted: folders, what is not there, files of the image itself; and the image once more, beside the
    first mount, with memory that is short while both are there.
    """
    out = []
    k.check(k.lib.kemu_mkdir(b"/inside", 0o755))
    for options in (b"", b"cache_strategy=disabled,noacl"):
        error = k.check(k.lib.kemu_mount(own, b"/inside", b"erofs", 1, options))
        out.append(f"mount once more {options.decode()}: {error}")
        if not error:
            for path in (b"/inside", *(b"/inside/" + name for name in names(k, b"/inside")[:2])):
                k.check(k.lib.kemu_look(path))
            k.check(k.lib.kemu_shrink())               # how much that is depends on what was mounted before
            out.append(f"in sysfs {len(names(k, b'/sys/fs/erofs'))}")
            out.append(f"umount {k.check(k.lib.kemu_umount(b'/inside', 0))}")
    for source in (b"/dev", b"/mnt", b"/none", b"", b"/dev/kemu7", *(b"/mnt/" + name for name in names(k, b"/mnt")[:3])):
        for options in (b"", b"directio"):
            error = k.check(k.lib.kemu_mount(source, b"/inside", b"erofs", 1, options))
            out.append(f"mount {source.decode('latin-1')} {options.decode()}: {error}")
            if not error:
                k.check(k.lib.kemu_umount(b"/inside", 0))
    return out


def _contents(k: Instance, path: bytes) -> str:
    parts: list[Any] = []
    for part in k.contents(os.fsdecode(path)):
        parts.append(part.decode("latin-1") if isinstance(part, bytes) else f"errno {part}")
    return "".join(parts).strip()[:200]


def _attributes(k: Instance, folder: bytes) -> list[str]:
    out = []
    for name in sorted(names(k, folder)):
        path = folder + b"/" + name
        out.append(f"{path.decode('latin-1')}: {_contents(k, path)}")
        for value in _VALUES:
            fd = k.check(k.lib.kemu_open(path, os.O_WRONLY))
            if fd < 0:
                out.append(f"{path.decode('latin-1')}: open for writing {fd}")
                break
            n = k.check(k.lib.kemu_write(fd, value, len(value)))
            k.check(k.lib.kemu_close(fd))
            out.append(f"{path.decode('latin-1')}: write {value.decode()}: {n}, then {_contents(k, path)}")
    return out


def firmware(k: Instance) -> list[str]:
    """What a boot has left in /sys/firmware."""
    import hashlib  # noqa: PLC0415  (start-up)

    sysfs(k)
    out = []
    for name in sorted(names(k, b"/sys/firmware")):
        path = b"/sys/firmware/" + name
        data = b"".join(p if isinstance(p, bytes) else b"errno %d" % p for p in k.contents(os.fsdecode(path)))
        out.append(f"{path.decode('latin-1')}: {len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}")
    return out
