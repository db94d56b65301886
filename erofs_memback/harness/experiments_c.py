# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own C with calls that fail and work that is done in another order: experiments of the C rung; there is no port.

``kemu fuzz erofs.failing-calls erofs.any-order --rung c --flavour asan``: which call fails, which task runs and which work item
is done next is chosen as everything else is, so what is found replays and shrinks.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from kemu.explore.chooser import Fault
from kemu.explore.experiment import experiment
from kemu.explore.finding import Disagreement
from kemu.explore.run import Run
from kemu.forge.erofs.choose import choose_image
from kemu.forge.erofs.mutate import mutate
from kemu.forge.erofs.streams import choose_streams
from kemu.forge.pick import Pick
from kemu.rung.entries import wrong_entry

from erofs_memback.harness.differential import IMAGES, real_images

if TYPE_CHECKING:
    from kemu.rung.c.kernel import Instance, Kernel
    from kemu.rung.protocol import Answer

__role__ = "harness"
MOST_CALLS = 4000       # fallible ones of a mount and a walk
MOST_CHOICES = 400      # of who runs next
CAP = 1 << 21           # bytes of a file that are read
ENTRIES = 400
TIMES = 3               # a leak is left every time


class Candidate(NamedTuple):
    """What could run next, for the Chooser."""

    comm: str
    pid: int


def image_of(pick: Pick) -> tuple[bytes, str]:
    """A sound image by the forge, damaged, with odd streams, or by mkfs.erofs."""
    kind = pick.int("kind", 0, 3)
    if kind == 1 and real_images():
        name, data = pick.one_of("image", real_images())
        return data, name
    if kind == 2:
        made = choose_streams(pick)
        return made.data, made.describe()
    whole = choose_image(pick, IMAGES)
    if kind == 3:
        bad = mutate(whole, pick)
        return bad.data, bad.describe()
    return whole.data, whole.describe()


def kernel_of(run: Run) -> Kernel:
    """The kernel of this process."""
    from kemu.rung.asked import asked  # noqa: PLC0415  (start-up)
    from kemu.rung.c.kernel import Kernel  # noqa: PLC0415  (start-up)

    kernel = asked(run.rung).judge()
    assert isinstance(kernel, Kernel)
    return kernel


def alive(run: Run, answer: Answer, *notes: str) -> Answer:
    """The answer, unless the kernel died of the case: that is the finding."""
    from kemu.rung import differential  # noqa: PLC0415  (start-up)

    if answer.crash:
        died = differential.seen(answer)
        if not died.place:
            run.fail(died.splat or answer.crash, *answer.console.splitlines()[1:], *notes)
        differential.crashed(run, died, *notes)
    return answer


def live(k: Instance) -> tuple[int, int]:
    """Objects of slab and pages that are in use."""
    c = k.counters()
    return c["slab_objects"], c["pages"]


def nothing_left(run: Run, kernel: Kernel, case: Callable[[], Answer], *notes: str) -> None:
    """Each time that the case runs, there is as much in use as before."""
    more: list[tuple[int, int]] = []
    for _ in range(TIMES):
        k = kernel.instance
        before = live(k)
        alive(run, case(), *notes)
        after = live(k)
        more.append((after[0] - before[0], after[1] - before[1]))
        if more[-1][0] <= 0 and more[-1][1] <= 0:
            return                              # what is cached once is no leak
    if min(n for n, _ in more) > 0:
        report = kernel.leak(case).splitlines() or [f"{min(n for n, _ in more)} objects, each time"]
        run.fail(f"memory leak: {report[0]}", *report[1:], *notes, severity="medium", detector="leak",
                 cause=f"leak: {report[0]} {' '.join(report[1:3])}")
    if min(n for _, n in more) > 0:
        run.fail(f"memory leak: {min(n for _, n in more)} pages", *notes, severity="medium", detector="leak",
                 cause="leak of pages")


