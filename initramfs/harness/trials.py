# SPDX-License-Identifier: GPL-2.0-only
"""Boots of a design for its experiments: inputs, what a boot came to, and which function of the series had its hand in it."""
from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kemu.check import ledger
from kemu.forge import tree
from kemu.forge.cpio import trailer
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.linux.fs.namespace import g, mntget, mntput, next_mnt
from kemu.linux.fs_struct import current_fs, set_fs_pwd, set_fs_root
from kemu.linux.mount import MNT_DETACH, path_umount
from kemu.linux.path import Path, path_get
from kemu.linux.port import user
from kemu.linux.port.series import Series
from kemu.linux.task_work import task_work_run
from kemu.machine.boot import Boot, BootResult, newc_entry
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.shadow import RELEASED_INIT
from kemu.machine.stack import stack_of
from kemu.report.walk import walk

from initramfs import initramfs as base
from initramfs.harness import designs
from initramfs.harness.boots import boot_initrd

__role__ = "harness"
ELF = (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(12) + (64).to_bytes(8,
                                                                                           "little") + bytes(14)
       + b"\x38\x00\x01\x00" + bytes(6))
INIT = ELF.ljust(64, b"\0") + bytes(56)


# ------------------------------------------------------------------------- inputs

@functools.lru_cache(maxsize=64)
def erofs_image(mark: str, init: bool = True, blocks: int = 1) -> bytes:
    """An image with ``mark``, a directory, and maybe /init."""
    entries: dict[bytes, tree.Node] = {mark.encode(): tree.File(data=mark.encode() * 700 * blocks),
                                       b"etc": tree.Dir(entries={b"of-" + mark.encode(): tree.File(data=b"x")})}
    if init:
        entries[b"init"] = tree.File(data=INIT, mode=0o755)
    return bytes(build(tree.Dir(entries=entries), ImagePlan()).data)


def cpio_archive(mark: str, init: bool = True) -> bytes:
    """An archive with the same."""
    out = (_file(mark, mark.encode() * 700, 0o100644, 10) + newc_entry("etc", 0o040755, 2, 0, 0,
                                                                       11) + _file("etc/of-" + mark, b"x", 0o100644, 12))
    if init:
        out += _file("init", INIT, 0o100755, 13)
    return out + trailer().encode()


def files(contents: dict[str, bytes]) -> bytes:
    """An archive's files, without a trailer."""
    return b"".join(_file(name, data, 0o100644, 700 + i) for i, (name, data) in enumerate(contents.items()))


def directories(names: list[str]) -> bytes:
    """An archive of empty directories, parents first."""
    return b"".join(newc_entry(n.lstrip("/"), 0o040755, 2, 0, 0, 900 + i) for i, n in enumerate(names)) + trailer().encode()


