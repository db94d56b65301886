# SPDX-License-Identifier: GPL-2.0-only
"""What a series changes: lines and functions of its files, and the basic blocks that they were compiled to."""
from __future__ import annotations

import errno
import re
import subprocess
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kemu.rung.c.build import Library
from kemu.rung.c.sources import UNDER_TEST
from kemu.rung.uml.lines import frames
from kemu.rung.uml.patches import Patch, apply_patches
from kemu.rung.uml.tree import Tree

_FUNCTION = re.compile(r"^(?!static_assert|DEFINE_|EXPORT_|module_|MODULE_|#|\s|/|\})[\w\s*()]*?\b(\w+)\s*\(")
_CONVERSION = re.compile(r"\b(?:[lb]e(?:16|32|64)_to_cpup?|cpu_to_[lb]e(?:16|32|64)|(?:get|put)_unaligned_[lb]e(?:16|32|64))\(")
_CAST = re.compile(r"__force\b|\b(?:get|put)_unaligned\(|\*\((?:const )?(?:__)?u(?:16|32|64) \*\)")
_RAW = re.compile(r"\b(?:__)?u(?:16|32|64)\b|\bunsigned (?:short|int|long)\b|"
                  r"\bmemcpy\(|\bvoid \*|\bunion\b|__force\b|\b_?_?(?:get|put)_unaligned")
_ERRNO = re.compile(r"-(E[A-Z0-9]+)\b")
_OWN_ERRNOS = {"EFSCORRUPTED": errno.EUCLEAN, "EFSBADCRC": errno.EBADMSG, "ERESTARTSYS": 512}
_HEAD = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
_CODE = re.compile(r"^\s*([0-9a-f]+):\s+(\S.*)$")


def functions_of(text: Sequence[str]) -> list[tuple[int, int, str]]:
    """First line, last line and name of every function of a C file in the kernel's style."""
    out = []
    name, start = "", 0
    for number, line in enumerate(text, 1):
        if line.startswith("{") and name:
            begin = number
            end = next((i for i, other in enumerate(text[begin:], begin + 1) if other.startswith("}")), len(text))
            out.append((start, end, name))
            name = ""
        elif (m := _FUNCTION.match(line)) and not line.rstrip().endswith(";"):
            name, start = m[1], number
        elif line.startswith(("}", "#")) or line.rstrip().endswith(";"):
            name = ""
    return out


@dataclass
class Changed:
    """``lines``: (file, line) of the series' text that are new, or where something is gone; ``functions``: (file, function) that
    hold them; ``files``: all files of the series.
    """

    lines: set[tuple[str, int]] = field(default_factory=set)
    functions: set[tuple[str, str]] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    bare: list[tuple[str, int, str]] = field(default_factory=list)     # file, line: a conversion is gone, a cast has come
    raw: bool = False                                  # a conversion is gone, and a plain number, pointer or copy has come
    words: set[str] = field(default_factory=set)       # string literals that only one side has
    errnos: set[int] = field(default_factory=set)      # that the changed functions name, before or now
    ranges: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)    # functions of the series' files

    @property
    def names(self) -> set[str]:
        """Functions by their names."""
        return {name for _, name in self.functions}

    def holding(self, path: str, number: int) -> str:
        """The function that a line is in; "" if none."""
        return next((name for start, end, name in self.ranges.get(path, ()) if start <= number <= end), "")


