# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of a boot whoever runs when: PID 1, the async worker, usermode helpers, a driver that wants its firmware; and if
a call fails as well.

Nobody who waits for the initramfs may see a part of it.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from kemu.explore.chooser import Choices
from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.explore.source import ListSource, PlanSource
from kemu.forge import tree
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.linux.errno import ENOENT, ENOMEM
from kemu.machine.config import flipped
from kemu.machine.splat import KernelBug

from initramfs.harness.actors import FIRMWARE, LEVELS, Actors, firmware_members, helper_member
from initramfs.harness.experiments_cpio import BUGS, EVERYTHING_MEMBERS, PANICS, truth_of, unpackers_objects
from initramfs.harness.experiments_layered import BASE, SMALL, a_row, check_root
from initramfs.harness.observed import CONSOLE, PROGRAM, REFUSED, UNDONE, Observed, boot, expected_pages

__role__ = "harness"
HELPER, LATE = "/sbin-helper", "/late-helper"
UPSTREAM = encode([Segment(members=[*EVERYTHING_MEMBERS[:-1], *firmware_members(), Member(b"last", 0o100644, b"z"),
                                    helper_member(LATE[1:].encode(), 700),
                                    trailer()])])
BUILTIN = [*CONSOLE, helper_member(HELPER[1:].encode(), 701)]
MARKS = ("/d", "/h", "/p", "/lib/firmware/card.bin", "/last")
DONE = "initrd: 3 segments, 1 of them mounted"
ATTEMPT = ("overlayfs: ", "erofs", "tmpfs", "initrd: unpacking failed: ")       # what is said on the way to giving up


def _actors(run: Run, marks: tuple[str, ...]) -> Actors:
    pick = run.pick
    level = pick.one_of("level", LEVELS)
    absent = pick.int("absent", 0, 3)
    return Actors(marks, helpers=[HELPER, LATE][:2 if absent != 1 else 0], detached=[LATE] if pick.rare("detached", 3) else [],
                  firmware=absent != 2,
                  driver=absent != 3, level=level)


# ------------------------------------------------------------------------- upstream

@experiment("initramfs.interleavings", series="initramfs", weight=1.5, on_linux=("sched.boot", "sched.callers"))
def interleavings(run: Run) -> None:
    """Whoever runs first, PID 1, every helper and every driver find the whole tree, and nothing is left behind."""
    actors = _actors(run, MARKS)
    cmdline = run.pick.one_of("command line", ("", "initramfs_async=0", "retain_initrd"))
    run.show(f"actors from level {actors.level} on{', ' + cmdline if cmdline else ''}")
    seen = boot("upstream", UPSTREAM, run=run, builtin=BUILTIN, cmdline=cmdline, schedule=True,
                newest=run.pick.rare("newest first", 2), prepare=actors.install, config={"CONFIG_EROFS_FS": False})
    if seen.ended:
        run.fail(f"the boot ends: {seen.ended}", *seen.log[-4:], cause=f"boot ends: {seen.ended}")
    for who, got in actors.got.items():
        if got != (FIRMWARE if who == "firmware" else 0):
            run.fail(f"{who} gets {got if isinstance(got, int) else 'other bytes'}: it did not wait, or not long enough",
                     cause=f"early: {who}", severity="critical")
    _nobody_saw_a_part(run, actors, MARKS)
    truth = truth_of([*BUILTIN, PROGRAM, trailer()], [*EVERYTHING_MEMBERS[:-1], *firmware_members(),
                                                      Member(b"last", 0o100644, b"z"),
                                                      helper_member(LATE[1:].encode(), 700), trailer()])
    assert truth is not None
    paths = [e["path"] for e in seen.tree]
    gone = [e["path"] for e in truth[0] if e["path"] not in paths and e["path"] != f"/{PROGRAM.name.decode()}"]
    if gone:
        run.fail(f"PID 1 does not find {gone[0]}", *gone, cause="tree incomplete", severity="critical")
    if seen.left:
        run.fail(f"after the boot: {seen.left[0]}", *seen.left, cause="left behind")
    if seen.twice or set(seen.freed) != {"r" if cmdline == "retain_initrd" else "F"}:
        run.fail(f"pages of the initrd: {seen.freed}", cause="pages", severity="critical")
    run.saw(*(f"{who} {got if isinstance(got, int) else 'ok'}" for who, got in actors.got.items()),
            *(f"{who} {len(what)}" for who, what in actors.saw))


