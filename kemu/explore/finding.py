# SPDX-License-Identifier: GPL-2.0-only
"""What an experiment found: report, cause, severity, the C that it maps to, and how to see it again."""
from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, field
from typing import Any

from kemu.check.location import c_location
from kemu.explore.operands import is_error_pointer, is_null
from kemu.machine.shadow import NOT_PRESENT
from kemu.machine.splat import Deadlock, HungTask, KernelBug, KernelPanic, Splat, is_ported, trace_of

MOST_OTHERS = 4         # runs of one cause that are kept beside the smallest
NOT_TRIED = "not tried on another rung"
SEVERITIES = ("critical", "high", "medium", "low")

# first match of the title decides: (pattern, detector, severity)
_KINDS: tuple[tuple[str, str, str], ...] = (
    (r"KASAN: write to const", "const", "critical"),
    (r"KASAN: .*(use-after-free|double-free|invalid-free)", "KASAN", "critical"),
    (r"KASAN", "KASAN", "critical"),
    (r"KMSAN: kernel-infoleak", "KMSAN", "high"),
    (r"KMSAN", "KMSAN", "high"),
    (r"state left behind|still lent", "state", "critical"),
    (r"memory leak|^LEAK ", "leak", "medium"),
    (r"still held after|kmap_local window|leaked atomic", "locks", "medium"),
    (r"circular locking|recursive locking", "lockdep", "high"),
    (r"invalid context", "atomic", "high"),
    (r"Bad page|page dumped|^a page is freed", "page", "critical"),
    (r"bio ", "bio", "critical"),
    (r"hung|soft lockup|keeps the machine busy|^hang: |^deadlock: ", "hang", "high"),
    (r"stack overflow", "stack", "high"),
    (r"NULL pointer|page fault|^SIG(SEGV|BUS|ILL) at", "oops", "critical"),
    (r"UBSAN|divide error|^SIGFPE at", "UBSAN", "high"),
    (r"kernel BUG|panic", "BUG", "high"),
    (r"WARNING", "warning", "medium"),
)


class Disagreement(Splat):
    """A property does not hold: what was expected, what came. ``cause`` names the kind of disagreement for deduplication,
    ``detector`` how it shows.
    """

    def __init__(self, title: str, details: list[str] | None = None, *, function: str = "", cause: str = "",
                 severity: str = "high",
                 detector: str = "difference", **facts: Any):
        super().__init__(title, details, function=function, **facts)
        self.cause = cause or title
        self.severity = severity
        self.detector = detector


@dataclass
class Finding:
    """One finding. ``token`` replays it; ``input``, ``choices`` say what the smallest trigger is."""

    experiment: str
    title: str
    detector: str
    severity: str
    function: str
    c_location: str
    report: list[str]
    cause: str
    token: str = ""
    input: list[str] = field(default_factory=list)
    headlines: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    line: str = ""
    module: str = ""            # what replay needs to be told to find the experiment, if its package is not installed
    flavour: str = ""           # of the C rung's kernel, where replay needs to be told
    series: list[str] = field(default_factory=list)         # of --series, in order
    assumed: list[str] = field(default_factory=list)        # of --assume-fixed: what it is behind
    examples: int = 0
    offsets: list[int] = field(default_factory=list)        # the run itself
    also: list[str] = field(default_factory=list)           # tokens of runs that show the same
    small: bool = False                                     # the trigger has been shrunk
    config: list[str] = field(default_factory=list)         # the CONFIG values that the result depends on
    immaterial: list[str] = field(default_factory=list)     # choices of the trigger that may be anything
    stored: dict[str, str] = field(default_factory=dict)    # short forms of tokens that are kept on disk
    switches: int = 0                                       # of tasks, in the trigger
    rung: str = "py"                                        # it was found on; "source": a tool says it, and no kernel is run
    confirmed: dict[str, Any] = field(default_factory=lambda: {"c": None, "linux": None, "why": NOT_TRIED})

    def ref(self, token: str) -> str:
        """A token as it is to be typed."""
        return self.stored.get(token, token)

    def seen_as(self, *tokens: str) -> None:
        """Remember runs that show the same; the first few are enough."""
        self.also = [t for t in dict.fromkeys([*self.also, *tokens]) if t != self.token][:MOST_OTHERS]

    @property
    def trigger(self) -> str:
        """The smallest trigger in one line."""
        parts = [*(x.strip() for x in self.headlines or self.input), *self.choices]
        return "; ".join(p for p in parts if p)

    @property
    def rungs(self) -> list[str]:
        """Where it has shown."""
        return [name for name in ("c", "linux") if self.confirmed[name]] or [self.rung]

    def as_json(self) -> dict[str, Any]:
        """The object of ``kemu review --json``."""
        return {"title": self.title, "severity": self.severity, "detector": self.detector, "function": self.function,
                "c_location": self.c_location,
                "trigger": self.trigger, "report": "\n".join(self.report), "token": self.ref(self.token),
                "experiment": self.experiment,
                "config": self.config, "immaterial": self.immaterial,
                "also": [self.ref(t) for t in self.also], "rungs": self.rungs, "confirmed": self.confirmed}


