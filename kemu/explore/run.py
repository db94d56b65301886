# SPDX-License-Identifier: GPL-2.0-only
"""One run of one experiment: a chooser, machines with detectors attached, and what came out."""
from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kemu.check.pagecache import PageCache
from kemu.check.state import GlobalState
from kemu.check.suite import all_detectors
from kemu.check.watch import Detectors
from kemu.check.where import logger_function
from kemu.explore import modules
from kemu.explore import token as tokens
from kemu.explore.assume import Passed
from kemu.explore.chooser import Choice, Choices, Who
from kemu.explore.experiment import Experiment, installed
from kemu.explore.finding import Disagreement, Finding, first_splat, of_exception, of_splat
from kemu.explore.source import ListSource, Source
from kemu.explore.trace import Trace
from kemu.forge.pick import Pick
from kemu.machine.config import survey
from kemu.machine.given import Given
from kemu.machine.hostmodule import MissingLibrary
from kemu.machine.machine import Machine
from kemu.machine.roles import calls_experiments
from kemu.machine.series import Series, SeriesError
from kemu.machine.splat import HungTask, Splat, call_trace, caller_function
from kemu.report.manifest import Entry


@dataclass
class Expected:
    """What is right of a mount or an archive: ``error``, errno name or message, "" if it works; ``entries``, the tree as
    manifests have it; ``contents``, the bytes of its files by path, where they are known.
    """

    error: str = ""
    entries: list[Entry] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)


class Run:
    """What an experiment is given.

    ``pick`` chooses (:class:`kemu.forge.pick.Pick`), ``chooser`` is the Chooser behind it. ``rung``: where the port runs.
    """

    def __init__(self, chooser: Choices, *, rung: str = "py", detect: bool = True, trace: Trace | None = None,
                 detectors: Callable[[], Detectors] = all_detectors, series: tuple[Series, ...] = (),
                 passed: Callable[[Splat], bool] | None = None):
        self.chooser = chooser
        self.pick = Pick(chooser)
        self.rung = rung
        self.detect = detect
        self.trace = trace
        self.shown: list[str] = []
        self.headlines: list[str] = []
        self.files: dict[str, bytes] = {}           # what kemu replay --save writes
        self.left_out = ""                          # what of the choices this rung cannot be asked
        self.failing: list[str] = []                # calls that fail on a rung that is asked, as text
        self.expected: Expected | None = None       # what the image or the initrd that was given should come to
        self.behaviour: set[str] = set()
        self.watches: list[Detectors] = []
        self.machines: list[Machine] = []
        self.heard: tuple[str, str] = ("", "")      # who wrote the last error into the kernel log: function, file:line
        self._detectors = detectors
        self._series = series
        self._passed = passed

    def machine(self, **options: Any) -> Machine:
        """A :class:`~kemu.machine.machine.Machine` whose chooser is this run's, with every detector attached."""
        watch: Detectors | None = None
        extra = [self.trace.watch()] if self.trace is not None else []
        if self.detect:
            watch = self._detectors()
            if extra:
                watch = Detectors([*watch.all, *extra])
        elif extra:
            watch = Detectors(extra)
        if self._series:
            there = list(options.get("series", ()))
            options["series"] = [*there, *(s for s in self._series if s not in there)]
        m = Observed(chooser=self.chooser, watch=watch, **options)
        m.mem.passed = self._passed
        if watch is not None:
            watch.passed = self._passed
        if watch is not None:
            watch.attach(m)
            self.watches.append(watch)
        if self.detect:
            m.log.console = self._listener(m.log.console)
        self.machines.append(m)
        return m

    def _listener(self, inner: Callable[[int, str], None] | None) -> Callable[[int, str], None]:
        def listen(level: int, line: str) -> None:
            if level <= 3:
                self.heard = logger_function()
            if inner is not None:
                inner(level, line)
        return listen

    def filled(self) -> tuple[str, str]:
        """Which address space operation last filled a page of the page cache: function, file:line."""
        for watch in reversed(self.watches):
            cache = watch.get(PageCache)
            if cache is not None and cache.filled_by is not None:
                return cache.filled_by.function, cache.filled_by.place
        return "", ""

    def show(self, *lines: str) -> None:
        """Describe the input: printed with a finding, and only then. The first line of each text is its summary."""
        for text in lines:
            self.shown += text.split("\n")
            self.headlines.append(text.partition("\n")[0])

    def saw(self, *what: str) -> None:
        """Something that tells this run's behaviour from another's (an errno, a layout): counted as progress."""
        self.behaviour.update(what)

    def fail(self, title: str, *details: str, cause: str = "", severity: str = "high", where: tuple[str, str] = ("", ""),
             detector: str = "difference", c: tuple[str, str] = ("", "")) -> NoReturn:
        """The property does not hold. ``where``: function and file:line that it is about (:attr:`heard`, :meth:`filled`); ``c``:
        function and file:line of the kernel's C, where that itself has said so.
        """
        raise Disagreement(title, list(details), cause=cause, severity=severity, detector=detector, function=c[0] or where[0],
                           line=where[1], c_location=f"{c[1]} {c[0]}" if c[1] else "")

    @contextmanager
    def unchanged(self, m: Machine) -> Iterator[None]:
        """What happens inside must leave every static variable and table as it was. Things that are made once and kept are to be
        made before.
        """
        state = m.watch.get(GlobalState) if isinstance(m.watch, Detectors) else None
        if state is not None:
            m.idle()
            state.remember()
        yield
        if state is not None:
            m.idle()
            state.compare()

    @contextmanager
    def balanced(self, m: Machine) -> Iterator[None]:
        """What happens inside must leave nothing allocated, held or lent. (Global state: see :meth:`unchanged`.)"""
        watch = m.watch
        if isinstance(watch, Detectors):
            m.idle()
            watch.mark()
            yield
            m.idle()
            watch.finish()
        else:
            yield