def _nobody_saw_a_part(run: Run, actors: Actors, *allowed: tuple[str, ...]) -> None:
    for who, what in actors.saw:
        if what not in allowed:
            missing = next((m for m in allowed[0] if m not in what), "nothing")
            run.fail(f"{who} sees a part of the root: without {missing}", f"seen: {what}", cause="a part of the root",
                     severity="critical")


# ------------------------------------------------------------------------- layered

def _image() -> bytes:
    entries: dict[bytes, tree.Node] = {b"of-image": tree.File(data=b"i" * 9000),
                                       b"both": tree.Dir(entries={b"i": tree.File(data=b"1")})}
    return bytes(build(tree.Dir(entries=entries), ImagePlan()).data)


FIRST = encode([Segment(members=[Member(b"both", 0o040755, nlink=2, ino=1), Member(b"both/c", 0o100644, b"2", ino=2),
                                 *firmware_members(), trailer()])])
LAST = encode([Segment(members=[Member(b"both/i", 0o100600, b"new", ino=3), Member(b"of-archive", 0o100644, b"a" * 5000, ino=4),
                                helper_member(LATE[1:].encode(), 702), trailer()])])
ROW = FIRST + _image() + LAST
ALL = ("/both/c", "/lib/firmware/card.bin", "/of-image", "/of-archive")
NONE: tuple[str, ...] = ()
_known: dict[tuple[str, str, object], Observed] = {}
_failing: dict[tuple[str, object], list[tuple[str, str, Observed]]] = {}


def _plain(design: str, cmdline: str) -> Observed:
    """A boot in which nothing fails and everybody waits for his turn; the same every time."""
    key = (design, cmdline, flipped())
    if key not in _known:
        _known[key] = boot(design, ROW, builtin=BUILTIN, cmdline=cmdline, prepare=Actors(ALL, [HELPER, LATE]).install)
    return _known[key]


@experiment("layered.interleavings", series="layered", weight=1.5)
def layered_interleavings(run: Run) -> None:
    """Whoever runs first, PID 1 finds the complete new root; a helper or a driver finds it, or the built-in tree: never a part.
    """
    actors = _actors(run, ALL)
    cmdline = run.pick.one_of("command line", ("", "initramfs_async=0", "retain_initrd"))
    run.show(f"an archive, an image, an archive; actors from level {actors.level} on{', ' + cmdline if cmdline else ''}")
    seen = boot("layered", ROW, run=run, builtin=BUILTIN, cmdline=cmdline, schedule=True, newest=run.pick.rare("newest first", 2),
                prepare=actors.install, limit=400, preempt=400)
    done = _plain("layered", cmdline)
    for what in seen.differences(done):
        if what != "log":
            run.fail(f"{what}: not the complete new root", *seen.describe(what, done), cause=f"not complete: {what}",
                     severity="critical")
    extra = [line for line in seen.log if line not in done.log and not line.startswith("wait_for_initramfs() called")]
    if extra:
        run.fail(f"the log has something new: {extra[0]}", *extra, cause="log", severity="low")
    for who, got in actors.got.items():
        if got not in ((-ENOENT, FIRMWARE) if who == "firmware" else (0,) if who == HELPER else (0, -ENOENT)):
            run.fail(f"{who} gets {got if isinstance(got, int) else 'other bytes'}", cause=f"odd: {who}", severity="critical")
    _nobody_saw_a_part(run, actors, ALL, NONE)
    run.saw(*(f"{who} {got if isinstance(got, int) else 'ok'}" for who, got in actors.got.items()),
            *(f"{who} {len(what)}" for who, what in actors.saw))


