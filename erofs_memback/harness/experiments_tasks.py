# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own C with two or three tasks in one mount: they read the same files, mount and unmount, and memory is short
meanwhile. An experiment of the C rung; there is no port.

``kemu fuzz erofs.tasks --rung c --flavour asan``: tasks change where the kernel sleeps, and bios end when one does; who runs next
is chosen as everything else is, so what is found replays and shrinks. Finer interleavings are the booted kernel's business.
"""
from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.erofs.choose import choose_image
from kemu.forge.erofs.streams import choose_streams
from kemu.forge.pick import Pick
from kemu.report.manifest import Entry

from erofs_memback.harness.differential import IMAGES, real_images
from erofs_memback.harness.experiments_c import MOST_CHOICES, Candidate, alive, kernel_of, nothing_left

if TYPE_CHECKING:
    from kemu.rung.c.errands import Done, Errand
    from kemu.rung.protocol import Answer

__role__ = "harness"
SWITCHES = 4            # of them that are not the usual one
PATHS = 40


def sound_image(pick: Pick) -> tuple[bytes, str]:
    """An image by the forge, with odd streams, or by mkfs.erofs: each of its files has one contents."""
    kind = pick.int("kind", 0, 2)
    if kind == 1 and real_images():
        name, data = pick.one_of("image", real_images())
        return data, name
    made = choose_streams(pick) if kind == 2 else choose_image(pick, IMAGES)
    return made.data, made.describe()


def choose_errands(pick: Pick, entries: list[Entry]) -> list[list[Errand]]:
    """What two or three tasks do; the simplest: each reads the first file."""
    from kemu.rung.c import errands as e  # noqa: PLC0415  (start-up)

    files = [x["path"] for x in entries if x["type"] == "file" and not x["error"]][:PATHS]
    folders = [x["path"] for x in entries if x["type"] == "dir" and not x["error"]][:PATHS]
    others = [x["path"] for x in entries if x["xattrs"] and not x["error"]][:PATHS]
    kinds = [(e.READ, files), (e.LIST, folders), (e.MOUNTED, files), (e.XATTRS, others), (e.MEMORY, ["/"]),
             (e.DROP, files + folders)]
    there = [(what, paths) for what, paths in kinds if paths]

    def one() -> Errand:
        what, paths = pick.one_of("errand", there)
        return e.Errand(what, pick.one_of("path", paths))

    return [pick.several("errands", 1, 3, one) for _ in range(2 + pick.int("a third", 0, 1))]


@experiment("erofs.tasks.{rung}", series="erofs", rungs=("c",), run_seconds=120.0)
def tasks(run: Run) -> None:
    """Whatever tasks do at once in a mount, and whoever runs next where one sleeps: each sees what it sees alone."""
    from kemu.rung.c.errands import DROP, MEMORY, with_tasks  # noqa: PLC0415  (start-up)

    data, what = sound_image(run.pick)
    if not data:
        return
    kernel = kernel_of(run)
    entries = alive(run, kernel.erofs(data, cap=1 << 16, max_entries=2 * PATHS)).entries
    if not any(e["type"] == "file" for e in entries):
        return
    each = choose_errands(run.pick, entries)
    late = not run.pick.int("bios end at once", 0, 1)
    newest = run.pick.rare("newest first", 4)
    run.show(what, *(f"task {i}: {', '.join(map(str, errands))}" for i, errands in enumerate(each)),
             "bios end when somebody sleeps" if late else "bios end at once")
    answer, alone = with_tasks(kernel, data, [[e for errands in each for e in errands]])
    alive(run, answer)
    want = iter(alone[0])
    asked: list[tuple[int, int]] = []
    run.chooser.arm_schedule(MOST_CHOICES, most=SWITCHES, newest=newest)

    def choose(kind: int, n: int) -> int:
        asked.append((kind, n))
        names = ("task", "work item")
        return run.chooser.task([Candidate(names[kind], i) for i in range(n)], None, f"which {names[kind]}")  # type: ignore[misc]

    try:
        answer, got = with_tasks(kernel, data, each, late, choose)
    finally:
        run.chooser.disarm_schedule()
    run.saw(f"{min(len(asked), 20) // 4} choices", *(f"{kind} of {min(n, 5)}" for kind, n in asked),
            *(f"errand {e.what}" for errands in each for e in errands))
    alive(run, answer)
    for i, errands in enumerate(each):
        for e, done in zip(errands, got[i]):
            right = next(want)
            if e.what not in (DROP, MEMORY):
                _same(run, f"task {i}: {e}", right, done, answer)
    nothing_left(run, kernel, lambda: with_tasks(kernel, data, each, late)[0])


def _same(run: Run, what: str, right: Done, done: Done, answer: Answer) -> None:
    if done == right:
        return
    text = f"{done.result} instead of {right.result}" if done.result != right.result else "other bytes"
    kind = "bytes" if done.result >= 0 else errno.errorcode.get(-done.result, str(done.result))
    doing = what.partition(": ")[2].partition(" /")[0]
    run.fail(f"{what}: {text} with others at work", *answer.kmsg[-4:], cause=f"tasks: {doing}: {kind}",
             severity="critical" if done.result >= 0 else "high")
