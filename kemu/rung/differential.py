# SPDX-License-Identifier: GPL-2.0-only
"""One input, two kernels: what the kernel's C makes of it, and how that differs from what the emulation makes of it.

An experiment of the Linux rung or the C rung asks :func:`ask` what the kernel says, makes its own :class:`Seen` of the answer of
the emulation, and hands both to :func:`judge`. One kernel serves all examples of a process.
"""
from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kemu.explore.finding import classify, normal
from kemu.explore.run import Run
from kemu.report import manifest
from kemu.report.manifest import Entry
from kemu.rung.asked import Unanswered, asked
from kemu.rung.protocol import Answer
from kemu.rung.uml.errors import RungError

CAP = 1 << 22           # bytes of a file that are read; both kernels stop there
MOST = 2000             # entries of a tree
HANG = "hang"

_DEVICE = re.compile(r"^(erofs) \(device [^)]*\)")
_REASON = re.compile(r"(failed to decompress \(zstd\)) .* @ pa")          # libzstd's words differ from version to version
_ERRNAME = re.compile(r"-(E[A-Z0-9]+)\b")                              # %pe, which needs CONFIG_SYMBOLIC_ERRNAME for names
_WARNING = re.compile(r"^WARNING: ")
_KASAN = re.compile(r"KASAN: ([\w-]+)")


def _number(m: re.Match[str]) -> str:
    return f"-{getattr(errno, m[1], m[1])}"


@dataclass
class Seen:
    """What one kernel made of an input.

    ``mount_error``: errno name, or None. ``log``: the kernel's lines. ``splat``: the first line of what ended or tainted it, or
    None. ``function``, ``place``: the C in which it ended, where that is known, with the report ``trace``.
    """

    mount_error: str | None
    entries: list[Entry] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    splat: str | None = None
    function: str = ""
    place: str = ""
    trace: list[str] = field(default_factory=list)

    def said(self) -> list[str]:
        """The lines of the file system, without the name of the device and those that a kernel says once in its life."""
        return [_ERRNAME.sub(_number, _REASON.sub(r"\1 @ pa", _DEVICE.sub(r"\1", line))) for line in self.log
                if _DEVICE.match(line) and ": EXPERIMENTAL " not in line]


def errno_name(error: int) -> str | None:
    """``"EUCLEAN"`` for 117 or -117; None for 0; EOPNOTSUPP as manifests name it."""
    error = abs(error)
    return "ENOTSUP" if error == errno.EOPNOTSUPP else errno.errorcode.get(error, f"E{error}") if error else None


def ask(rung: str, image: bytes, *, at: int = 0, memory: str = "linear", devices: Sequence[bytes] = (), options: str = "",
        backend: str = "disk", afresh: bool = False, zeroed: bool = True, cap: int = CAP, most: int = MOST) -> Seen:
    """The answer of the rung's kernel. ``afresh``: of one that has seen nothing else; not ``zeroed``: of one whose fresh memory
    is not zeros.
    """
    try:
        kernel = asked(rung).judge(zeroed=zeroed, afresh=afresh)
        return seen(kernel.erofs(image, at=at, memory=memory, devices=devices, options=options, backend=backend, cap=cap,
                                 max_entries=most))
    except RungError as e:
        raise Unanswered(e) from None


def seen(a: Answer) -> Seen:
    """What is compared of an answer."""
    return Seen(a.mount_error, a.entries, a.kmsg, HANG if a.crash == "hang" else a.message if a.crash else None, a.function,
                a.place, a.console.splitlines() if a.place else [])


def ended(seen: Seen) -> str | None:
    """``"WARNING"`` after a WARN_ON(), or what else ended or tainted the kernel; None if nothing did."""
    if seen.splat is None or _WARNING.match(seen.splat):
        return "WARNING" if any(map(_WARNING.match, seen.log)) or seen.splat else None
    return seen.splat


def same_end(a: str | None, b: str | None) -> bool:
    """Whether two kernels ended alike; of a sanitizer's report its kind counts."""
    kinds = [m[1] if m else x for x in (a, b) for m in (_KASAN.search(x or ""),)]
    return kinds[0] == kinds[1]


