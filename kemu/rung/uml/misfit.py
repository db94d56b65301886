# SPDX-License-Identifier: GPL-2.0-only
"""Why a patch does not apply, in one line: it is in the tree already, it is reversed, its names have another level, or it is for
another version of a file.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kemu.rung.uml.diffs import FileDiff, Hunk, stripped

ALREADY = "is applied already"


def explain(base: Path, files: Sequence[FileDiff], staged: Path | None = None) -> str:
    """The reason, for the tree at ``base`` (what ``staged`` has of it comes before); ``""`` if none was found."""
    def text(rel: str) -> bytes | None:
        for top in (staged, base):
            if top and rel and (top / rel).is_file():
                return (top / rel).read_bytes()
        return None

    reasons, done = [], 0
    for f in files:
        why = _of_file(f, text, base)
        if why == ALREADY:
            done += 1
        elif why:
            reasons.append(why)
    if done == len(files) and files:
        return f"{ALREADY} (or it is reversed: it applies with -R)"
    if done:
        have = [_name(f) for f in files if _of_file(f, text, base) == ALREADY]
        reasons.insert(0, f"{ALREADY} in part: {', '.join(have)}")
    return "; ".join(reasons[:2])


def _name(f: FileDiff) -> str:
    return next((p for p in reversed(f.paths()) if p), f.new or f.old or "?")


def _of_file(f: FileDiff, text: Callable[[str], bytes | None], base: Path) -> str:
    name = _name(f)
    source = (f.moved[0] if f.moved else stripped(f.old, 1)) if f.old else None
    if source is None:                                          # a new file
        there = text(name)
        if there is None:
            return _level(f, base, new=True)
        new = [line for h in f.hunks for line in h.new]
        return ALREADY if there.split(b"\n")[:len(new)] == new else f"{name}: is in the tree already, with other contents"
    have = text(source)
    if have is None:
        if (f.moves == "rename" and text(name) is not None) or f.new is None:
            return ALREADY
        return _level(f, base) or f"{source}: no such file in the tree"
    if f.new is not None and f.moves and text(name) is not None:
        return f"{name}: is in the tree already"
    lines = have.split(b"\n")
    if not f.hunks:
        return ""
    shift = 0
    for number, h in enumerate(f.hunks, 1):
        at = find(lines, h.old, h.begin - 1 + shift)
        if at is None:
            if all(find(lines, k.new, k.begin - 1) is not None for k in f.hunks) and any(k.old != k.new for k in f.hunks):
                return ALREADY
            return f"{source}: hunk {number} of {len(f.hunks)} (line {h.begin}) does not apply: {nearest(lines, h)}"
        behind = len([1 for a, b in zip(reversed(h.old), reversed(h.new)) if a == b])
        if not behind and h.old and at + len(h.old) < len(lines) - 1:
            return (f"{source}: hunk {number} of {len(f.hunks)} (line {h.begin}) has no lines of context behind it, as if the "
                    f"file ended there: make it with diff -u")
        if h.begin <= 1 and at and h.old:
            return f"{source}: hunk {number} of {len(f.hunks)} is for the beginning of the file: its lines are at line {at + 1}"
        shift = at - (h.begin - 1)
    return ""


def _level(f: FileDiff, base: Path, new: bool = False) -> str:
    """Whether the names would fit with another number of leading components removed."""
    name = f.new if new else f.old
    if not name:
        return ""
    for strip in (0, 2, 3, 4):
        rel = stripped(name, strip)
        place = (base / rel).parent if new else base / rel
        fits = rel and not rel.startswith("/") and ".." not in rel.split("/") and (place.is_dir() if new else place.is_file())
        if fits and not (new and (base / stripped(name, 1)).parent.is_dir()):
            return f"{name}: its names are for -p{strip} ({rel}); patches for the kernel are made for -p1, with a/ and b/"
    return ""


def find(lines: Sequence[bytes], part: Sequence[bytes], at: int) -> int | None:
    """Where ``part`` stands in ``lines``, nearest to ``at``; None if it does not."""
    if not part:
        return max(at, 0)
    starts = [i for i in range(len(lines) - len(part) + 1) if lines[i] == part[0] and list(lines[i:i + len(part)]) == list(part)]
    return min(starts, key=lambda i: abs(i - at)) if starts else None


def nearest(lines: Sequence[bytes], h: Hunk) -> str:
    """Where the lines of the hunk stand but for a few, and the first that differs."""
    best, where = 0, -1
    for i in range(max(len(lines) - len(h.old) + 1, 1)):
        same = sum(a == b for a, b in zip(lines[i:i + len(h.old)], h.old))
        if same > best or (same == best and where >= 0 and abs(i - h.begin + 1) < abs(where - h.begin + 1)):
            best, where = same, i
    if best * 2 < len(h.old) or where < 0:
        return "nothing in the file is like its lines"
    k = next(k for k, line in enumerate(h.old) if lines[where + k:where + k + 1] != [line])
    have = lines[where + k].decode(errors="replace").strip() if where + k < len(lines) else "the end of the file"
    want = h.old[k].decode(errors="replace").strip()
    return (f"at line {where + 1} {best} of its {len(h.old)} lines are the same; line {where + k + 1} is {have!r}, and the "
            f"patch wants {want!r}")
