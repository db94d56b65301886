# SPDX-License-Identifier: GPL-2.0-only
"""Both forms of each function in one library, the original and the emitted one, and a byte for each that says which one runs.

The bytes are data of the library's file: a copy with other bytes is another choice, which holds from the kernel's boot on and
survives its deaths. A second row counts how often each function is called, a third one takes in what each call returned: numbers
as they are, of addresses whether they are NULL or an error.
"""
from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from kemu.rung.c.build import Library
from kemu.rung.uml.patches import Patch
from kemu.series.emit.cparse import parse_prototype, strip_attributes
from kemu.series.emit.ctype import VOID
from kemu.series.emit.ports import Result, _body

ROOM = 1024
ORIGINAL, EMITTED = 1, 2
_DECLARED = f"""extern unsigned char kemu_emitted[{ROOM}];
extern unsigned int kemu_form_called[{ROOM}];
extern unsigned long long kemu_form_returned[{ROOM}];
"""
_DEFINED = f"""
unsigned char kemu_emitted[{ROOM}] = {{ [0 ... {ROOM - 1}] = {ORIGINAL} }};
unsigned int kemu_form_called[{ROOM}];
unsigned long long kemu_form_returned[{ROOM}];
"""


def both(number: int, result: Result) -> str | None:
    """The two forms and the choice, in place of the original; None for what cannot be so (variadic)."""
    head, body = result.original[:_body(result.original)].rstrip(), result.original[_body(result.original):]
    made = parse_prototype(strip_attributes(head))
    if made is None or made[1].to is None or any(n == "..." for n, _ in made[1].params):
        return None
    args = ", ".join(n for n, _ in made[1].params)
    name = result.name

    def named(new: str) -> str:
        return re.sub(rf"\b{name}\b(?=\s*\()", new, head, count=1)

    emitted = named(f"{name}__py") + "\n" + result.text[_body(result.text):]
    to = made[1].to
    t = "" if to == VOID else f"{to.declare('kemu_out')};\n"
    back = "" if to == VOID else "kemu_out = "
    kept = ""
    if to.kind == "ptr":
        known = "!kemu_out ? 1ULL : (unsigned long)kemu_out >= -4095UL ? (unsigned long)kemu_out : 2ULL"
        kept = f"kemu_form_returned[{number}] = kemu_form_returned[{number}] * 31 + ({known});\n"
    elif to != VOID and not to.name.startswith(("struct ", "union ")):
        kept = f"kemu_form_returned[{number}] = kemu_form_returned[{number}] * 31 + (unsigned long long)kemu_out;\n"
    choice = (f"{head}\n{{\n{t}kemu_form_called[{number}]++;\nif (kemu_emitted[{number}] == {EMITTED})\n"
              f"{back}{name}__py({args});\nelse\n{back}{name}__c({args});\n{kept}"
              f"{'' if to == VOID else 'return kemu_out;'}\n}}\n")
    return f"{head};\n{named(f'{name}__c')}\n{body}\n{emitted}\n{choice}"


def patch(tree: Path, results: Sequence[Result]) -> tuple[Patch, list[Result]]:
    """The change to the tree, and the functions in the order of their numbers."""
    texts: dict[str, str] = {}
    order: list[Result] = []
    for r in results:
        text = texts.setdefault(r.path, (tree / r.path).read_text())
        made = both(len(order), r)
        if made is None or text.count(r.original) != 1:
            continue
        texts[r.path] = text.replace(r.original, made)
        order.append(r)
    texts = {path: _DECLARED + text for path, text in texts.items()}
    home = next(path for path in sorted(texts) if path.endswith(".c"))
    texts[home] += _DEFINED
    out: list[str] = []
    for path, text in sorted(texts.items()):
        before = (tree / path).read_text()
        out += difflib.unified_diff(before.splitlines(True), text.splitlines(True), f"a/{path}", f"b/{path}")
    return Patch("emitted", "both forms of every ported function", "".join(out).encode()), order


class Switches:
    """The bytes of a library that has both forms."""

    def __init__(self, library: Library, folder: Path):
        self.library = library
        self.folder = folder
        self.data = bytearray(library.path.read_bytes())
        self.offset, self.called = _symbol(library.path, "kemu_emitted"), _symbol(library.path, "kemu_form_called")
        self.returned = _symbol(library.path, "kemu_form_returned")
        self.at = _file_offset(library.path, self.offset)
        assert self.data[self.at:self.at + ROOM] == bytes([ORIGINAL]) * ROOM, "not the switches' place in the file"
        self.made = 0

    def choose(self, numbers: Collection[int]) -> Library:
        """A library in which these functions are the emitted ones."""
        for n in range(ROOM):
            self.data[self.at + n] = EMITTED if n in numbers else ORIGINAL
        path = self.folder / f"{self.made}.so"
        self.made += 1
        path.write_bytes(self.data)
        return replace(self.library, path=path)


def _symbol(path: Path, name: str) -> int:
    for line in subprocess.run(["nm", str(path)], capture_output=True, text=True).stdout.splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == name:
            return int(words[0], 16)
    raise AssertionError(f"{name}: not in the library")


def _file_offset(path: Path, address: int) -> int:
    """Where an address is in the file."""
    out = subprocess.run(["readelf", "-lW", str(path)], capture_output=True, text=True).stdout
    for line in out.splitlines():
        words = line.split()
        if words[:1] == ["LOAD"]:
            offset, start, size = int(words[1], 16), int(words[2], 16), int(words[4], 16)
            if start <= address < start + size:
                return offset + address - start
    raise AssertionError("no segment has it")
