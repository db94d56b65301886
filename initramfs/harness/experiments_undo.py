# SPDX-License-Identifier: GPL-2.0-only
"""What must hold where an attempt at a new root fails, and when it is over: nothing is left behind, nothing is taken that was
there before.
"""
from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from kemu.check import ledger
from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.linux.errno import ENOMEM
from kemu.linux.init import setup_table
from kemu.linux.init_syscalls import init_mkdir
from kemu.linux.port.series import Series
from kemu.machine.boot import default_builtin
from kemu.machine.config import flipped
from kemu.machine.current import this

from initramfs import initerofs_rfc, layered
from initramfs.harness import designs
from initramfs.harness.experiments_success import DESIGNS
from initramfs.harness.trials import State, cpio_archive, directories, erofs_image, few, leave, place, run_boot, told

__role__ = "harness"


# ------------------------------------------------------------------------- the attempt

class Plan:
    """In which attempt calls may fail, and what is seen of it."""

    def __init__(self, run: Run | None, nth: int = 1, judge: Callable[[str, list[ledger.Entry]], None] | None = None):
        self.run = run
        self.nth = nth
        self.judge = judge              # of an attempt that failed: how it ended, and what is not as before
        self.calls = 0
        self.inside = False
        self.before: ledger.Ledger = {}
        self.made: list[str] = []       # directories that were made

    def over(self, how: str) -> None:
        """The attempt has failed, and what comes instead of it begins."""
        self.inside = False
        if self.run is not None:
            self.run.chooser.disarm_faults()
        if self.judge is not None:
            self.judge(how, ledger.compare(self.before, ledger.take()))


_plan: list[Plan] = []                  # of the boot that runs


class Attempt:
    """Which function of a design makes the attempt. It tells by its return value that it failed, or by calling ``instead``."""

    def __init__(self, function: Callable[[], Any], instead: Callable[[], Any] | None = None, unpacked: int = 1):
        self.unpacked = unpacked        # the attempt before which the built-in archive has been unpacked
        self.where = place(function)
        self.returns = instead is None
        self.series = Series(f"attempt of {function.__name__}", ("initramfs",))
        make = init_mkdir               # the name refers to what stands in for it while the series is applied

        @self.series.replaces(function)
        def attempt() -> Any:
            plan = _plan[-1] if _plan else None
            if plan is None:
                return function()
            plan.calls += 1
            if plan.calls < plan.nth and self.returns:
                return -ENOMEM          # as if its first call had failed
            if plan.calls != plan.nth:
                return function()
            plan.inside = True
            plan.before = ledger.take()
            if plan.run is not None:
                plan.run.chooser.arm_faults()
            ret = function()
            if plan.run is not None:
                plan.run.chooser.disarm_faults()
            if self.returns and ret:
                plan.over(f"fails with {errno.errorcode.get(-ret, ret)}")
            plan.inside = False
            return ret

        @self.series.replaces(init_mkdir)
        def mkdir(name: str, mode: int) -> int:
            ret = make(name, mode)
            if _plan and _plan[-1].inside and not ret:
                _plan[-1].made.append(name)
            return ret

        if instead is not None:
            @self.series.replaces(instead)
            def fall_back() -> Any:
                if _plan and _plan[-1].inside:
                    _plan[-1].over("fails")
                return instead()


ATTEMPTS = {"initerofs-rfc": Attempt(initerofs_rfc.initerofs_mount_root, unpacked=2),
            "layered": Attempt(layered.layered_initrd_setup, layered.populate_initrd)}


def boot_with(design: str, plan: Plan, data: bytes, **kw: Any) -> State:
    """A boot in which the attempt goes by ``plan``."""
    _plan[:] = [plan]
    try:
        return run_boot(design, data, probe=ATTEMPTS[design].series, **kw)[1]
    finally:
        _plan.clear()


def _input(run: Run, design: str) -> bytes:
    mixed = design == "layered" and bool(run.pick.int("mixed", 0, 1))
    run.show("an archive and an EROFS image as initrd" if mixed else "an EROFS image as initrd")
    return (cpio_archive("m", False) if mixed else b"") + erofs_image("a")


