# SPDX-License-Identifier: GPL-2.0-only
"""What two kernels showed, compared: the first thing in which they differ."""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kemu.rung.c.cover.search import beyond, meant, signature, where
from kemu.rung.protocol import Answer
from kemu.series.review.changed import Changed
from kemu.series.review.trial import Seen, Trial
from kemu.series.review.watched import OBJECTS, WAYS, Told, locks, undone

_PLACE = re.compile(r"\b[\w./-]+\.[ch]:\d+\b|\b0x[0-9a-f]{8,}\b|\[<[0-9a-f]+>\]|line \d+|CPU: \d+ PID: \d+")
_SPLAT = re.compile(r"WARNING|BUG|KASAN|UBSAN|possible|INFO:|Call Trace|kmem_cache")
UNEMULATED = "unemulated: "           # stubs.py


_NO_PAGE = 4096


@dataclass
class Difference:
    """``kind``: crash, leak, errno, tree, facts, look, log, locks, order, byte order; ``title``: what differs, in a line;
    ``function``, ``place``: in C, where that is known; ``details``: more lines.
    """

    kind: str
    title: str
    details: list[str] = field(default_factory=list)
    function: str = ""
    place: str = ""
    sign: str = ""
    ran: set[int] = field(default_factory=set)         # what the series' kernel ran
    at: int = 0                                        # where in its library, where that is known and the place is not

    def key(self) -> str:
        """What two differences of one cause have in common."""
        return self.sign or f"{self.kind}: {re.sub(r'[0-9a-f]*[0-9][0-9a-f]*', 'N', self.title)}"


def compared(trial: Trial, base: Seen, series: Seen, changed: Changed, alike: bool = True) -> Difference | None:
    """The first thing in which the series' kernel differs from its base; None: nothing, or the base shows the same. ``alike``:
    both have done the same before; if not, how often something is called, in which order, and which locks have guarded what
    until then, says nothing.
    """
    b, s = base.answer, series.answer
    if (s.message or "").startswith(UNEMULATED):
        return None                                    # of what this rung has not, nothing is said
    if s.crash and not meant(trial.case, s):
        if b.crash and _sort(b.message) == _sort(s.message):
            return None                                # the base's own; a helper may have another name
        function, place = s.function or where(s.console)[0], s.place or where(s.console)[1]
        return Difference("crash", s.message or s.crash, s.console.splitlines(), function, place, signature(s))
    if b.crash:
        return None
    if b.mount_error != s.mount_error:
        return Difference("errno", f"mount: {_or_none(s.mount_error)} instead of {_or_none(b.mount_error)}", _logs(b, s))
    if b.message != s.message:
        return Difference("errno", f"unpacking says {s.message!r} instead of {b.message!r}", _logs(b, s))
    if (b.packed.data if b.packed else None) != (s.packed.data if s.packed else None):
        return tree_difference(base, series)
    for kind, old, new in (("facts", b.facts, s.facts), ("look", base.look, series.look)):
        if old != new:
            return _lines(kind, old, new)
    old, new = _log(b.kmsg, changed), _log(s.kmsg, changed)
    if sorted(old) != sorted(new):
        return _lines("log", sorted(old), sorted(new))
    lost = [(value, size) for value, size, at in base.converted - series.converted
            if (value, size, _NO_PAGE) not in series.converted] if changed.raw else []
    if lost:
        value, size = max(lost)
        return Difference("byte order", f"{value:#x}, {8 * size} bits of the disk's byte order, is not converted any more",
                          sign="byte order")
    return _held(base, series) or (_done(base, series) if alike else None)


def beside(trial: Trial, series: Seen, base: Sequence[Seen]) -> Difference | None:
    """What the series' kernel shows when one of its calls fails, and the base's shows for none of its own."""
    s = series.answer
    if s.crash and not meant(trial.case, s):
        if any(b.answer.crash and _sort(b.answer.message) == _sort(s.message) for b in base):
            return None
        function, place = s.function or where(s.console)[0], s.place or where(s.console)[1]
        return Difference("crash", s.message or s.crash, s.console.splitlines(), function, place, signature(s))
    if s.crash:
        return None
    if all(b.answer.crash for b in base):
        return None
    said = s.mount_error, s.message
    if said not in {(b.answer.mount_error, b.answer.message) for b in base}:
        return Difference("errno", f"a call fails: {s.mount_error or s.message or 'success'}, which no failing call gave before")
    if series.left > max(b.left for b in base):
        more = series.left[0] - max(b.left[0] for b in base), series.left[1] - max(b.left[1] for b in base)
        return Difference("leak", f"memory leak where a call fails: {max(more[0], 0)} objects, {max(more[1], 0)} pages each time",
                          sign="leak of a failing call")
    held = locks(series.told)[1]
    if held and all(held != locks(b.told)[1] for b in base):
        return Difference("locks", f"{held[0]} is still held")
    return None