class Observed(Machine):
    """A machine whose detectors add to a report before it is taken down."""

    def __exit__(self, *exc: Any) -> None:
        splat = first_splat(exc[1])
        if splat is not None and isinstance(self.watch, Detectors) and "explained" not in splat.facts:
            splat.facts["explained"] = True
            splat.details = [*splat.details, *self.watch.explain(splat)]
        super().__exit__(*exc)


class RungLost(BaseException):
    """What the examples run on is gone (a kernel that could not be built, or does not answer): no run is possible. ``exit_code``:
    of the command.
    """

    exit_code = 1


LOST = (RungLost, SeriesError)          # what ends a search: no run is possible


def why_lost(e: RungLost | SeriesError) -> str:
    """One line for a command."""
    return f"series {e}" if isinstance(e, SeriesError) else str(e)


@dataclass
class Outcome:
    """What one run came to."""

    experiment: Experiment
    draws: list[Choice]
    finding: Finding | None
    diverged: str = ""
    behaviour: set[str] = field(default_factory=set)
    fault_points: int = 0
    fault_keys: list[Hashable] = field(default_factory=list)
    task_points: list[int] = field(default_factory=list)
    trace: Trace | None = None
    splat: Splat | None = None
    asked: dict[str, Any] = field(default_factory=dict)         # CONFIG options, with their values
    files: dict[str, bytes] = field(default_factory=dict)       # the input, for who wants to look at it
    left_out: str = ""                                          # what of the choices this rung cannot be asked
    series: list[Series] = field(default_factory=list)          # that its machines ran
    given: list[Given] = field(default_factory=list)            # what its machines mounted and booted, in order
    expected: Expected | None = None                            # what the last of these should have come to, where that is known

    @property
    def offsets(self) -> list[int]:
        """The choices, relative to the simplest ones, without the simple ones at the end."""
        out = [c.offset for c in self.draws]
        while out and not out[-1]:
            out.pop()
        return out

    @property
    def token(self) -> str:
        """The choices of this run as text."""
        return tokens.of_choices(self.experiment.name, self.draws)

    def armed(self, name: str) -> bool:
        """Whether the run asked for faults ("fault") or preemptions ("preempt")."""
        return any(c.name == name for c in self.draws)


@contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """Ported code that loops without ever reaching a scheduling point ends in a soft lockup report: after so many seconds of
    processor time, or ten times as many of the wall's clock, for it may wait for what never comes.
    """
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def bark(signum: int, frame: Any) -> None:
        func, line = caller_function()
        raise HungTask(f"watchdog: BUG: soft lockup - stuck for {seconds:.0f}s in {func}", ["Call Trace:", *call_trace()],
                       function=func, line=line)

    timers = (signal.ITIMER_PROF, signal.SIGPROF, seconds), (signal.ITIMER_REAL, signal.SIGALRM, 10 * seconds)
    old = [(signal.signal(sig, bark), signal.setitimer(timer, limit)[0]) for timer, sig, limit in timers]
    try:
        yield
    finally:
        for (timer, sig, _), (handler, rest) in zip(timers, old):
            signal.setitimer(timer, 0)
            signal.signal(sig, handler)
            signal.setitimer(timer, rest)       # somebody else's, which had stood still


@calls_experiments
def execute(exp: Experiment, source: Source, *, expect: list[int] | None = None, trace: bool = False, detect: bool = True,
            rung: str = "py", flavour: str = "",
            detectors: Callable[[], Detectors] = all_detectors, series: tuple[Series, ...] = (),
            config: dict[str, Any] | None = None, who: Who | None = None, given: tuple[str, ...] = (),
            caught: Callable[[Exception], None] | None = None, assumed: Mapping[str, str] | None = None) -> Outcome:
    """Run ``exp`` once with choices from ``source``; ``series``: on top of those that it asks for itself, ``config``: whatever it
    asks for; ``flavour``: of the rung's kernel, for whoever replays it; ``who``: who runs next, wherever that is asked;
    ``given``: how a command line names the series, for whoever replays it; ``caught``: is given what ended the run, if that
    is a report; ``assumed``: causes that are passed over, and how each was given, see :mod:`kemu.explore.assume`. Never
    raises for what the experiment does wrong: that is the outcome's finding. SeriesError for series that do not stand on
    each other.
    """
    t = Trace() if trace else None
    chooser = Choices(source, expect=expect, who=who)
    if t is not None:
        chooser.trace = t.add
    passed = Passed(exp.name, assumed) if assumed else None
    run = Run(chooser, rung=rung, detect=detect, trace=t, detectors=detectors, series=series, passed=passed)
    splat: Splat | None = None
    try:
        with survey(config or {}) as asked, watchdog(exp.run_seconds):
            exp.fn(run, **exp.params)
    except (MissingLibrary, SeriesError):           # no fault of what is judged
        raise
    except Exception as exc:
        splat = of_exception(exc)
        if caught is not None:
            caught(exc)
    finding = None
    if splat is not None:
        finding = of_splat(exp.name, splat)
        finding.input = run.shown
        finding.headlines = run.headlines
        finding.flavour = flavour
        finding.series = list(given)
        finding.assumed = list((assumed or {}).values())
        if exp.name not in installed:
            finding.module = modules.how_given(exp.fn.__module__)
        finding.switches = len(chooser.switches)
        finding.choices = run.failing + [str(f) for f in chooser.faults] + [str(s) for s in chooser.switches]
        finding.token = tokens.of_choices(exp.name, chooser.draws)
        if t is not None:
            t.add(finding.title)
        if finding.cause in (assumed or {}):                # it could not be gone behind: the run ended there
            finding = splat = None
    return Outcome(exp, chooser.draws, finding, chooser.diverged, run.behaviour, chooser.fault_points, chooser.fault_keys,
                   list(chooser.task_points), t, splat,
                   asked, run.files, run.left_out, list(dict.fromkeys(s for m in run.machines for s in m.series)),
                   [g for m in run.machines for g in m.given], run.expected)


def replay(exp: Experiment, tok: tokens.Token, **options: Any) -> Outcome:
    """Run a token again."""
    from kemu.explore.source import SeedSource  # noqa: PLC0415  (start-up)

    if tok.seed is not None:
        return execute(exp, SeedSource(tok.seed), **options)
    return execute(exp, ListSource(tok.offsets), expect=tok.shapes, **options)
