# SPDX-License-Identifier: GPL-2.0-only
"""A byte order that nobody converted cannot be seen on a little-endian machine: sparse sees it in the types."""
from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from kemu.rung.c.objects import command, flags_of

# what is newer than sparse is given in the words that it knows: after an error it would keep its warnings to itself
_OWN = ("-D__linux__", "-Dlinux", "-D__STDC__", "-Dunix", "-D__unix__", "-D__typeof_unqual__=__typeof__",
        "-D__builtin_strlen(s)=(sizeof(s)-1)", "-Wbitwise", "-Wno-return-void", "-Wno-unknown-attribute")
_BITWISE = re.compile(r"^(?:\.\./)*(?P<place>[\w./-]+:\d+):\d+: warning: (?P<what>.*(?:base types|degrades|restricted).*)$")
_TYPES = re.compile(r"^(?:\.\./)*(?P<place>[\w./-]+:\d+):\d+: +(?P<what>(?:expected|got) .*)$")


def there() -> bool:
    """Whether sparse is installed."""
    return shutil.which("sparse") is not None


def byte_orders(objects: Path, names: Iterable[str]) -> list[str]:
    """``FILE:LINE: what`` for each value of the disk's byte order that is used as a number, and the reverse, in the sources of
    these objects. Nothing without sparse.
    """
    return [line for name in names for line in _of(objects, name)] if there() else []


def said(objects: Path, name: str) -> str:
    """What sparse says of an object's source."""
    base = subprocess.run(["gcc", "-print-file-name="], capture_output=True, text=True).stdout.strip()
    flags, source = flags_of(command(objects, name))
    return subprocess.run(["sparse", *_OWN, "-gcc-base-dir", base, *flags, source], cwd=objects, capture_output=True, text=True,
                          errors="replace").stderr


def _of(objects: Path, name: str) -> list[str]:
    out: list[str] = []
    for line in said(objects, name).splitlines():
        m, types = _BITWISE.match(line), _TYPES.match(line)
        if m:
            out.append(f"{m['place']}: {m['what']}")
        elif types and out and out[-1].startswith(types["place"]):
            out[-1] += f"; {types['what']}"
    return out
