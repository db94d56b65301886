# SPDX-License-Identifier: GPL-2.0-only
"""Which kernel the ports were written from, and where its tree is kept: said here and nowhere else."""
from __future__ import annotations

import os
from pathlib import Path

VERSION = "7.2"


def cache_home() -> Path:
    """``$XDG_CACHE_HOME``, ``~/.cache`` where that is unset or not absolute."""
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return Path(xdg) if xdg.startswith("/") else Path.home() / ".cache"


def tree(version: str = VERSION) -> Path:
    """Where ``kemu linux fetch`` puts a kernel's source; it may not be there."""
    return cache_home() / "kemu" / "linux" / f"linux-source-{version}"
