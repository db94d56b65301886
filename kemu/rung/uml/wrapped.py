# SPDX-License-Identifier: GPL-2.0-only
"""A patch that a mailer, or a web archive, has wrapped: lines of a hunk are joined again, by what the hunk's header says of their
number, and indentation that has become spaces is tabs again. A patch that is whole is left as it is.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field

_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_MARKS = (b" ", b"+", b"-", b"\\")
_LONG = 48                             # characters of a line that may have been wrapped
_ENDS = (b"diff --git ", b"@@ -", b"--- ", b"-- ", b"index ", b"From ")
_WITH_TABS = re.compile(rb"^\+\+\+ \S*(?:\.[chS]|\.lds|Makefile|Kbuild|Kconfig\S*)\s*$")


@dataclass
class Mended:
    """``lines``: numbers, in the text, of lines that were the rest of others; ``tabs``: whether indentation was spaces."""

    data: bytes
    lines: list[int] = field(default_factory=list)
    tabs: bool = False

    def __str__(self) -> str:
        said = []
        if self.lines:
            some = ", ".join(map(str, self.lines[:8])) + (f" and {len(self.lines) - 8} more" if len(self.lines) > 8 else "")
            said.append(f"wrapped by a mailer: {len(self.lines)} lines were joined to those before them (lines {some} of its "
                        f"text)")
        if self.tabs:
            said.append("its tabs had become spaces: they are tabs again, and white space of context is not compared")
        return "; ".join(said)


def mended(data: bytes) -> Mended:
    """The text of a patch, whole again."""
    lines = data.split(b"\n")
    out: list[bytes] = []
    joined: list[int] = []
    i = 0
    while i < len(lines):
        line = lines[i]
        i += 1
        m = _HUNK.match(line)
        if line.startswith(b"diff --git ") and line.count(b" ") == 2 and lines[i:i + 1] and lines[i].startswith(b"b/"):
            out.append(line + b" " + lines[i])         # the line of the two names
            i += 1
            joined.append(i)
            continue
        out.append(line)
        if m is not None:
            i = _hunk(m, lines, i, out, joined)
    whole = out if joined else lines
    tabs = bool(joined) and not any(b"\t" in line for line in whole if line[:1] in (b"+", b" "))
    if tabs:
        whole = _with_tabs(whole)
    return Mended(b"\n".join(whole), joined, tabs)


def _hunk(m: re.Match[bytes], lines: list[bytes], i: int, out: list[bytes], joined: list[int]) -> int:
    """Take a hunk, from line ``i``; the line behind it."""
    old, new = (1 if n is None else int(n) for n in m.groups())
    if lines[i:i + 1] and not lines[i].startswith(_MARKS) and lines[i] and len(out[-1]) > _LONG:
        out[-1] += b" " + lines[i]                     # of the header, which ends with a function's first line
        i += 1
        joined.append(i)
    last = len(out)
    while i < len(lines) and (old > 0 or new > 0 or _continues(lines, i, out, last)):
        line = lines[i]
        if line and not line.startswith(_MARKS):
            if line.startswith(_ENDS[:2]) or len(out) == last:
                break
            out[-1] += b" " + line
            joined.append(i + 1)
        else:
            kind = line[:1]
            old -= kind != b"+" and kind != b"\\"
            new -= kind != b"-" and kind != b"\\"
            out.append(line)
        i += 1
    return i


def _continues(lines: list[bytes], i: int, out: list[bytes], first: int) -> bool:
    """Whether behind the last line of a hunk there is the rest of it."""
    line = lines[i]
    return bool(line) and len(out) > first and len(out[-1]) > _LONG and not line.startswith((*_MARKS, *_ENDS)) and (
        i + 1 >= len(lines) or not lines[i + 1] or lines[i + 1].startswith(_ENDS))


def _with_tabs(lines: list[bytes]) -> list[bytes]:
    """Eight spaces at the left of a line are a tab, in files that have tabs; the first may be seven, behind the mark."""
    wide = [len(m[1]) for m in (re.match(rb"^[ +-]( {7,})\S", line) for line in lines) if m is not None]
    first = 7 if sum(n % 8 == 7 for n in wide) > sum(n % 8 == 0 for n in wide) else 8
    indented = re.compile(rb"^([ +-])( {%d}(?: {8})*)" % first)
    out, has = [], False
    for line in lines:
        if line.startswith(b"+++ "):
            has = bool(_WITH_TABS.match(line))
        m = indented.match(line) if has else None
        out.append(m[1] + b"\t" * ((len(m[2]) + 8 - first) // 8) + line[m.end():] if m is not None else line)
    return out


def is_broken(data: bytes) -> bool:
    """Whether a hunk, or a line of names, does not go to its end."""
    lines = data.split(b"\n")
    for i, line in enumerate(lines):
        if line.startswith(b"diff --git ") and line.count(b" ") == 2 and lines[i + 1:i + 2] and lines[i + 1].startswith(b"b/"):
            return True
        m = _HUNK.match(line)
        if m is not None and not _is_whole(m, lines, i + 1):
            return True
    return False


def _is_whole(m: re.Match[bytes], lines: list[bytes], i: int) -> bool:
    old, new = (1 if n is None else int(n) for n in m.groups())
    while i < len(lines) and (old > 0 or new > 0):
        kind = lines[i][:1]
        if kind and kind not in _MARKS:
            return False
        old -= kind != b"+" and kind != b"\\"
        new -= kind != b"-" and kind != b"\\"
        i += 1
    return old <= 0 and new <= 0