def _file(name: str, data: bytes, mode: int, ino: int) -> bytes:
    raw = name.encode() + b"\0"
    fields = (ino, mode, 0, 0, 1, 0, len(data), 3, 1, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


# ------------------------------------------------------------------------- what a boot came to

_usual: set[str] = set()


class State:
    """What can be seen of a kernel when it looks for init, and of the initrd's memory at the end: lines by kind.

    ``by``: the function of the series that returned last (of those that stand in for upstream's) and its place.
    """

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.log: list[tuple[int, str]] = []
        self.by: tuple[str, str] = ("", "")

    def differences(self, other: State) -> list[str]:
        """The kinds that are not the same."""
        return [k for k in self.values if self.values[k] != other.values.get(k)]

    def paths(self) -> list[str]:
        """What is in the root."""
        return [line.partition(" ")[0] for line in self.values["root"]]

    def lines(self, other: State, kinds: list[str] | None = None) -> list[str]:
        """What this one has and the other has not (+), and the reverse (-)."""
        out = []
        for kind in self.differences(other) if kinds is None else kinds:
            mine, theirs = self.values[kind], other.values.get(kind, [])
            out += [f"+ {kind}: {x}" for x in mine if mine.count(x) > theirs.count(x)]
            out += [f"- {kind}: {x}" for x in dict.fromkeys(theirs) if theirs.count(x) > mine.count(x)]
        return out


def place(fn: Callable[..., Any]) -> tuple[str, str]:
    """Name and ``file:line`` of a function."""
    return fn.__name__, f"{fn.__code__.co_filename}:{fn.__code__.co_firstlineno}"


def few(lines: list[str], most: int = 4) -> str:
    """Some lines as one."""
    return "; ".join(lines[:most]) + (f"; and {len(lines) - most} more" if len(lines) > most else "")


def told(state: State, most: int = 24) -> list[str]:
    """The last lines of the log that a boot of upstream with an archive does not have."""
    if not _usual:
        _usual.update(text for _, text in run_boot("upstream", cpio_archive("a"))[1].log)
    return [text for _, text in state.log if text not in _usual][-most:]


def observe(state: State) -> None:
    """With the machine current."""
    for kind, things in ledger.take().items():
        if kind != "nodes":                     # those that are seen are in "root"
            state.values[kind] = sorted(f"{name} ({about})" if about else name for name, about in things.items())
    state.values["exported initrd"] = [f"{base.g.bin_attr_initrd.size} bytes"] if base.g.bin_attr_initrd.size else []


def run_boot(design: str, initrd: bytes, *, machine: Callable[..., Machine] = Machine, rodata: str = "plain",
             probe: Series | None = None,
             read_all: bool = False, end: Callable[[State], None] | None = None, **kw: Any) -> tuple[BootResult, State]:
    """One boot; a detector's report is raised. ``probe``: on top of the design's series. ``end``: called last, with the machine
    current.
    """
    state = State()

    def after(result: BootResult) -> None:
        if result.ended != "splat":
            observe(state)
            if read_all:
                read_mounts()
            if end is not None:
                end(state)

    d = designs.for_cmdline(designs.find(design), kw.get("cmdline", ""))
    d = replace(d, series=(*d.series, *_noting(d, state), *([probe] if probe is not None else [])))
    result = boot_initrd(initrd, design=d, rodata=rodata, after=after, machine=machine, **kw)
    if result.ended == "splat" and result.error is not None:
        raise result.error
    region = result.initrd
    state.values["root"] = [f"{e['path']} {e['type']} {e['mode'] or 0:o}" + (f" {e['sha256'][:8]}" if e["sha256"] else "")
                            + (f" {e['error']}" if e["error"] else "")
                            for e in result.tree or []]
    state.values["end"] = ["init runs" if result.ok else str(result.error).split("\n")[0]]
    first = region.addr if region is not None else 0
    state.values["freed initrd"] = [f"bytes {a} to {b}: {n} pages" for a, b, n in
                                    sorted((a - first, b - first, n) for a, b, n, what, _ in result.freed if what == "initrd")]
    state.log = [(level, text) for _, level, text in result.machine.log.entries]
    return result, state


_by: list[State] = []               # the boot that runs
_notes: dict[tuple[Series, ...], Series] = {}


def _noting(d: designs.Design, state: State) -> list[Series]:
    """A series that notes which replacement of the design's returned last."""
    _by[:] = [state]
    own = designs.find(d.name).series
    if not own:
        return []
    if d.series not in _notes:
        s = _notes[d.series] = Series(f"who of {d.name}", own[-1].packages)
        stack = stack_of(d.series)
        for original, new in own[-1].replacements.values():
            if callable(new) and not isinstance(new, type):
                made = stack.made_of(original)
                s.replaces(made)(_noted(made))
    return [_notes[d.series]]


def _noted(fn: Callable[..., Any]) -> Callable[..., Any]:
    at = place(fn)

    @functools.wraps(fn)
    def noted(*args: Any) -> Any:
        ret = fn(*args)
        _by[0].by = at
        return ret
    return noted


def read_mounts() -> None:
    """Read every file of every mounted tree: what lends memory must still have it."""
    for m in next_mnt(g.init_mnt_ns.root):
        mntget(m)
        for _ in walk(Path(m, m.mnt_root)):
            pass
        mntput(m)


def leave(state: State) -> None:
    """Every mount but the first goes, as when a real root has taken over and the old one is let go; what is freed of the initrd
    then is noted.
    """
    user.close_console()
    root = g.init_mnt_ns.root
    nothing = Path(root, root.mnt_root)
    set_fs_root(current_fs(), nothing)
    set_fs_pwd(current_fs(), nothing)
    for m in reversed(next_mnt(root)[1:]):
        at = Path(m, m.mnt_root)
        path_get(at)
        path_umount(at, MNT_DETACH)
    task_work_run()
    this.machine.idle()
    region = this.machine.part(Boot).initrd
    assert region is not None
    shift = this.mem.shift
    pages = range(region.addr + this.mem.mask >> shift, region.addr + region.size >> shift)
    freed = sum(this.mem.get_state(this.mem.pfn_of(v << shift)) == RELEASED_INIT for v in pages)
    state.values["initrd at last"] = [f"{freed} of {len(pages)} whole pages are free"]


__all__ = ["INIT", "State", "cpio_archive", "directories", "erofs_image", "few", "files", "leave", "observe", "place",
           "read_mounts", "run_boot", "told"]