def failing_one_by_one(data: bytes, **kw: Any) -> Iterator[tuple[str, str, Observed]]:
    """Upstream's boot with every single failing call: (kind, what, what it came to)."""
    n = 0
    while True:
        n += 1
        chooser = Choices(PlanSource(ListSource([]), faults=(n,)))
        seen = _boot_anyhow("upstream", data, chooser=chooser, **kw)
        if not chooser.faults:
            return
        yield chooser.faults[0].kind, chooser.faults[0].what, seen


def upstream_failing(cmdline: str) -> list[tuple[str, str, Observed]]:
    """The same with ROW, remembered."""
    key = (cmdline, flipped())
    if key not in _failing:
        _failing[key] = list(failing_one_by_one(ROW, builtin=BUILTIN, cmdline=cmdline,
                                                    prepare=Actors(ALL, [HELPER, LATE]).install))
    return _failing[key]


def _boot_anyhow(design: str, data: bytes, **kw: Any) -> Observed:
    """A boot that may end in what Linux ends in where it cannot go on."""
    try:
        return boot(design, data, faults=True, **kw)
    except KernelBug as e:
        if not any(b in e.title for b in BUGS):
            raise
        return Observed(ended=e.title.split("\n")[0])


@experiment("layered.faults-anywhere", series="layered", weight=3.0)
def faults_anywhere(run: Run) -> None:
    """Whichever call of a boot fails, whoever runs when: the complete new root, or what upstream makes of the same failure, and
    one line that says so.
    """
    actors = _actors(run, ALL)
    # without the async domain PID 1 comes to the attempt while the others still have everything to do
    cmdline = run.pick.one_of("command line", ("initramfs_async=0", "", "retain_initrd"))
    run.show(f"an archive, an image, an archive; actors from level {actors.level} on{', ' + cmdline if cmdline else ''}")
    seen = _boot_anyhow("layered", ROW, builtin=BUILTIN, cmdline=cmdline, prepare=actors.install, run=run, schedule=True,
                        newest=run.pick.rare("newest first", 2), limit=1500, preempt=400)
    fault = run.chooser.faults[0] if run.chooser.faults else None
    objects = unpackers_objects(run)
    if seen.said(UNDONE) and not seen.ended and objects:
        run.fail(f"after a failed attempt: {objects[0]}", cause="objects left", severity="high")
    marks = tuple(p for p in ALL if any(e["path"] == p for e in seen.tree))
    if seen.tree:
        _nobody_saw_a_part(run, actors, marks, NONE)
        got = actors.got.get("firmware", FIRMWARE)
        if got not in (FIRMWARE, -ENOENT, -ENOMEM):
            run.fail(f"firmware: {got if isinstance(got, int) else 'other bytes'}", cause="a part of the firmware",
                     severity="critical")
    done = _plain("layered", cmdline)
    if seen.ended and not any(p in seen.ended for p in (*PANICS, *BUGS)):
        run.fail(f"the boot ends: {seen.ended}", *seen.log[-6:], cause=f"boot ends: {seen.ended}")
    # the root may stand, and what fails is what comes after: then a kernel ends as it always would
    wrong = [w for w in seen.differences(done) if w != "log"
             and not ((seen.ended and w in ("ended", "left")) or (w in ("tree", "mounts") and not seen.tree)
                                                                      or (w == "exported"
                                                                          and seen.said("Failed to create initrd sysfs file")))]
    if seen.said(DONE) and not wrong:
        run.saw("complete")
        return
    off = [_plain("upstream", cmdline)]
    if fault is not None:
        off += [o for kind, what, o in upstream_failing(cmdline) if (kind, what) == (fault.kind, fault.what)]
    best = min(off, key=lambda o: len(_unlike(seen, o)))
    wrong = _unlike(seen, best)
    run.saw(seen.ended or ("undone" if seen.said(UNDONE) else "as ever"))
    if wrong:
        run.fail(f"neither the complete new root nor as if the feature were off: {wrong[0]}", *seen.describe(wrong[0], best),
                 *seen.log[-8:],
                 cause=f"neither: {wrong[0]}", severity="critical", where=run.heard)