_known: dict[tuple[str, bytes, object], State] = {}


def _reference(design: str, data: bytes) -> State:
    """A boot without detectors and failures; the same every time."""
    key = (design, data, flipped())
    if key not in _known:
        _known[key] = run_boot(design, data)[1]
    return _known[key]


def _log() -> list[str]:
    return ["The last lines of the log:", *this.machine.log.lines()[-5:]]


def _grouped(entries: list[ledger.Entry]) -> str:
    kinds = [k for k in (*ledger.LASTING, "nodes") if any(e.kind == k for e in entries)]
    return "; ".join(f"{k}: " + ", ".join(e.name + (f" ({e.about})" if e.about and k == "mounts" else "") for e in entries
                                          if e.kind == k) for k in kinds)


# ------------------------------------------------------------------------- failing calls

@experiment("{design}.undoes", variants=DESIGNS, weight=1.5)
def undoes(run: Run, design: str) -> None:
    """An attempt in which a call fails leaves mounts, directories, disks and names as it found them."""
    attempt = ATTEMPTS[design]

    def judge(how: str, entries: list[ledger.Entry]) -> None:
        lasting = [e for e in entries if e.kind in ledger.LASTING]
        if entries:
            kinds = ", ".join(sorted({f"{'+' if e.new else '-'}{e.kind}" for e in lasting or entries}))
            run.fail(f"{attempt.where[0]} {how} and leaves behind {_grouped(entries)}", *ledger.report(entries), *_log(),
                     cause=f"left by {attempt.where[0]}: {kinds}",
                     severity="low" if not lasting else "high" if {e.kind for e in lasting} == {"superblocks"} else "critical",
                     where=attempt.where, detector="ledger")

    boot_with(design, Plan(run, 1, judge), _input(run, design), machine=run.machine)


@experiment("{design}.takes-only-its-own", variants=DESIGNS)
def takes_only_its_own(run: Run, design: str) -> None:
    """An attempt that fails removes no name that was there before, even one that it uses itself."""
    attempt = ATTEMPTS[design]
    data = _input(run, design)
    plan = Plan(None)
    boot_with(design, plan, data)
    made = plan.made[:len(plan.made) - run.pick.int("not of the last", 0, max(len(plan.made) - 1, 0))]
    run.show(f"the built-in archive has directories with the names of "
             f"{'those' if made == plan.made else f'the first {len(made)}'} that the attempt makes")
    if attempt.unpacked > 1:
        run.show(f"{attempt.where[0]} is called for the {attempt.unpacked}nd time, the first has failed with ENOMEM")

    def judge(how: str, entries: list[ledger.Entry]) -> None:
        gone = [e for e in entries if not e.new and e.kind == "nodes"]
        if gone:
            run.fail(f"{attempt.where[0]} {how} and removes {', '.join(e.name for e in gone)} of the built-in archive",
                     *ledger.report(entries),
                     *_log(), cause=f"removed by {attempt.where[0]}", severity="medium", where=attempt.where, detector="ledger")

    boot_with(design, Plan(run, attempt.unpacked, judge), data, machine=run.machine,
              builtin=default_builtin() + directories(made))


@experiment("{design}.failing-calls", variants=DESIGNS, weight=2.0)
def failing_calls(run: Run, design: str) -> None:
    """An attempt in which a call fails ends with the complete new root, or as if it had never been made."""
    data = _input(run, design)
    state = boot_with(design, Plan(run), data, machine=run.machine)
    done, off = _reference(design, data), _reference("upstream", data)
    as_done, as_off = state.differences(done), state.differences(off)
    if not as_done:
        return
    run.saw(*as_off)
    if as_off:
        near, what, kinds = (done, "a success", as_done) if len(as_done) <= len(as_off) else (off, "upstream", as_off)
        lines = state.lines(near)
        run.fail(f"after a failed call the boot is neither a success nor as upstream; unlike {what}: {few(lines)}", *lines,
                 "Of the log:", *told(state), cause=f"failed call, unlike {what}: {', '.join(kinds)}",
                 severity="critical", where=ATTEMPTS[design].where)