def difference(linux: Seen, here: Seen, who: str, log: bool = True, kernel: str = "Linux") -> tuple[str, str, list[str]] | None:
    """(title, cause, details) of the first thing that the two do not agree on; None if they agree. ``log``: compare what they
    say, too. ``kernel``: how the first of them is called.
    """
    a, b = ended(linux), ended(here)
    if not same_end(a, b):
        if a and linux.place:
            return a, f"{normal(a)} in {linux.function}", [f"{who}: {b or 'no splat'}"]
        return f"{kernel}: {a or 'no splat'}, {who}: {b or 'no splat'}", f"splat: {a} / {b}", []
    if linux.mount_error != here.mount_error:
        return (f"mount: {kernel} {linux.mount_error or 'works'}, {who} {here.mount_error or 'works'}",
                f"mount {linux.mount_error} / {here.mount_error}", [])
    text = manifest.diff(linux.entries, here.entries, kernel, who, lines=24)
    if text:
        path, name, x, y = first_field(linux.entries, here.entries)
        what = f"{name}: {x} / {y}" if name in ("error", "names") else name
        return f"{manifest.show(path)}: {name}: {kernel} {_short(x)}, {who} {_short(y)}", what, text.split("\n")
    # the order is no answer: which queue of pclusters a kworker gets to first differs from run to run
    x, y = sorted(linux.said()), sorted(here.said())
    if log and x != y:
        i = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
        p, q = (x[i] if i < len(x) else "nothing more"), (y[i] if i < len(y) else "nothing more")
        return (f"the kernels say different things: {kernel} \"{p}\", {who} \"{q}\"", f"log: {_words(p)} / {_words(q)}",
                [f"{side}: {line}" for side, lines in ((kernel, x), (who, y)) for line in lines[max(0, i - 2):i + 6]])
    return None


def first_field(a: Iterable[Entry], b: Iterable[Entry]) -> tuple[str, str, Any, Any]:
    """Path, field and both values of the first difference of two manifests; the field is "names" where only one side has the
    path.
    """
    xs, ys = manifest.ordered(a), manifest.ordered(b)
    for x, y in zip(xs, ys):
        if x["path"] != y["path"]:
            return ((x["path"], "names", "has it", "has not") if manifest.sort_key(x) < manifest.sort_key(y)
                    else (y["path"], "names", "has not", "has it"))
        fields = manifest.entry_differences(x, y)
        if fields:
            return (x["path"], *next((f for f in fields if f[0] == "error"), fields[0]))
    longer = xs if len(xs) > len(ys) else ys
    return (longer[min(len(xs), len(ys))]["path"], "names", "has it" if longer is xs else "has not",
            "has not" if longer is xs else "has it")


def judge(run: Run, linux: Seen, here: Seen, who: str, again: Callable[[bool], Seen] | None = None,
          uninitialised: Callable[[], str | None] | None = None, severity: str = "high", log: bool = True,
          rung: str = "") -> None:
    """End the run with a finding if the two differ. ``rung``: of the kernel that was asked, if that is not the run's.

    ``again(zeroed)`` asks Linux once more, afresh; not ``zeroed``: where fresh memory holds what it held before.
    ``uninitialised`` runs the emulation with its detector of uninitialised memory and gives the first line of its report. With
    these the finding also says whether Linux's answer is a function of the input at all. What only a kernel with a history does
    (a workspace that an earlier mount has made large) is no difference.
    """
    kernel = asked(rung or run.rung).who
    found = difference(linux, here, who, log, kernel)
    if found is None:
        return
    title, cause, details = found
    if linux.place and title == linux.splat:
        crashed(run, linux, *details, cause=cause)
    details += [f"{kernel} said: {line}" for line in linux.log[-3:]] + [f"{who} said: {line}" for line in here.log[-3:]]
    report = uninitialised() if uninitialised is not None else None
    if report is not None:
        run.fail(f"Linux's answer depends on memory that nothing has written: {report}", title, *details,
                 cause=f"uninitialised: {report}")
    if again is not None:
        first = again(True)
        if difference(first, here, who, log) is None:
            run.saw(f"{kernel} has kept something of earlier mounts: {cause}")      # the emulation's kernel has seen none
            return
        other = again(False)
        changed = next((x for x in (first, other) if difference(linux, x, "Linux afresh", log) is not None), None)
        if changed is not None:
            run.fail(f"Linux does not answer the same twice: {title}", *details,
                     f"{kernel} afresh: {changed.mount_error or 'mounted'}",
                     *manifest.diff(linux.entries, changed.entries, kernel, f"{kernel} afresh", lines=8).split("\n"),
                     cause=f"unstable: {cause}")
    data = cause in ("sha256", "target")
    run.fail(title, *details, cause=cause, severity="critical" if data else severity, where=run.filled() if data else run.heard)


def crashed(run: Run, c: Seen, *details: str, cause: str = "") -> NoReturn:
    """End the run with the finding that the end of the kernel's C is: its report, and where in C it was."""
    title = c.splat or "the kernel ended"
    detector, severity = classify(title)
    run.fail(title, *c.trace[1:], *details, cause=cause or f"{normal(title)} in {c.function}", severity=severity,
             detector=detector, c=(c.function, c.place))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 20 else text[:17] + "..."


def _words(text: str) -> str:
    """A line of the log without its numbers."""
    return re.sub(r"-?\b(0x)?[0-9a-f]*\d[0-9a-f]*\b", "N", text)
