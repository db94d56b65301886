# SPDX-License-Identifier: GPL-2.0-only
"""One input, two kernels: what Linux makes of it, and how that differs from what the emulation makes of it.

An experiment of the Linux rung asks :func:`ask` what the kernel says, makes its own :class:`Seen` of the emulation's answer, and
hands both to
:func:`judge`. One kernel serves all examples of a process.
"""
from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kemu.explore.run import Run, RungLost
from kemu.report import manifest
from kemu.report.manifest import Entry
from kemu.rung.uml.build import Kernel, Recipe, build
from kemu.rung.uml.cache import default_tree
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.fetch import fetch
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.oracle import Oracle
from kemu.rung.uml.tree import find_tree

CAP = 1 << 22           # bytes of a file that are read; both kernels stop there
MOST = 2000             # entries of a tree
HANG = "hang"

_kernel: list[Kernel] = []
_oracles: dict[tuple[int, tuple[str, ...]], Oracle] = {}

_DEVICE = re.compile(r"^(erofs) \(device [^)]*\)")
_REASON = re.compile(r"(failed to decompress \(zstd\)) .* @ pa")          # libzstd's words differ from version to version
_ERRNAME = re.compile(r"-(E[A-Z0-9]+)\b")                              # %pe, which needs CONFIG_SYMBOLIC_ERRNAME for names
_WARNING = re.compile(r"^WARNING: ")


class Unanswered(RungLost):
    """There is no kernel that could be asked: the run cannot go on. ``exit_code`` is what the command line gives."""

    def __init__(self, error: RungError):
        super().__init__(str(error))
        self.exit_code = error.exit_code


def _number(m: re.Match[str]) -> str:
    return f"-{getattr(errno, m[1], m[1])}"


@dataclass
class Seen:
    """What one kernel made of an input.

    ``mount_error``: errno name, or None. ``log``: the kernel's lines. ``splat``: the first line of what ended or tainted it, or
    None.
    """

    mount_error: str | None
    entries: list[Entry] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    splat: str | None = None

    def said(self) -> list[str]:
        """The lines of the file system, without the name of the device and those that a kernel says once in its life."""
        return [_ERRNAME.sub(_number, _REASON.sub(r"\1 @ pa", _DEVICE.sub(r"\1", line))) for line in self.log
                if _DEVICE.match(line) and ": EXPERIMENTAL " not in line]


def prepare(say: Say = nothing) -> None:
    """Build the kernel if that has not been done, so that forked workers find it. ``RungError`` says why there is none.

    The tree is $KEMU_TREE, else Debian's, fetched if need be.
    """
    if _kernel:
        return
    own = os.environ.get("KEMU_TREE")
    tree = fetch(say=say) if not own and not (default_tree() / "Makefile").exists() else find_tree(own)
    _kernel.append(build(Recipe(tree), say))


def oracle(*args: str) -> Oracle:
    """This process's kernel; ``args``: more words for its command line."""
    key = (os.getpid(), args)
    if key not in _oracles:
        prepare()
        _oracles[key] = Oracle(kernel=_kernel[0], args=args, timeout=10.0)
    return _oracles[key]


def close() -> None:
    """End the kernels of this process."""
    for key in [k for k in _oracles if k[0] == os.getpid()]:
        _oracles.pop(key).close()


def errno_name(error: int) -> str | None:
    """``"EUCLEAN"`` for 117 or -117; None for 0; EOPNOTSUPP as manifests name it."""
    error = abs(error)
    return "ENOTSUP" if error == errno.EOPNOTSUPP else errno.errorcode.get(error, f"E{error}") if error else None


def ask(image: bytes, *, at: int = 0, memory: str = "linear", devices: Sequence[bytes] = (), options: str = "",
        afresh: bool = False,
        args: Sequence[str] = (), cap: int = CAP, most: int = MOST) -> Seen:
    """Linux's answer. ``afresh``: from a kernel that has seen nothing else."""
    try:
        o = oracle(*args)
        if afresh:
            o.close()
        r = o.erofs(image, at=at, memory=memory, devices=devices, options=options, cap=cap, max_entries=most)
    except RungError as e:
        raise Unanswered(e) from None
    return Seen(r.mount_error, r.entries, r.kmsg, HANG if r.crash == "hang" else r.message if r.crash else None)