@experiment("layered.rows-and-faults", series="layered", weight=2.0)
def rows_and_faults(run: Run) -> None:
    """Of any row, wherever it lies, whichever call of the boot fails, whoever runs when: the complete new root, or what upstream
    makes of the same failure.
    """
    row = a_row(run, SMALL, builtin=[*BASE, PROGRAM])
    if row is None:
        return
    at = run.pick.int("at", 0, 4095)
    where: dict[str, Any] = {"builtin": BASE, "at": at, "cmdline": run.pick.one_of("command line", ("", "initramfs_async=0"))}
    actors = Actors((), firmware=bool(run.pick.int("firmware", 0, 1)))
    run.show(row.describe(), f"{at} bytes behind a page boundary")
    seen = _boot_anyhow("layered", row.data, run=run, schedule=True, prepare=actors.install, limit=1000, preempt=200, **where)
    if seen.ended and not any(p in seen.ended for p in (*PANICS, *BUGS)):
        run.fail(f"the boot ends: {seen.ended}", *seen.log[-6:], cause=f"boot ends: {seen.ended}")
    if (row.layered and seen.said("initrd: ") and not seen.said(UNDONE) and not seen.said(REFUSED)
        and not seen.said("initrd: unpacking")):
        if seen.tree:
            check_root(run, row, seen)
        images = [(p.offset, p.end) for p in row.parts if p.image is not None]
        if seen.freed != expected_pages(images, len(row.data), at) or seen.twice or seen.left:
            run.fail(f"the root is complete, but pages or other things are left: {seen.freed}", *seen.left,
                     cause="complete, not clean", severity="critical")
        run.saw("complete")
        return
    plain = boot("upstream", row.data, prepare=Actors((), firmware=actors.firmware).install, **where)
    run.saw(seen.ended or ("undone" if seen.said(UNDONE) else "as ever"))
    wrong = _unlike(seen, plain)
    if wrong and run.chooser.faults:
        fault = run.chooser.faults[0]
        for kind, what, off in failing_one_by_one(row.data, prepare=Actors((), firmware=actors.firmware).install, **where):
            if (kind, what) == (fault.kind, fault.what) and not _unlike(seen, off):
                return
    if wrong:
        run.fail(f"neither the complete new root nor as if the feature were off: {wrong[0]}", *seen.describe(wrong[0], plain),
                 *seen.log[-8:],
                 cause=f"neither: {wrong[0]}", severity="critical", where=run.heard)


def _unlike(seen: Observed, off: Observed) -> list[str]:
    """What differs from a boot without the feature, beyond what the attempt said."""
    wrong = [w for w in seen.differences(off) if w != "log"]
    if seen.ended and off.ended:                # a kernel that has ended has nothing else to show
        wrong = [w for w in wrong if w == "ended"]
    ours = Counter(line for line in seen.log if not line.startswith(("FAULT_INJECTION", "name fail")))
    theirs = Counter(line for line in off.log if not line.startswith(("FAULT_INJECTION", "name fail")))
    more = [line for line in (ours - theirs).elements() if not line.startswith(ATTEMPT)]
    less = list((theirs - ours).elements())
    said = [line for line in more if line.startswith((REFUSED, UNDONE))]
    if len(said) > 1 or len(more) > len(said) or (less and not seen.ended):
        wrong.append("log")
    return wrong


__all__ = ["ALL", "MARKS", "ROW", "upstream_failing"]
