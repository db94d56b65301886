# SPDX-License-Identifier: GPL-2.0-only
"""Unified diffs, git's and plain ones: which files a patch is about, in what way, and with which lines. Nothing is applied here.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field

from kemu.rung.uml.errors import PatchError

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NAME = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\t\n]*')
_EPOCH = re.compile(rb"\t(?:1969-12-31|1970-01-01) ")
_ESCAPE = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r", b'"': b'"', b"\\": b"\\"}
DEV_NULL = "/dev/null"


@dataclass
class Hunk:
    """``begin``: the first line in the old file, from 1 on; ``old`` and ``new``: its lines before and after, without their ends.
    """

    begin: int
    old: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)


@dataclass
class FileDiff:
    """What a patch does to one file. Names are as the patch has them, unquoted, a/ and b/ in place; None for /dev/null."""

    old: str | None
    new: str | None
    git: bool
    modes: list[int] = field(default_factory=list)
    moves: str = ""                    # "rename" or "copy"
    moved: list[str] = field(default_factory=list)      # the names of these; they have no a/ and b/
    binary: bool = False
    hunks: list[Hunk] = field(default_factory=list)

    def paths(self, strip: int = 1) -> list[str]:
        """The names with ``strip`` leading components removed, each once; "" for a name that has not so many."""
        names = [stripped(n, strip) for n in (self.old, self.new) if n is not None]
        return list(dict.fromkeys([*names, *self.moved]))


def stripped(name: str, strip: int) -> str:
    """``name`` without its first components, as patch -pN has it: rows of slashes are one."""
    for _ in range(strip):
        head, slash, rest = name.partition("/")
        if not slash:
            return ""
        name = rest.lstrip("/") if head or name[:1] != "/" else rest
    return name


def parse(data: bytes) -> list[FileDiff]:
    """The files of a patch, in order. ``PatchError`` for a hunk that ends early."""
    out: list[FileDiff] = []
    lines = data.split(b"\n")
    i = 0
    header: FileDiff | None = None             # of a "diff --git" whose ---/+++ have not come
    while i < len(lines):
        line = lines[i]
        if line.startswith(b"diff --git "):
            old, new = _git_names(line[11:])
            header = FileDiff(old, new, True)
            out.append(header)
            i += 1
        elif line.startswith(b"--- ") and i + 1 < len(lines) and lines[i + 1].startswith(b"+++ "):
            if header is None or header.hunks:
                header = FileDiff(None, None, False)
                out.append(header)
            _names(header, line, lines[i + 1])
            i += 2
        elif header is not None and (m := _HUNK.match(line)):
            i = _hunk(header, m, lines, i)
        else:
            if header is not None and header.git and not header.hunks:
                _extended(header, line)
            i += 1
    return [f for f in out if f.git or f.hunks]


def _extended(f: FileDiff, line: bytes) -> None:
    """A line between "diff --git" and the first hunk."""
    if m := re.match(rb"(?:old mode|new mode|new file mode|deleted file mode) ([0-7]+)\r?$", line):
        f.modes.append(int(m[1], 8))
        if line.startswith(b"new file"):
            f.old = None
        elif line.startswith(b"deleted"):
            f.new = None
    elif m := re.match(rb"index [0-9a-f]+\.\.[0-9a-f]+ ([0-7]+)\r?$", line):
        f.modes.append(int(m[1], 8))
    elif m := re.match(rb"(rename|copy) (?:from|to) (.+?)\r?$", line):
        f.moves = m[1].decode()
        f.moved.append(_text(_unquoted(m[2])))
    elif line.startswith((b"GIT binary patch", b"Binary files ")):
        f.binary = True


def _names(f: FileDiff, old: bytes, new: bytes) -> None:
    """The names of a ---/+++ pair; a plain diff has times behind them, and the epoch's is that of a file that is not there."""
    names: list[str | None] = []
    for line in (old, new):
        m = _NAME.match(line[4:])
        name = _text(_unquoted(m[0].strip(b"\r ") if m else b""))
        names.append(None if name == DEV_NULL or (not f.git and _EPOCH.search(line)) else name)
    f.old, f.new = names
    if not f.git and f.old and f.new and f.old != f.new:
        a, b = stripped(f.old, 1), stripped(f.new, 1)
        if a.startswith(b):                    # FILE.orig and FILE~ are FILE
            f.old = f.new
        elif b.startswith(a):
            f.new = f.old


def _hunk(f: FileDiff, m: re.Match[bytes], lines: list[bytes], i: int) -> int:
    """Take the hunk that begins at line ``i``; the line behind it."""
    want = [1 if n is None else int(n) for n in (m[2], m[4])]
    hunk = Hunk(int(m[1]))
    i += 1
    while (len(hunk.old) < want[0] or len(hunk.new) < want[1]) and i < len(lines):
        kind, text = lines[i][:1], lines[i][1:]
        if kind in (b" ", b"") and not (i == len(lines) - 1 and not kind):
            hunk.old.append(text)
            hunk.new.append(text)
        elif kind == b"-":
            hunk.old.append(text)
        elif kind == b"+":
            hunk.new.append(text)
        elif kind != b"\\":
            break
        i += 1
    if (len(hunk.old), len(hunk.new)) != (want[0], want[1]):
        raise PatchError(f"corrupt patch: hunk {len(f.hunks) + 1} of {f.new or f.old} says {want[0]} and {want[1]} lines, and "
                         f"has "
                         f"{len(hunk.old)} and {len(hunk.new)}")
    f.hunks.append(hunk)
    return i


def _git_names(text: bytes) -> tuple[str | None, str | None]:
    """The two names of a "diff --git" line. Unquoted names with spaces in them can be told only if both are the same file."""
    text = text.rstrip(b"\r")
    if text.startswith(b'"'):
        m = re.match(rb'("(?:[^"\\]|\\.)*") (.*)$', text)
        return (_text(_unquoted(m[1])), _text(_unquoted(m[2]))) if m else (None, None)
    if text.endswith(b'"'):
        first, _, rest = text.partition(b' "')
        return _text(first), _text(_unquoted(b'"' + rest))
    half = len(text) // 2
    if len(text) % 2 and text[half:half + 1] == b" " and text[:half].partition(b"/")[2] == text[half + 1:].partition(b"/")[2]:
        return _text(text[:half]), _text(text[half + 1:])
    first, _, rest = text.partition(b" ")
    return _text(first), _text(rest)


def _unquoted(name: bytes) -> bytes:
    """A name without git's C quoting."""
    if len(name) < 2 or name[:1] != b'"' or name[-1:] != b'"':
        return name
    return re.sub(rb"\\([0-7]{3}|.)", lambda m: bytes([int(m[1], 8) & 0xFF]) if m[1].isdigit() else _ESCAPE.get(m[1], m[1]),
                  name[1:-1])


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


__all__ = ["FileDiff", "Hunk", "parse", "stripped"]