def ended(seen: Seen) -> str | None:
    """``"WARNING"`` after a WARN_ON(), or what else ended or tainted the kernel; None if nothing did."""
    if seen.splat is None or _WARNING.match(seen.splat):
        return "WARNING" if any(map(_WARNING.match, seen.log)) or seen.splat else None
    return seen.splat


def difference(linux: Seen, here: Seen, who: str, log: bool = True) -> tuple[str, str, list[str]] | None:
    """(title, cause, details) of the first thing that the two do not agree on; None if they agree. ``log``: compare what they
    say, too.
    """
    a, b = ended(linux), ended(here)
    if a != b:
        return f"Linux: {a or 'no splat'}, {who}: {b or 'no splat'}", f"splat: {a} / {b}", []
    if linux.mount_error != here.mount_error:
        return (f"mount: Linux {linux.mount_error or 'works'}, {who} {here.mount_error or 'works'}",
                f"mount {linux.mount_error} / {here.mount_error}", [])
    text = manifest.diff(linux.entries, here.entries, "Linux", who, lines=24)
    if text:
        path, name, x, y = first_field(linux.entries, here.entries)
        what = f"{name}: {x} / {y}" if name in ("error", "names") else name
        return f"{manifest.show(path)}: {name}: Linux {_short(x)}, {who} {_short(y)}", what, text.split("\n")
    # the order is no answer: which queue of pclusters a kworker gets to first differs from run to run
    x, y = sorted(linux.said()), sorted(here.said())
    if log and x != y:
        i = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
        p, q = (x[i] if i < len(x) else "nothing more"), (y[i] if i < len(y) else "nothing more")
        return (f"the kernels say different things: Linux \"{p}\", {who} \"{q}\"", f"log: {_words(p)} / {_words(q)}",
                [*(f"Linux: {line}" for line in x[max(0, i - 2):i + 6]), *(f"{who}: {line}" for line in y[max(0, i - 2):i + 6])])
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
          uninitialised: Callable[[], str | None] | None = None, severity: str = "high", log: bool = True) -> None:
    """End the run with a finding if the two differ.

    ``again(zeroed)`` asks Linux once more, afresh; not ``zeroed``: where fresh memory holds what it held before.
    ``uninitialised`` runs the emulation with its detector of uninitialised memory and gives the first line of its report. With
    these the finding also says whether Linux's answer is a function of the input at all. What only a kernel with a history does
    (a workspace that an earlier mount has made large) is no difference.
    """
    found = difference(linux, here, who, log)
    if found is None:
        return
    title, cause, details = found
    details += [f"Linux said: {line}" for line in linux.log[-3:]] + [f"{who} said: {line}" for line in here.log[-3:]]
    report = uninitialised() if uninitialised is not None else None
    if report is not None:
        run.fail(f"Linux's answer depends on memory that nothing has written: {report}", title, *details,
                 cause=f"uninitialised: {report}")
    if again is not None:
        first = again(True)
        if difference(first, here, who, log) is None:
            run.saw(f"Linux has kept something of earlier mounts: {cause}")         # the emulation's kernel has seen none
            return
        other = again(False)
        changed = next((x for x in (first, other) if difference(linux, x, "Linux afresh", log) is not None), None)
        if changed is not None:
            run.fail(f"Linux does not answer the same twice: {title}", *details,
                     f"Linux afresh: {changed.mount_error or 'mounted'}",
                     *manifest.diff(linux.entries, changed.entries, "Linux", "Linux afresh", lines=8).split("\n"),
                     cause=f"unstable: {cause}")
    data = cause in ("sha256", "target")
    run.fail(title, *details, cause=cause, severity="critical" if data else severity, where=run.filled() if data else run.heard)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 20 else text[:17] + "..."


def _words(text: str) -> str:
    """A line of the log without its numbers."""
    return re.sub(r"-?\b(0x)?[0-9a-f]*\d[0-9a-f]*\b", "N", text)
