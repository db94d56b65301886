# SPDX-License-Identifier: GPL-2.0-only
"""Where the ``kemu`` command begins: before anything else is imported, it is settled where compiled modules are kept, and how
often Python looks for garbage.

With PYTHONDONTWRITEBYTECODE, as in many containers, Python would compile hundreds of modules at every command. What that variable
protects is the folder of the sources; this process keeps its bytecode in ``$XDG_CACHE_HOME/kemu/bytecode`` instead, where Python
checks it against the sources as it always does. Nothing changes where that folder cannot be made, is not the user's own, or where
others could write to it.
"""
from __future__ import annotations

import gc
import os
import sys

YOUNG_OBJECTS = 30_000


def keep_bytecode() -> None:
    """See the module's text."""
    if not sys.dont_write_bytecode or sys.pycache_prefix or _compiled_at_installation():
        return
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    folder = os.path.join(xdg if xdg.startswith("/") else os.path.expanduser("~/.cache"), "kemu", "bytecode")
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        st = os.stat(folder)
    except OSError:
        return
    if st.st_uid == os.geteuid() and not st.st_mode & 0o022 and os.access(folder, os.W_OK | os.X_OK):
        sys.pycache_prefix = folder
        sys.dont_write_bytecode = False


def _compiled_at_installation() -> bool:
    """Whether this is no clone, and pip compiled what it installed."""
    here = os.path.dirname(os.path.abspath(__file__))
    if os.path.basename(os.path.dirname(here)) not in ("site-packages", "dist-packages"):
        return False
    try:
        with open(os.path.join(here, "__pycache__", f"start.{sys.implementation.cache_tag}.pyc"), "rb") as f:
            return int.from_bytes(f.read(16)[8:12], "little") == int(os.stat(__file__).st_mtime) & 0xFFFFFFFF
    except OSError:
        return False


def collect_less() -> None:
    """What a command imports stays. By default Python looks through it again and again while it comes in, to find nothing: at
    each start that takes as long as it takes to import fifty modules.
    """
    young, *older = gc.get_threshold()
    if 0 < young < YOUNG_OBJECTS:
        gc.set_threshold(YOUNG_OBJECTS, *older)


def main() -> int:
    """The console script."""
    keep_bytecode()
    collect_less()
    from kemu.cli import main as command  # noqa: PLC0415  (start-up)

    return command()