def failed(k: Instance, n: int) -> Fault:
    """The call that was made to fail, for a report."""
    what, site = "?", "?"
    for f in k.fault_trace():
        if "/runtime/" in f.place:
            what = f.function
        elif ".c:" in f.place:                  # not a wrapper in a header
            site = f"{f.function} ({f.place})"
            break
    return Fault(n, "fail-nth", what, site)


@experiment("erofs.failing-calls.{rung}", series="erofs", rungs=("c",), run_seconds=120.0)
def failing_calls(run: Run) -> None:
    """Whichever call fails in a mount and a walk: no trap, nothing left, no wrong byte; the next mount serves all."""
    data, what = image_of(run.pick)
    if not data:
        return
    run.show(what)
    n = run.pick.int("fault", 0, MOST_CALLS)
    kernel = kernel_of(run)
    _fails(run, kernel, data, n)


def _fails(run: Run, kernel: Kernel, data: bytes, n: int) -> None:
    """The n-th call fails; 0: none does, and it is counted how many could."""
    from kemu.rung.c.kernel import NEVER  # noqa: PLC0415  (start-up)

    def case(nth: int = n or NEVER) -> Answer:
        return kernel.erofs(data, cap=CAP, max_entries=ENTRIES, fail_nth=nth)

    alive(run, case(NEVER))                 # what is made once and kept
    whole = alive(run, case(NEVER))
    k = kernel.instance
    if not n:
        run.chooser.fault_points, run.chooser.fault_keys = whole.points, list(k.fault_sites(whole.points))
        nothing_left(run, kernel, case)
        return
    part = case()
    run.chooser.fault_points = part.points
    if not part.fired and not part.crash:
        return
    if part.crash or part.mount_error or part.entries != whole.entries:
        run.saw(f"mount {part.mount_error}", *(f"{e['type']}:{e['error']}" for e in part.entries))
    try:
        alive(run, part)
        text = wrong_entry(whole.entries, part.entries) if not part.mount_error else ""
        if text:
            run.fail(f"a failing call gives {text}", *part.kmsg[-4:], cause=text.partition(": ")[2], severity="critical")
        nothing_left(run, kernel, case)
        after = alive(run, case(NEVER))
        if (after.mount_error, after.entries) != (whole.mount_error, whole.entries):
            run.fail(f"after a failing call: {wrong_entry(whole.entries, after.entries) or after.mount_error or 'another tree'}",
                     *after.kmsg[-4:], cause="the next mount")
    except Disagreement:
        run.chooser.faults.append(failed(k, n))
        raise


@experiment("erofs.any-order.{rung}", series="erofs", rungs=("c",), run_seconds=120.0)
def any_order(run: Run) -> None:
    """Whoever runs next and whichever work item is done first: the same tree, the same errors, nothing left."""
    data, what = image_of(run.pick)
    if not data:
        return
    run.show(what)
    newest = run.pick.rare("newest first", 4)
    kernel = kernel_of(run)

    def case() -> Answer:
        return kernel.erofs(data, cap=CAP, max_entries=ENTRIES)

    alive(run, case())
    whole = alive(run, case())
    k = kernel.instance
    run.chooser.arm_schedule(MOST_CHOICES, newest=newest)
    asked: list[tuple[int, int]] = []

    def choose(kind: int, n: int) -> int:
        asked.append((kind, n))
        names = ("task", "work item")
        return run.chooser.task([Candidate(names[kind], i) for i in range(n)], None, f"which {names[kind]}")  # type: ignore[misc]

    k.choose(choose)
    try:
        other = case()
    finally:
        run.chooser.disarm_schedule()
        if not k.dead:
            k.choose(None)
    run.saw(f"{min(len(asked), 8)} choices", *(f"{kind} of {min(n, 4)}" for kind, n in asked))
    alive(run, other)
    if (other.mount_error, other.entries) != (whole.mount_error, whole.entries):
        text = wrong_entry(whole.entries, other.entries) or f"mount: {other.mount_error}, {whole.mount_error}"
        run.fail(f"in another order: {text}", *other.kmsg[-4:], cause=text.partition(": ")[2], severity="critical")
    nothing_left(run, kernel, case)
