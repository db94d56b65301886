# SPDX-License-Identifier: GPL-2.0-only
"""A series that changes init/: the booted kernel with it and the one without it are given the same initrds.

The C rung has neither disks that are registered nor a root that is mounted: what a boot makes of an image as its initrd is seen
on the Linux rung only. Each splat, and each difference in how a boot ends, in its tree and in its log, is a finding; its token
holds the patches, the configuration and the initrd.
"""
from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kemu import samples
from kemu.explore.experiment import experiment, installed, known_bad, registry
from kemu.explore.finding import Finding, classify
from kemu.explore.run import Run, execute
from kemu.explore.source import ListSource
from kemu.forge.pick import Pick
from kemu.rung.differential import first_field
from kemu.rung.uml.build import Kernel, Recipe, build
from kemu.rung.uml.initrd import Boot, boot_initrd
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.series import Series
from kemu.rung.uml.tree import Tree, find_tree
from kemu.series.review.words import bytes_of, put

NAME = "series.boots"
FIRST, MORE = "fast", ("kasan", "debug")
SECONDS = 30.0                         # for one boot
_PATCHES, _TEXT, _LONGEST = 1 << 10, 1 << 22, 1 << 24
_AT = 4096                             # of a page: no place in it, where UML puts it
_BAD = re.compile(r"\b(?:warn\w*|fail\w*|error|unable|called before|can(?:no|')t|invalid|bad|refus\w*)\b", re.I)
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")
_OF_THE_BUILD = ("Memory:", "random:", "Linux version", "Kernel command line", "Calibrating")


@dataclass(frozen=True)
class Case:
    """One boot. ``at``: of a page, where the initrd begins; None: where UML puts it."""

    name: str
    data: bytes
    cmdline: str = ""
    at: int | None = None


@dataclass(frozen=True)
class Parting:
    """In what two boots part. ``kind``: splat, end, tree, log."""

    kind: str
    title: str
    details: tuple[str, ...] = ()

    def judged(self) -> tuple[str, str]:
        """Detector and severity."""
        if self.kind in ("splat", "panic"):
            return classify(self.title)
        return {"end": ("boot", "high"), "tree": ("difference", "high"), "new": ("difference", "low"),
                "log": ("log", "low"), "lost": ("log", "medium")}[self.kind]


def concerns(patches: Iterable[Patch]) -> bool:
    """Whether a boot is what they change."""
    return any(path.startswith(("init/", "usr/")) for patch in patches for path in patch.touched())


