# SPDX-License-Identifier: GPL-2.0-only
"""The port against the kernel: one archive through both, and where they disagree.

A short run is a test (tests/uml/test_cpio_differential.py); a long one::

    kemu fuzz initramfs.archives --rung linux --examples 20000
    kemu fuzz initramfs.archives --rung c --flavour asan --examples 20000
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.cpio import trailer
from kemu.forge.cpio_choose import CpioArchive, break_cpio, choose_cpio
from kemu.forge.cpio_wild import choose_wild, damage
from kemu.forge.packed import choose_packed
from kemu.forge.pick import Pick, SeedValues
from kemu.machine.splat import Splat
from kemu.report import manifest

from initramfs.harness.boots import boot_initrd, seen_tree

if TYPE_CHECKING:                   # the rung is imported by who boots it
    from kemu.rung import protocol
    from kemu.rung.differential import Seen
    from kemu.rung.protocol import Judge

__role__ = "harness"
CAP = 1 << 20               # files with more bytes are not read: damaged sizes make sparse ones of gigabytes
DEEPEST = 3400              # neither walk names what lies below a path of so many bytes
DEATHS = ("panic", "splat")
BUILTIN = trailer().encode()


@dataclass(slots=True)
class Answer:
    """What one side made of an archive. ``end``: "" or how it died ("panic", "hang", a detector's title); ``message``: of
    unpack_to_rootfs(). ``died``: the end of the kernel's C, if it knows where it was; ``splat``: a detector's report of the port.
    """

    message: str | None
    entries: list[dict[str, Any]]
    end: str = ""
    detail: list[str] = field(default_factory=list)
    died: Seen | None = None
    splat: Splat | None = None

    def __str__(self) -> str:
        return self.end or self.message or f"{len(self.entries)} entries"


def choose(pick: Pick, label: str = "") -> CpioArchive:
    """An archive: valid, broken in a known way, members over each other, or any of these with its bytes hurt."""
    kind = pick.int("kind", 0, 5)
    if kind >= 4:
        return damage(choose_cpio(pick, label=label) if kind == 4 else choose_wild(pick, label=label), pick)
    if kind >= 2:
        return choose_wild(pick, label=label)
    archive = choose_cpio(pick, label=label)
    return break_cpio(archive, pick, 3) if kind else archive


def by_port(data: bytes, cap: int = CAP, **kw: Any) -> Answer:
    """A whole boot of the port, with a built-in archive that holds nothing."""
    found: list[dict[str, Any]] = []

    r = boot_initrd(data, builtin=BUILTIN, tree=False, looks=lambda: found.extend(seen_tree(cap)),
                    config={"CONFIG_EROFS_FS": False}, **kw)
    end = next((s.title for s in r.splats), "") or next((line for line in r.log if line.startswith("WARNING: ")), "")
    return Answer(r.unpack_error, found, end or ("" if found or r.ok else str(r.error)), r.log, splat=next(iter(r.splats), None))


def by_linux(oracle: Judge, data: bytes, at: int | None = None, cap: int = CAP) -> Answer:
    """The kernel's own unpack_to_rootfs() in a fresh tmpfs."""
    return answered(oracle.cpio(data, cap=cap) if at is None else oracle.cpio(data, at=at, cap=cap))


def answered(r: protocol.Answer) -> Answer:
    """What is compared of a kernel's answer."""
    from kemu.rung import differential  # noqa: PLC0415  (start-up)

    entries = [{**e, "size": None, "mtime": e["mtime"] if e["path"] != "/" else None} if e["type"] == "dir" else e
               for e in r.entries]
    end = r.crash or next((line for line in r.kmsg if line.startswith("WARNING: ")), "")
    return Answer(None if r.crash else r.message, entries, end,
                  [r.message or "", *(r.console.splitlines() if r.crash else r.kmsg)], differential.seen(r) if r.place else None)


def disagreement(port: Answer, linux: Answer) -> str:
    """How two answers differ, in a few lines; empty if they do not."""
    if port.end or linux.end:
        return "" if port.end and linux.end else f"kemu: {port}\nLinux: {linux} {linux.detail[:1]}"
    out = []
    if port.message != linux.message:
        out.append(f"kemu: {port.message}\nLinux: {linux.message}")
    a, b = ([e for e in x.entries if len(e["path"]) <= DEEPEST] for x in (linux, port))
    text = manifest.diff(a, b, "Linux", "kemu", lines=8)
    return "\n".join(out + ([text] if text else []))


def known(oracle: Judge, data: bytes, port: Answer, linux: Answer) -> str:
    """Why a disagreement is none, or is one that is listed in tests/data/known-differences; empty for news."""
    if "out-of-bounds" in port.end and not linux.end and by_linux(oracle, data, -len(data) % 4096).end in DEATHS:
        return "over-read"          # what lies behind the archive decides what Linux says: with nothing there, it panics
    if linux.end in DEATHS and not port.end and any("strscpy" in line for line in linux.detail):
        return "strscpy"            # ARCH=um only
    if (not port.end and not linux.end and any("vmalloc error" in line for line in linux.detail)
        and linux.message == "decompressor failed"):
        return "memory"             # the window that an lzma header asks for: how much memory is free
    return ""


@experiment("initramfs.archives.{rung}", series="initramfs", rungs=("linux", "c"), run_seconds=60.0)
def archives(run: Run) -> None:
    """Linux and the port make the same tree of an archive, or say the same about it, however broken it is."""
    _both(run, choose(run.pick))


@experiment("initramfs.packed.{rung}", series="initramfs", rungs=("linux", "c"), run_seconds=60.0)
def packed(run: Run) -> None:
    """Linux and the port make the same of an archive that is compressed with odd headers: flags, filters, sizes, checksums."""
    _both(run, choose_packed(run.pick))


def _both(run: Run, archive: CpioArchive) -> None:
    from kemu.rung import differential  # noqa: PLC0415  (start-up)
    from kemu.rung.asked import Unanswered, asked  # noqa: PLC0415  (start-up)
    from kemu.rung.uml.errors import RungError  # noqa: PLC0415  (start-up)

    run.show(archive.describe())
    port = by_port(archive.data)
    if "hung" in port.end:
        _hangs.append(archive.data)
        if len(_hangs) > MOST_HANGS:
            return
    try:
        o = asked(run.rung).judge()
        linux = by_linux(o, archive.data)
        text = disagreement(port, linux)
        why = known(o, archive.data, port, linux) if text else ""
    except RungError as e:
        raise Unanswered(e) from None
    run.saw(port.message or "unpacked", port.end, why, *(e["type"] for e in port.entries))
    if text and not why:
        if linux.died is not None:
            differential.crashed(run, linux.died, f"kemu: {port}")
        run.fail(text.split("\n")[0], *text.split("\n"), *(f"{asked(run.rung).who} said: {line}" for line in linux.detail[-3:]),
                 cause=f"{port.message} / {linux.message}")


_hangs: list[bytes] = []
MOST_HANGS = 3              # each costs Linux its timeout and a boot


@dataclass(slots=True)
class Difference:
    """One archive on which they disagree."""

    archive: CpioArchive
    port: Answer
    linux: Answer
    text: str
    known: str = ""


def differences(seeds: Iterable[int], oracle: Judge, *, hangs: int = MOST_HANGS,
                make: Callable[[Pick, str], CpioArchive] = choose) -> Iterator[Difference]:
    """Both answers for the archive that ``make`` makes of each seed; yields where they differ, known or not. Of those on which
    the port hangs
    only ``hangs`` are given to Linux: each costs its timeout and a boot."""
    for seed in seeds:
        archive = make(Pick(SeedValues(seed)), f"seed {seed}")
        port = by_port(archive.data)
        if "hung" in port.end:
            hangs -= 1
            if hangs < 0:
                continue
        linux = by_linux(oracle, archive.data)
        text = disagreement(port, linux)
        if text:
            yield Difference(archive, port, linux, text, known(oracle, archive.data, port, linux))
