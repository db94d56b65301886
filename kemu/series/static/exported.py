# SPDX-License-Identifier: GPL-2.0-only
"""What a series takes from the kernel where its files may be a module: that must be exported, as modpost asks it with =m."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

from kemu.rung.uml.build import Kernel
from kemu.rung.uml.links import definitions, gates, needed, touched
from kemu.rung.uml.series import Series

_ELSEWHERE = ("arch/um", "arch/x86/um", "arch/x86/lib")        # of what is written in assembly


def may_be_a_module(source: Path, name: str) -> bool:
    """Whether a symbol that decides about an object is a tristate."""
    folder = (source / name).parent
    texts = [f.read_text(errors="replace") for f in (folder / "Kconfig", folder.parent / "Kconfig") if f.exists()]
    return any(re.search(rf"^config {gate.removeprefix('CONFIG_')}\n\s*tristate", text, re.M)
               for gate in gates(source, name) for text in texts)


def exported(source: Path, symbol: str, giver: str) -> bool:
    """Whether the file that gives a symbol, or one beside it, exports it."""
    pattern = rf"EXPORT_\w*SYMBOL\w*\(\s*{re.escape(symbol)}\b"
    for suffix in (".c", ".S"):
        file = source / f"{giver.removesuffix('.o')}{suffix}"
        if file.exists() and re.search(pattern, file.read_text(errors="replace")):
            return True
    places = [str(p) for p in (source / giver).parents[:1] if p.is_dir()] + [str(source / e) for e in _ELSEWHERE]
    return not subprocess.run(["grep", "-rqE", "--include=*.[chS]", pattern, *places], capture_output=True).returncode


def not_exported(series: Series, own: Kernel, base: Path) -> list[str]:
    """One line for each symbol that an object of the series needs beyond its base, and that a module cannot have. ``base``: the
    objects without the series.
    """
    names = [n for n in touched(series, own) if may_be_a_module(own.source, n)]
    before = {s for n in names if (base / n).exists() for s in needed([base / n])}
    new = {s: u for s, u in needed([own.objects / n for n in names]).items() if s not in before} if names else {}
    if not new:
        return []
    defined = definitions(own.objects)
    out = []
    for symbol, user in sorted(new.items()):
        giver = defined.get(symbol)
        if giver is None or giver.parent == user.parent:
            continue
        where = str(giver.relative_to(own.objects))
        if not exported(own.source, symbol, where):
            out.append(f"{user.relative_to(own.objects)}: {symbol} ({where}) is not exported: as a module (=m) it does not link")
    return out
