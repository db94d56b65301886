# SPDX-License-Identifier: GPL-2.0-only
"""Which code showed something: the package's version, and a hash of the sources that ran."""
from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from functools import lru_cache

from kemu.plugins import installed_version


def of(modules: Iterable[str]) -> str:
    """``0.1.0+3f9a2c1b``: the same for the same sources of kemu and of the top packages of ``modules``."""
    return _of(tuple(sorted({"kemu", *(m.partition(".")[0] for m in modules)})))


def _sources(folder: str) -> list[str]:
    """The .py files in a folder and below, folder by folder. (Path.rglob() takes three times as long, at each start of a search.)
    """
    return sorted((os.path.join(at, f) for at, _, files in os.walk(folder) for f in files if f.endswith(".py")),
                  key=lambda p: p.split(os.sep))


@lru_cache(maxsize=8)
def _of(packages: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in packages:
        module = sys.modules.get(name)
        paths = [p for base in getattr(module, "__path__", ()) for p in _sources(base)]
        if not paths and getattr(module, "__file__", None):
            paths = [str(module.__file__)]              # type: ignore[union-attr]
        for path in paths:
            try:
                with open(path, "rb", buffering=0) as f:
                    digest.update(f"{name} {os.path.basename(path)} ".encode() + hashlib.sha256(f.read()).digest())
            except OSError:
                continue
    return f"{installed_version('kemu') or '0'}+{digest.hexdigest()[:8]}"