def same_sort(a: Answer, b: Answer) -> bool:
    """Whether two crashes are of one sort, in one function under test, or by the same calls outside of it."""
    if _sort(a.message) != _sort(b.message):
        return False
    outside = beyond(a.console)
    if outside and outside == beyond(b.console):
        return True
    return signature(a).rpartition(" in ")[2] == signature(b).rpartition(" in ")[2]


def _sort(message: str | None) -> str:
    return " ".join(re.findall(r"[A-Za-z-]+", message or "")[:3])


def _held(base: Seen, series: Seen) -> Difference | None:
    """What was taken and not left."""
    held_before, held = locks(base.told)[1], locks(series.told)[1]
    more = [lock for lock in held if lock not in held_before]
    return Difference("locks", f"{more[0]} is still held") if more else None


def _done(base: Seen, series: Seen) -> Difference | None:
    """What was taken how often, called and undone, in which order."""
    was, now = locks(base.told)[0], locks(series.told)[0]
    fewer = [f"{kind}: {now[kind]} times instead of {was[kind]}" for kind in was if now[kind] < was[kind]]
    if fewer:
        return Difference("locks", f"{fewer[0].partition(':')[0]} is taken less often", fewer)
    bare = [(place, sorted(guards), pc) for place, (guards, pc) in series.guards.violated.items()
            if base.guards.kept.get(place, frozenset()) & guards and not series.guards.kept[place]]
    if bare:
        place, those, pc = min(bare)
        return Difference("locks", f"{place} is touched without {', '.join(those)}, which guards it", sign="unguarded", at=pc)
    early = [(o, way) for o in sorted(OBJECTS) for way in sorted(WAYS)
             if _behind(base.told, o, way) and _behind(series.told, way, o)]
    if early:
        return Difference("order", f"{early[0][0]}() now comes before {early[0][1]}(), by which it could still be come to")
    old, new = undone(base.told), undone(series.told)
    gone = sorted(set(old) - set(new))
    if gone:
        return Difference("order", f"what was done is not undone any more: {gone[0]}()", [f"not called: {', '.join(gone)}"])
    old, new = [n for n in old if n in new], [n for n in new if n in old]
    if old != new:
        at = next(i for i, (a, b) in enumerate(zip(old, new)) if a != b)
        return Difference("order", f"what is undone is undone in another order: {new[at]}() before {old[at]}()",
                          [f"before: {', '.join(old)}", f"now: {', '.join(new)}"])
    return None


def _behind(told: dict[str, Told], late: str, early: str) -> bool:
    return early in told and late in told and 0 < told[early].last < told[late].last


def _or_none(error: str | None) -> str:
    return error or "success"


def _logs(b: object, s: object) -> list[str]:
    return [f"base: {line}" for line in getattr(b, "kmsg", [])[-3:]] + [f"series: {line}" for line in getattr(s, "kmsg", [])[-3:]]


def _log(lines: Iterable[str], changed: Changed) -> list[str]:
    """Without places, and without what the series says in other words."""
    out = []
    other = [_pattern(w) for w in changed.words]
    for line in lines:
        if not any(p.search(line) for p in other):
            out.append(_PLACE.sub("*", line))
    return out


def _pattern(literal: str) -> re.Pattern[str]:
    text = literal.replace("\\n", "").replace('\\"', '"')
    parts = re.split(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|t)?[a-zA-Z]\w?", text)
    return re.compile(".*".join(map(re.escape, parts))) if any(len(p) > 3 for p in parts) else re.compile(r"(?!)")


def tree_difference(base: Seen, series: Seen) -> Difference:
    """The first entry in which two trees differ."""
    b, s = base.answer, series.answer
    old, new = ({e["path"]: e for e in answer.entries} for answer in (b, s))
    for path in [*old, *(p for p in new if p not in old)]:
        if path not in new:
            return Difference("tree", f"a {old[path]['type']} is missing", [f"path {path!r}", *_logs(b, s)])
        if path not in old:
            return Difference("tree", f"a {new[path]['type']} that was not there", [f"path {path!r}", *_logs(b, s)])
        for name in ("error", "type", "mode", "uid", "gid", "size", "nlink", "mtime", "rdev", "target", "xattrs", "sha256"):
            if old[path][name] != new[path][name]:
                kind = "errno" if name == "error" else "tree"
                value, right = str(new[path][name])[:60], str(old[path][name])[:60]
                return Difference(kind, f"{name} of a {old[path]['type']}: {value} instead of {right}",
                                  [f"path {path!r}", *_logs(b, s)], sign=f"{kind}: {name}")
    return Difference("tree", "another tree")


def _lines(kind: str, old: Sequence[str], new: Sequence[str]) -> Difference:
    gone = [line for line in old if line not in set(new)]
    come = [line for line in new if line not in set(old)]
    if not gone and not come:
        return Difference(kind, f"{kind}: the same lines in another order")
    title = {"facts": "stat or extents", "look": "an answer", "log": "the log"}[kind]
    text = f"{title}: {(come or ['nothing'])[0].strip()[:100]!r} instead of {(gone or ['nothing'])[0].strip()[:100]!r}"
    return Difference(kind, text, [*(f"base: {line}" for line in gone[:6]), *(f"series: {line}" for line in come[:6])])