def cases() -> list[Case]:
    """What both kernels are booted with, the simplest first."""
    cpio, image, packed = (samples.sample(n).read_bytes() for n in ("root.cpio", "root.erofs", "demo.erofs"))
    aligned = cpio + bytes(-len(cpio) % 4096)
    broken = bytearray(image)
    broken[1024 + 4] ^= 0xff                           # its checksum
    hole = image[:4096] + bytes(4096) + image[8192:]
    return [
        Case("no initrd", b""),
        Case("a cpio archive", cpio),
        Case("a cpio archive at byte 1537 of a page", cpio, at=1537),
        Case("a cpio archive, gzip", gzip.compress(cpio, mtime=0)),
        Case("a cpio archive, bzip2", bz2.compress(cpio)),
        Case("a cpio archive, xz", lzma.compress(cpio, check=lzma.CHECK_CRC32)),
        Case("a cpio archive with 100 zero bytes behind it", cpio + bytes(100)),
        Case("a cpio archive with garbage behind it", cpio + b"garbage" * 99),
        Case("a cpio archive that is cut off", cpio[:len(cpio) * 2 // 3]),
        Case("a cpio archive, retain_initrd", cpio, "retain_initrd"),
        Case("a cpio archive, initramfs_async=0", cpio, "initramfs_async=0"),
        Case("a cpio archive, a root device", cpio, "root=/dev/nothing ro"),
        Case("a cpio archive, noinitrd", cpio, "noinitrd"),
        Case("an EROFS image", image),
        Case("an EROFS image at byte 1537 of a page", image, at=1537),
        Case("an EROFS image, compressed with LZ4", packed),
        Case("an EROFS image, initramfs_async=0", image, "initramfs_async=0"),
        Case("an EROFS image, retain_initrd", image, "retain_initrd"),
        Case("an EROFS image, a root device", image, "root=/dev/nothing ro"),
        Case("an EROFS image, noinitrd", image, "noinitrd"),
        Case("an EROFS image with 100 bytes behind it", image + bytes(100)),
        Case("an EROFS image that is cut off at an odd byte", image[:len(image) * 2 // 3 + 77]),
        Case("an EROFS image of which only the superblock is there", image[:1024 + 128]),
        Case("an EROFS image with a wrong checksum", bytes(broken)),
        Case("an EROFS image with a block of zeroes", hole),
        Case("a cpio archive and an EROFS image", aligned + image),
        Case("an EROFS image and a cpio archive", image + cpio),
        Case("an EROFS image, gzip", gzip.compress(image, mtime=0)),
    ]


# ---- what is compared ----

def _lines(boot: Boot) -> dict[str, str]:
    """The lines of its log, by what of them does not change from boot to boot."""
    return {_NUMBER.sub("N", line): line for line in boot.kmsg if not line.startswith(_OF_THE_BUILD)}


def _ended(boot: Boot) -> str:
    return {"init": f"{boot.init} is run", "panic": f"panic: {boot.panic}", "hang": "hang: the boot does not end"}.get(
        boot.end, "the kernel ends")


def partings(was: Boot, now: Boot) -> list[Parting]:
    """All in which a boot with the series parts from the one without it."""
    out = []
    if now.splat and _NUMBER.sub("N", now.splat) != _NUMBER.sub("N", was.splat or ""):
        at = next((i for i, line in enumerate(now.kmsg) if now.splat in line), 0)
        out.append(Parting("splat", now.splat, tuple(now.kmsg[at:at + 24])))
    elif _ended(was) != _ended(now):
        better = was.end != "init" and now.end == "init"
        kind = "new" if better else "panic" if now.end == "panic" and was.end != "panic" else "end"
        out.append(Parting(kind, f"{_ended(now)}, instead of {_ended(was)}", tuple(now.kmsg[-8:])))
    elif was.entries is not None and now.entries is not None and was.entries != now.entries:
        path, name, right, got = first_field(was.entries, now.entries)
        out.append(Parting("tree", f"{path}: {name}: {str(got)[:40]} instead of {str(right)[:40]}"))
    before, behind = _lines(was), _lines(now)
    fresh = [line for key, line in behind.items() if key not in before and _BAD.search(line) and line not in (now.splat or "")]
    if fresh and not now.splat and now.end != "panic":
        out += [Parting("log", line) for line in fresh]
    if now.end == "init":
        out += [Parting("lost", f"not said any more: {line}") for key, line in before.items()
                if key not in behind and key.startswith("Freeing ")]
    return out


# ---- both kernels ----

def kernels(tree: Tree, patches: Sequence[Patch], config: Sequence[str], below: Sequence[Patch] = (), flavour: str = FIRST,
            say: Say = nothing) -> tuple[Kernel, Kernel]:
    """Without the series, and with it."""
    own = Series("review", tree.path, [*below, *patches], config=list(config))
    base = Recipe(tree, flavour, tuple(config) if below else (), tuple(below), "review-below" if below else "plain", lenient=True)
    return build(base, say), build(own.recipe(tree, flavour), say)


def compared(base: Kernel, series: Kernel, case: Case) -> list[Parting]:
    """One boot of each."""
    was, now = (boot_initrd(case.data, case.cmdline, case.at, kernel=k, timeout=SECONDS) for k in (base, series))
    return partings(was, now)


# ---- tokens ----

@dataclass(frozen=True)
class Asked:
    """What a token holds."""

    patches: tuple[Patch, ...]
    config: tuple[str, ...]
    below: tuple[Patch, ...]
    flavour: str
    case: Case


def offsets_of(asked: Asked) -> list[int]:
    """The choices that are drawn so."""
    out: list[int] = []
    for patches in (asked.patches, asked.below):
        out.append(len(patches))
        for patch in patches:
            put(out, patch.data)
    case = asked.case
    for text in ("\n".join(asked.config), asked.flavour, case.name, case.cmdline):
        put(out, text.encode())
    out.append(0 if case.at is None else 1 + case.at)
    put(out, case.data)
    return out


def drawn(pick: Pick) -> Asked:
    """What is asked; the simplest is nothing."""
    of, below = (tuple(Patch(f"{name} {i + 1}", f"{name} {i + 1}", bytes_of(pick, "patch", _TEXT))
                       for i in range(pick.int(f"number of {name}", 0, _PATCHES))) for name in ("patch", "below"))
    config, flavour, name, cmdline = (bytes_of(pick, what, _TEXT).decode("utf-8", "replace")
                                      for what in ("configuration", "flavour", "name", "command line"))
    at = pick.int("place in a page", 0, _AT)
    data = bytes_of(pick, "initrd", _LONGEST)
    return Asked(of, tuple(c for c in config.split("\n") if c), below, flavour or FIRST,
                 Case(name, data, cmdline, at - 1 if at else None))


@experiment(NAME, series="series", rungs=("linux",), run_seconds=600.0)
def boots(run: Run) -> None:
    """A kernel with a series boots as one without it."""
    asked = drawn(run.pick)
    if not asked.patches:
        return
    case = asked.case
    run.show(f"{case.name} ({len(case.data)} bytes), flavour {asked.flavour}"
             + (f", command line {case.cmdline!r}" if case.cmdline else ""))
    run.files = {"initrd": case.data}
    found = compared(*kernels(find_tree(None), asked.patches, asked.config, asked.below, asked.flavour), case)
    if found:
        _fail(run, found)


def _fail(run: Run, found: Sequence[Parting]) -> None:
    first = found[0]
    detector, severity = first.judged()
    more = [f"and: {p.title}" for p in found[1:]]
    run.fail(first.title, *first.details, *more, cause=_cause(first), severity=severity, detector=detector)


known_bad("series", "it needs a series and an initrd: kemu review")
installed.add(NAME)


# ---- the findings ----

def _cause(p: Parting) -> str:
    return f"boot {p.kind} {_NUMBER.sub('N', p.title)}"


def review(patches: Sequence[Patch], config: Sequence[str], below: Sequence[Patch] = (), flavours: Sequence[str] = (FIRST,),
           say: Say = nothing, of: Sequence[Case] | None = None,
           told: Callable[[str], None] = lambda text: None) -> tuple[list[Finding], list[str]]:
    """Findings, each with its first boot, and how much was booted. ``RungError``: there is no kernel."""
    tree, by_cause, notes = find_tree(None), dict[str, Finding](), []
    chosen = cases() if of is None else list(of)
    for flavour in flavours:
        base, series = kernels(tree, patches, config, below, flavour, say)
        for case in chosen:
            for p in compared(base, series, case):
                cause = _cause(p)
                if cause in by_cause:
                    by_cause[cause].report.append(f"also: {case.name} ({flavour})")
                    continue
                told(f"{case.name} ({flavour}): {p.title}")
                by_cause[cause] = _finding(p, Asked(tuple(patches), tuple(config), tuple(below), flavour, case))
        notes.append(f"{len(chosen)} boots of each kernel ({flavour})")
    return list(by_cause.values()), notes


def _finding(p: Parting, asked: Asked) -> Finding:
    """One of a boot's partings, with the token of that boot."""
    case = asked.case
    out = execute(registry[NAME], ListSource(offsets_of(asked)), rung="linux", detect=False)
    detector, severity = p.judged()
    shown = f"{case.name}{f', {case.cmdline}' if case.cmdline else ''} ({asked.flavour})"
    found = Finding(NAME, p.title, detector, severity, "", "", list(p.details or (p.title,)), _cause(p), token=out.token,
                    input=[f"{case.name} ({len(case.data)} bytes)"], headlines=[shown], offsets=out.offsets, rung="linux")
    found.confirmed = {"c": None, "linux": True, "why": f"UML {asked.flavour}, the kernel booted with the series and without it"}
    return found
