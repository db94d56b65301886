# SPDX-License-Identifier: GPL-2.0-only
"""The booted kernel with every switch of its boot chosen: ``kemu fuzz sched.boot,sched.callers --rung sched``."""
from __future__ import annotations

import itertools

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.cpio import Member, Segment, trailer
from kemu.forge.cpio_choose import choose_cpio
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.boots import BootCase, BootHunt, judge_boot
from kemu.rung.uml.sched.callers import CARD, EARLY, FIRST, HELPER, KINDS, LAST, LATE, Caller, Seen
from kemu.samples import sample

__role__ = "harness"
WORDS = ("initramfs_async=0", "retain_initrd", "rdinit=/sbin/none")


def words(pick: Pick) -> str:
    """Words for the command line; the simplest: none."""
    return " ".join(word for word in WORDS if pick.rare(word, 4))


def boot_case(pick: Pick) -> BootCase:
    """An archive with an /init first; others by the forge, one or two behind each other; unpacked at once, or beside the boot."""
    kind = pick.int("initrd", 0, 2)
    data, told = sample("root.cpio").read_bytes(), ["root.cpio"]
    for _ in range(kind):
        archive = pick.group(lambda: choose_cpio(pick))
        data = archive.data + bytes(-len(archive.data) % 4) + data
        told.append(archive.describe())
    return BootCase(data, words(pick), told)


@experiment("sched.boot", series="sched", rungs=("sched",), run_seconds=60.0, feed=BootHunt(boot_case), weight=0.5)
def booting(run: Run) -> None:
    """Whoever is preempted where in a boot: init finds the same tree, and the kernel says the same."""
    judge_boot(run, boot_case(run.pick))


# ------------------------------------------------------------------------- who asks meanwhile

METHODS = ("", "gzip", "xz")


def archive(pick: Pick) -> tuple[bytes, Seen, str]:
    """An archive with all that callers ask for; the simplest is one segment, with the helper in its middle."""
    from kemu.rung.uml.agentbin import helper  # noqa: PLC0415  (start-up)

    program = helper().read_bytes()
    firmware = bytes(range(256)) * pick.one_of("firmware", (40, 1, 200))
    last = b"last" * pick.one_of("last", (1500, 1, 8192))
    folders = [Member(name, 0o040755, nlink=2, ino=i) for i, name in enumerate((b"kemu", b"lib", b"lib/firmware"), 1)]
    files = [Member(FIRST.encode(), 0o100644, b"1", ino=11), Member(HELPER.encode(), 0o100755, program, ino=12),
             Member(CARD.encode(), 0o100644, firmware, ino=13), Member(b"init", 0o100755, program, ino=14),
             Member(EARLY.encode(), 0o100644, firmware, ino=15)]
    turn = pick.int("who is first", 0, len(files) - 1)
    members = [*folders, *files[turn:], *files[:turn], Member(LAST.encode(), 0o100644, last, ino=16)]
    cut = pick.one_of("second segment", (0, 4, 6, 8))
    methods = [pick.one_of("method", METHODS) for _ in range(2 if cut else 1)]
    parts = [members[:cut], members[cut:]] if cut else [members]
    data = b""
    for part, method in zip(parts, methods):
        data += bytes(-len(data) % 4) + Segment(members=[*part, trailer()], method=method).encode()
    names = " + ".join(f"{len(part)} members{f', {method}' if method else ''}" for part, method in zip(parts, methods))
    return data, Seen(firmware, last), f"{names}; first {members[3].name.decode()}"


SIMPLEST = (("6", "h"), ("s", "h"), ("6", "f"), ("r", "l"))     # level and kind; one of them has nothing to wait for


def caller(pick: Pick, n: int) -> Caller:
    """Who asks; the simplest are threads that initcalls start, each for something else."""
    simple_level, simple_kind = SIMPLEST[n % len(SIMPLEST)]
    level = pick.one_of("level", (simple_level, *"67r6r7s51"))
    # firmware that others ask for later (g) is not asked for here: what Linux makes of it is known (findings-about-linux.md)
    kinds = [k for k in KINDS if k != "g" and (k not in "fF" or level in LATE + "s")]
    kind = pick.one_of("kind", (*simple_kind * (simple_kind in kinds), *kinds))
    return Caller(level, kind, pick.one_of("context", ("t", "w", "a", "i")))


def callers_case(pick: Pick) -> BootCase:
    """Four to six who ask while an archive is unpacked, which may be cut short."""
    data, seen, told = archive(pick)
    number = itertools.count()
    who = pick.several("callers", len(SIMPLEST), 6, lambda: caller(pick, next(number)))
    cmdline = words(pick)
    if pick.rare("cut short", 5):
        cut = len(data) * pick.one_of("cut", (9, 5, 2)) // 10
        return BootCase(data[:cut], cmdline, [told, f"cut to {cut} of {len(data)} bytes"], who)
    return BootCase(data, cmdline, [told], who, seen)


@experiment("sched.callers", series="sched", rungs=("sched",), run_seconds=60.0, feed=BootHunt(callers_case, 64))
def calling(run: Run) -> None:
    """Helpers, requests for firmware and drivers while the initramfs is unpacked: who waits for it finds all of it."""
    judge_boot(run, callers_case(run.pick))

