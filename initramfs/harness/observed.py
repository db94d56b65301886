# SPDX-License-Identifier: GPL-2.0-only
"""A boot as everybody can see it when it is over: the tree, the log, the mounts, the initrd's memory page by page, and what was
left behind.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kemu.check.bootstate import leftovers
from kemu.explore.chooser import Choices
from kemu.explore.run import Run
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.linux.fs.file_table import g as files
from kemu.linux.sysfs import sysfs_bin_attr_simple_read, sysfs_files
from kemu.machine.boot import Boot, BootResult
from kemu.machine.machine import Machine
from kemu.machine.shadow import RELEASED_INIT
from kemu.machine.splat import KernelPanic
from kemu.report import manifest

from initramfs.harness.boot_views import mounts
from initramfs.harness.boots import boot_initrd, seen_tree
from initramfs.harness.designs import Design

__role__ = "harness"
INIT = b"kemu-init"
# one program header of no kind: a program that needs no interpreter
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(12) + b"\x40" + bytes(21) + b"\x38\x00\x01\x00" + bytes(62)
PROGRAM = Member(INIT, 0o100755, ELF, ino=9999, major=255, minor=255)
CONSOLE = [Member(b"dev", 0o040755, nlink=2, ino=9990, major=255),
           Member(b"dev/console", 0o020600, rmajor=5, rminor=1, ino=9991, major=255),
           Member(b"root", 0o040700, nlink=2, ino=9992, major=255)]
REFUSED = "initrd: offset "
UNDONE = "initrd: layers cannot be mounted"
FAULT = ("FAULT_INJECTION: forcing a failure.", "name fail")


@dataclass
class Observed:
    """``freed``: whether each whole page of the initrd was given back, "F", or not, "r"; ``twice``: ranges that were freed more
    than once;
    ``open_files``: how many files of the unpacker were still open when the kernel looked for the init program."""

    ended: str = ""
    tree: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    mounts: list[tuple[str, str, str]] = field(default_factory=list)
    freed: str = ""
    twice: int = 0
    exported: bytes | None = None
    left: list[str] = field(default_factory=list)
    open_files: int = 0
    result: BootResult | None = None
    views: dict[str, Any] = field(default_factory=dict)         # what tasks besides PID 1 saw

    def said(self, text: str) -> str | None:
        """The first line of the log that begins so."""
        return next((line for line in self.log if line.startswith(text)), None)

    def differences(self, other: Observed, *, but: Sequence[str] = ()) -> list[str]:
        """What of ``other`` is not the same; ``but``: beginnings of lines of the log that do not count."""
        def lines(o: Observed) -> list[str]:
            return [line for line in o.log if not line.startswith((*FAULT, *but))]

        out = [k for k in ("ended", "tree", "mounts", "freed", "twice", "exported", "left")
               if getattr(self, k) != getattr(other, k)]
        return out + ["log"] if lines(self) != lines(other) else out

    def describe(self, what: str, other: Observed) -> list[str]:
        """One of :meth:`differences`, for a person."""
        if what == "tree":
            return manifest.diff(other.tree, self.tree, "expected", "seen", lines=12).split("\n")
        if what == "log":
            ours, theirs = self.log, other.log
            return ([f"+ {line}" for line in ours if line not in theirs][:8]
                    + [f"- {line}" for line in theirs if line not in ours][:8])
        return [f"expected: {getattr(other, what)!r}"[:300], f"seen:     {getattr(self, what)!r}"[:300]]


def whole_pages(m: Machine) -> str:
    """Each whole page of the initrd, as :attr:`Observed.freed` has them."""
    r = m.part(Boot).initrd
    if r is None:
        return ""
    shift, mask = m.mem.shift, m.mem.mask
    return "".join("F" if m.mem.get_state(m.mem.pfn_of(v << shift)) == RELEASED_INIT else "r"
                   for v in range((r.addr + mask) >> shift, (r.addr + r.size) >> shift))


def expected_pages(images: Sequence[tuple[int, int]], size: int, at: int, page: int = 4096) -> str:
    """What an owner keeps who lends ``images`` (first byte, byte behind the last, from the initrd's start) and gives back the
    rest.
    """
    out = []
    for v in range((at + page - 1) // page, (at + size) // page):
        first = v * page - at
        out.append("r" if any(a < first + page and b > first for a, b in images) else "F")
    return "".join(out)


def boot(design: str | Design, initrd: bytes | None, *, run: Run | None = None, builtin: Sequence[Member] = (), cmdline: str = "",
         at: int = 0,
         config: dict[str, bool] | None = None, faults: bool = False, schedule: bool = False, newest: bool = False,
         limit: int = 1000, preempt: int = 200,
         most: tuple[int, int] = (1, 3), ends: Sequence[str] = (),
         prepare: Callable[[Machine], Any] | None = None, after: Callable[[Observed, BootResult], Any] | None = None,
         chooser: Choices | None = None,
         **kw: Any) -> Observed:
    """Boot once, on the machine of ``run`` if there is one; a detector's report is raised, but for those with one of ``ends`` in
    their title: what a kernel may end in.

    ``faults``, ``schedule``: armed from the first call of the boot to the last, up to ``most`` of each within ``limit`` and
    ``preempt``.
    """
    seen = Observed()
    chooser = run.chooser if run is not None else chooser

    def looks() -> None:
        seen.open_files = len(files.delayed_fput_list)
        seen.tree = manifest.ordered(e for e in seen_tree(1 << 20) if e["path"] != f"/{INIT.decode()}")
        seen.mounts = sorted((x["mountpoint"], x["type"], x["options"][0]) for x in mounts())

    def ready(m: Machine) -> None:
        if prepare is not None:
            prepare(m)
        if chooser is not None and faults:
            chooser.arm_faults(limit, most[0])
        if chooser is not None and schedule:
            chooser.arm_schedule(preempt, most[1], newest)

    def over(r: BootResult) -> None:
        if chooser is not None:
            chooser.disarm_faults()
            chooser.disarm_schedule()
        m = r.machine
        if r.ended == "splat":
            return
        seen.freed = whole_pages(m)
        ranges = sorted((a, b) for a, b, _, what, _ in r.freed if what == "initrd")
        seen.twice = sum(b > c for (_, b), (c, _) in zip(ranges, ranges[1:]))
        if r.ok:
            m.idle()
            # the page ledger is seen.freed; EROFS keeps buffers as long as the module is there
            seen.left = [x for x in leftovers(m) if "whole pages" not in x and "kmalloc objects" not in x
                         and "exported initrd" not in x]
        if r.initrd is not None and r.initrd.exported:
            attr = sysfs_files().get("/sys/firmware/initrd")
            seen.exported = bytes(sysfs_bin_attr_simple_read(attr, 0, attr.size)) if attr is not None else None
        if after is not None:
            after(seen, r)

    archive = encode([Segment(members=[*builtin, PROGRAM, trailer()])])
    machine = run.machine if run is not None else functools.partial(Machine, chooser=chooser)
    r = boot_initrd(initrd, design=design, cmdline=f"root=0:0 rdinit=/{INIT.decode()} {cmdline}".rstrip(), builtin=archive, at=at,
                    config=config, tree=False, looks=looks,
                    prepare=ready, after=over, machine=machine, **kw)
    seen.result = r
    for s in (r.error, *r.splats):
        if s is not None and not isinstance(s, KernelPanic) and not any(text in s.title for text in ends):
            raise s
    seen.ended = "" if r.ok else r.error.title.split("\n")[0] if r.error is not None else r.ended
    seen.log = [text for _, _, text in r.machine.log.entries]
    return seen


__all__ = ["CONSOLE", "INIT", "PROGRAM", "REFUSED", "UNDONE", "Observed", "boot", "expected_pages", "whole_pages"]
