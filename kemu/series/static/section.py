# SPDX-License-Identifier: GPL-2.0-only
"""What a back end calls that is gone when it is called: ``__init`` functions of the series. modpost says nothing of them where
the caller is ``__ref``, and no kernel of the bench gives its init memory back, so that they answer all the same.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kemu.rung.uml.patches import Patch
from kemu.rung.uml.series import Finding

_HUNK = re.compile(r"@@ -\S+ \+(\d+)")
_INIT = re.compile(r"[\w\s*]*\b__init\b[\w\s*]*?\b(\w+)\s*\(")
_COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def init_functions(patches: Iterable[Patch]) -> dict[str, str]:
    """The functions that the series defines as ``__init``: name -> file:line."""
    out: dict[str, str] = {}
    for patch in patches:
        path, number = "", 0
        for line in patch.data.decode("utf-8", "replace").splitlines():
            if line.startswith("+++ "):
                path = line[4:].split("\t")[0].partition("/")[2]
            elif hunk := _HUNK.match(line):
                number = int(hunk[1])
            elif line.startswith(("+", " ")):
                found = _INIT.match(line[1:])
                if line[0] == "+" and found and path.endswith(".c") and not line.rstrip().endswith(";"):
                    out[found[1]] = f"{path}:{number}"
                number += 1
    return out


def called_later(patches: Iterable[Patch], glue: str, text: str) -> Iterator[Finding]:
    """One for each of them that a back end's C, ``text`` of the file ``glue``, calls to mount."""
    code = _COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    for name, place in init_functions(patches).items():
        call = re.search(rf"\b{name}\s*\(", code)
        if call:
            line = code.count("\n", 0, call.start()) + 1
            yield Finding("section", "fail", f"{place}: {name}() is __init, and a mount calls it ({glue}:{line}): its memory is "
                                             "given back behind the boot (a section mismatch, if __ref does not hide it)")
