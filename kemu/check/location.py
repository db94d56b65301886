# SPDX-License-Identifier: GPL-2.0-only
"""Where a ported function stands in C."""
from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from pathlib import Path

from kemu import base
from kemu.linux.port import honesty


def default_tree() -> Path:
    """``KEMU_TREE``, or the kernel tree that ``kemu linux fetch`` keeps."""
    if os.environ.get("KEMU_TREE"):
        return Path(os.environ["KEMU_TREE"])
    return base.tree()


@lru_cache(maxsize=512)
def c_line(path: str, name: str) -> int:
    """Line of the definition of ``name`` in the tree's ``path``; 0 without a tree or a match."""
    f = default_tree() / path
    try:
        text = f.read_text(errors="replace")
    except OSError:
        return 0
    found = 0
    for m in re.finditer(rf"^(?:[A-Za-z_].*\b)?{re.escape(name)}\(", text, re.M):
        tail = text[m.start():m.start() + 600]
        if re.match(r"[^;{]*\{", tail):
            found = text.count("\n", 0, m.start()) + 1
    return found


def c_location(function: str, line: str = "") -> str:
    """``fs/erofs/data.c:42 erofs_bread``: the C that a ported function was written from; empty if it is no port.

    ``line``: ``file:line`` of the Python, which tells functions of the same name apart.
    """
    ports = [p for p in honesty.ports if p.name == function or p.c_name == function]
    if not ports:
        return ""
    python = line.rpartition(":")[0]
    module = re.match(r"<[^:]*: (.*)\.\w+>$", python)             # a function that a series edited
    same = [p for p in ports if (p.module == module[1] if module
                                 else getattr(sys.modules.get(p.module), "__file__", "") == python)]
    ports = same or [p for p in ports if not p.posted] or ports
    p = ports[-1]
    if p.posted:
        return f"{p.path} {p.c_name} (as posted {p.posted})"
    n = c_line(p.path, p.c_name)
    return f"{p.path}:{n} {p.c_name}" if n else f"{p.path} {p.c_name}"
