# SPDX-License-Identifier: GPL-2.0-only
"""Where trees, builds and kernels are kept between runs: ``$XDG_CACHE_HOME/kemu/linux``."""
from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DEFAULT_VERSION = "7.2"


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/kemu/linux`` (``~/.cache`` where the variable is unset or not absolute)."""
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else Path.home() / ".cache"
    return base / "kemu" / "linux"


def default_tree(version: str = DEFAULT_VERSION) -> Path:
    """Where ``kemu linux fetch`` puts Debian's source."""
    return cache_dir() / f"linux-source-{version}"


@contextmanager
def lock(path: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold ``path.lock`` exclusively: two builds of the same thing wait for each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another kemu that is working on {path.name}")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def scratch_base() -> str | None:
    """Where small short-lived files go: shared memory if the host has it (a kernel's RAM is such a file), else the default."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