@experiment("{design}.one-attempt", variants=DESIGNS)
def one_attempt(run: Run, design: str) -> None:
    """An attempt that fails is not made again."""
    plan = Plan(run)
    state = boot_with(design, plan, _input(run, design), machine=run.machine)
    if plan.calls > 1:
        run.fail(f"an attempt that has failed is made again: {ATTEMPTS[design].where[0]} runs {plan.calls} times", *told(state),
                 cause="more than one attempt", where=state.by)


@experiment("{design}.reads-after-failure", variants=DESIGNS, weight=1.5)
def reads_after_failure(run: Run, design: str) -> None:
    """Whatever is mounted when the attempt is over can be read: its memory is there."""
    boot_with(design, Plan(run), _input(run, design), machine=run.machine, read_all=True)


# ------------------------------------------------------------------------- when it is over

@experiment("{design}.leaves-nothing-unused", variants=DESIGNS)
def leaves_nothing_unused(run: Run, design: str) -> None:
    """Of the directories that a successful attempt made in rootfs none is left with nothing in it and nothing on it."""
    left: list[str] = []
    plan = Plan(None)

    def end(state: State) -> None:
        now = ledger.take()
        on = {name.partition(" [")[0] for name in now["mounts"]}
        left.extend(n for n in plan.made if now["nodes"].get(n) == "directory" and n not in on
                    and not any(o.startswith(n + "/") for o in now["nodes"]))

    state = boot_with(design, plan, _input(run, design), machine=run.machine, end=end)
    if left and state.values["end"] == ["init runs"]:
        run.fail(f"{', '.join(left)}: made, and left over in rootfs with nothing in {'it' if len(left) == 1 else 'them'} and "
                 f"nothing mounted there",
                 *left, cause="left over", severity="low", where=ATTEMPTS[design].where, detector="ledger")


@experiment("{design}.gives-memory-back", variants=DESIGNS)
def gives_memory_back(run: Run, design: str) -> None:
    """When the root is left and its last mount has gone, the initrd's memory is free."""
    data = _input(run, design)
    run.show("everything is unmounted in the end")
    _, state = run_boot(design, data, machine=run.machine, end=leave)
    free, of = (int(w) for w in state.values["initrd at last"][0].split() if w.isdigit())
    if free != of:
        run.fail(f"{of - free} of {of} whole pages of the initrd are never freed", *state.values["freed initrd"],
                 cause="initrd never freed",
                 severity="medium", where=state.by, detector="ledger")


@experiment("{design}.parameters", variants=DESIGNS)
def parameters(run: Run, design: str) -> None:
    """Every kernel parameter that a design adds changes something."""
    pairs = [p for s in designs.find(design).series for p in s.replacements.values() if hasattr(p[1], "__module__")]
    modules = {new.__module__ for _, new in pairs} - {old.__module__ for old, _ in pairs}
    own = [p for p in setup_table if getattr(p.setup_func, "__module__", "") in modules]
    if not own:
        return
    p = own[run.pick.int("parameter", 0, len(own) - 1)]
    given = p.str + ("1" if p.str.endswith("=") else "")
    run.show(f"an EROFS image as initrd, and an archive; with {given} on the command line and without; everything is unmounted "
             f"in the end")
    last: State | None = None
    for data in (erofs_image("a"), cpio_archive("a") + bytes(9000)):
        _, without = run_boot(design, data, end=leave)
        _, last = run_boot(design, data, machine=run.machine, cmdline=given, end=leave)
        if last.differences(without) or _said(last) != _said(without):
            return
    assert last is not None
    run.fail(f"the parameter {given} changes nothing: not the root, the mounts, the log, nor what becomes of the initrd's memory",
             cause=f"{p.str} changes nothing",
             severity="medium", where=place(p.setup_func))


def _said(state: State) -> list[str]:
    return [text for _, text in state.log if not text.startswith("Kernel command line")]