def classify(title: str) -> tuple[str, str]:
    """(detector, severity) of a report by its first line."""
    for pattern, detector, severity in _KINDS:
        if re.search(pattern, title):
            return detector, severity
    return "check", "medium"


def normal(text: str) -> str:
    """A title without what changes from run to run: addresses, numbers."""
    text = re.sub(r" on [\w-]+( \w+)? folio ", " on a folio ", text)
    return re.sub(r"\b(0x)?[0-9a-f]{8,}\b|\b0x[0-9a-f]+\b|\b\d+\b", "N", text)


def first_splat(exc: BaseException | None) -> Splat | None:
    """The report that an exception is, or that was being raised when the code on the way out failed, too."""
    found = None
    while isinstance(exc, Exception):
        if isinstance(exc, Splat):
            found = exc
        exc = None if exc.__suppress_context__ else exc.__context__
    return found


def of_splat(experiment: str, splat: Splat) -> Finding:
    """The finding that a report makes."""
    facts = splat.facts
    line = str(facts.get("line", ""))
    where = str(facts.get("c_location", "")) or (c_location(splat.function, line) if splat.function else "")
    if isinstance(splat, Disagreement):
        return Finding(experiment, splat.title, splat.detector, splat.severity, splat.function, where,
                       [splat.title, *splat.details], splat.cause,
                       line=line)
    detector, severity = classify(splat.title)
    mapped = str(facts.get("mapped_in", ""))
    if mapped:                                  # every access beside one window has one cause: how the window was made
        over = "the page" if facts.get("code") == NOT_PRESENT else "what is in the page"
        cause = f"{facts.get('access')} over the end of {over} that {mapped} mapped"
        where = c_location(mapped) or where
    elif isinstance(splat, (Deadlock, HungTask)):
        cause = f"{experiment}: {normal(splat.title)} {splat.function}"
    else:
        cause = normal(splat.title)
    return Finding(experiment, splat.title, detector, severity, splat.function, where, [splat.title, *splat.details], cause,
                   line=line)


def of_exception(exc: BaseException) -> Splat:
    """A Python error inside ported code, as the fault that its C has at that place."""
    splat = first_splat(exc)
    if splat is not None:
        return splat
    function, line, own = "", "", ""
    for frame, lineno in traceback.walk_tb(exc.__traceback__):
        own = f"{frame.f_code.co_filename}:{lineno}"
        if is_ported(frame):
            function, line = frame.f_code.co_name, f"{frame.f_code.co_filename}:{lineno}"
    text = str(exc)
    details = [f"{type(exc).__name__}: {text}", f"at {'/'.join((line or own).split('/')[-2:])}"]
    details += trace_of(reversed(list(traceback.walk_tb(exc.__traceback__))))
    if isinstance(exc, (AttributeError, TypeError)) and is_null(exc):
        return KernelBug(f"BUG: kernel NULL pointer dereference in {function}", details, function=function, line=line)
    if is_error_pointer(exc):
        return KernelBug(f"BUG: unable to handle page fault in {function}: an error pointer is used as an object", details,
                         function=function, line=line)
    if isinstance(exc, IndexError):
        return KernelBug(f"UBSAN: array-index-out-of-bounds in {function}", details, function=function, line=line)
    if isinstance(exc, ZeroDivisionError):
        return KernelBug(f"divide error in {function}", details, function=function, line=line)
    if isinstance(exc, RecursionError):
        return KernelBug(f"BUG: kernel stack overflow in {function}", details[:6], function=function, line=line)
    if isinstance(exc, AssertionError):
        return Disagreement(f"the property does not hold: {text or 'assertion failed'}", details[1:], function=function,
                            cause=f"assertion at {line}", line=line)
    return KernelBug(f"BUG: {type(exc).__name__} in {function or own}", details, function=function, line=line)


__all__ = ["Disagreement", "Finding", "KernelPanic", "SEVERITIES", "classify", "normal", "of_exception", "of_splat"]