def of_patches(patches: Sequence[Patch], tree: Tree, below: Sequence[Patch] = ()) -> Changed:
    """What patches change of a tree with those below. ``PatchError``."""
    import difflib  # noqa: PLC0415  (start-up)

    out = Changed()
    out.files = list(dict.fromkeys(path for patch in patches for path in patch.touched()))
    first, after_all = apply_patches(tree, below), apply_patches(tree, [*below, *patches])
    for path in out.files:
        old = (first[path] or b"").decode("utf-8", "replace").splitlines() if path in first else _text(tree.path / path)
        new = (after_all.get(path) or b"").decode("utf-8", "replace").splitlines()
        gone: list[str] = []
        come: list[str] = []
        before, after = functions_of(old), functions_of(new)
        out.ranges[path] = after
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag == "equal":
                continue
            gone += old[i1:i2]
            come += new[j1:j2]
            for number in range(j1 + 1, max(j2, j1 + 1) + 1):
                out.lines.add((path, number))
            for start, end, name in after:
                if start <= max(j2, j1 + 1) and end >= j1 + 1:
                    out.functions.add((path, name))
            for start, end, name in before:
                if start <= i2 and end >= i1 + 1 and any(name == other for _, _, other in after):
                    out.functions.add((path, name))
        for text, functions in (old, before), (new, after):
            for start, end, name in functions:
                if (path, name) in out.functions:
                    out.errnos |= _errnos(text[start - 1:end])
        if _conversions(gone) > _conversions(come) and any(map(_RAW.search, come)):
            out.raw = True
        if _conversions(old) > _conversions(new):
            out.bare += [(path, number, new[number - 1].strip()) for file, number in sorted(out.lines)
                         if file == path and number <= len(new) and _CAST.search(new[number - 1])]
        a, b = _literals(gone), _literals(come)
        out.words |= a ^ b
    return out


def _text(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _conversions(text: Iterable[str]) -> int:
    return sum(len(_CONVERSION.findall(line)) for line in text)


def _errnos(text: Iterable[str]) -> set[int]:
    names = {m for line in text for m in _ERRNO.findall(line)}
    return {number for name in names if (number := _OWN_ERRNOS.get(name) or getattr(errno, name, 0))}


def _literals(lines: Iterable[str]) -> set[str]:
    return {m for line in lines for m in re.findall(r'"((?:[^"\\]|\\.)+)"', line)}


@dataclass
class Blocks:
    """Of one library: ``of``: the basic blocks (offsets that the runtime tells) of each changed function; ``lines``: those of
    each changed line with code.
    """

    of: dict[str, set[int]]
    lines: dict[tuple[str, int], set[int]]
    every: set[int] = field(default_factory=set)
    ranges: list[tuple[int, int]] = field(default_factory=list)    # of the symbols that hold them

    @property
    def changed(self) -> set[int]:
        """All blocks of changed lines."""
        return set().union(*self.lines.values()) if self.lines else set()


def blocks(library: Library, changed: Changed) -> Blocks:
    """Where the changed functions and lines are in a library of flavour asan-review."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(library.path)], capture_output=True, text=True).stdout
    symbols: list[tuple[str, list[int], list[int]]] = []      # name, its instructions, its sites
    told = False
    for line in text.splitlines():
        m = _CODE.match(line)
        if m:
            if symbols:
                at = int(m[1], 16)
                if told:
                    symbols[-1][2].append(at)
                symbols[-1][1].append(at)
                told = "<__sanitizer_cov_trace_pc>" in m[2]
        elif h := _HEAD.match(line):
            symbols.append((h[2], [], []))
            told = False
    watched = [s for s in symbols if s[2]]
    sites = [site for _, _, found in watched for site in found]
    at_site = dict(zip(sites, frames(library.path, library.source, [s - 1 for s in sites])))
    names = changed.names
    out = Blocks({name: set() for name in sorted(names)}, {}, set(sites))
    inside = []
    for _, code, found in watched:
        here = False
        for site in found:
            for f in at_site[site]:
                if f.function.partition(".")[0] in names:
                    out.of[f.function.partition(".")[0]].add(site)
                    here = True
        if here:
            inside.append((code, found))
            out.ranges.append((code[0], code[-1] + 8))
    code_of = [(at, found[max(0, bisect_right(found, at) - 1)]) for code, found in inside for at in code]
    for (_, site), some in zip(code_of, frames(library.path, library.source, [at for at, _ in code_of])):
        for f in some:
            path, _, number = f.place.rpartition(":")
            if number.isdigit() and (path, int(number)) in changed.lines:
                out.lines.setdefault((path, int(number)), set()).add(site)
    return out


def not_compiled(library: Library, changed: Changed) -> list[str]:
    """C files of the series of which nothing is in the library."""
    return [f for f in changed.files if f.endswith(".c") and not f.startswith(UNDER_TEST)]
