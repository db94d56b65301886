# SPDX-License-Identifier: GPL-2.0-only
"""Which code showed something: the package's version, and a hash of the sources that ran."""
from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from kemu.plugins import installed_version


def of(modules: Iterable[str]) -> str:
    """``0.1.0+3f9a2c1b``: the same for the same sources of kemu and of the top packages of ``modules``."""
    return _of(tuple(sorted({"kemu", *(m.partition(".")[0] for m in modules)})))


@lru_cache(maxsize=8)
def _of(packages: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in packages:
        module = sys.modules.get(name)
        paths = sorted(p for base in getattr(module, "__path__", ()) for p in Path(base).rglob("*.py"))
        if not paths and getattr(module, "__file__", None):
            paths = [Path(str(module.__file__))]        # type: ignore[union-attr]
        for path in paths:
            try:
                digest.update(f"{name} {path.name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
            except OSError:
                continue
    return f"{installed_version('kemu') or '0'}+{digest.hexdigest()[:8]}"
