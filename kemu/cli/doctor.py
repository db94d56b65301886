# SPDX-License-Identifier: GPL-2.0-only
"""``kemu doctor``: what this machine has, and what each missing thing disables."""
from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

from kemu import base
from kemu.cli.common import EXIT_CONFIG, EXIT_OK, cache_home
from kemu.report.terminal import is_terminal, print_table

HELP = "say what this machine has, and what each missing tool disables"

_MODULES = {        # module: (needed, what it is for, how to get it)
    "cffi": (True, "on-disk structures", "pip install cffi"),
    "greenlet": (True, "kernel tasks", "pip install greenlet"),
    "lz4": (True, "LZ4 images", "pip install lz4"),
    "hypothesis": (True, "generated inputs and shrinking", "pip install hypothesis"),
    "rich": (True, "tables on a terminal", "pip install rich"),
    "zstandard": (True, "zstd images and archives", "pip install zstandard"),
    "shtab": (True, "kemu --print-completion", "pip install shtab"),
    "zlib": (True, "gzip and DEFLATE", "use a Python that was built with it"),
    "lzma": (True, "xz, LZMA, MicroLZMA", "use a Python that was built with it"),
    "bz2": (True, "bzip2", "use a Python that was built with it"),
}
_TOOLS = {
    "gcc": ("the C rung and the Linux rung", "apt-get install gcc"),
    "make": ("the C rung and the Linux rung", "apt-get install make"),
    "flex": ("the C rung and the Linux rung", "apt-get install flex"),
    "bison": ("the C rung and the Linux rung", "apt-get install bison"),
    "bc": ("the C rung and the Linux rung", "apt-get install bc"),
    "sparse": ("byte orders that a series mixes up (C rung)", "apt-get install sparse"),
    "git": ("patch series", "apt-get install git"),
    "taskset": ("the Linux rung at full speed (4 times slower without)", "apt-get install util-linux"),
    "cpio": ("comparison of archives with GNU cpio", "apt-get install cpio"),
}


def _cache() -> Path:
    return Path(cache_home()) / "kemu"


def erofs_utils() -> str | None:
    """mkfs.erofs: of the cache, or the machine's."""
    return next((str(p) for p in (_cache() / "erofs-utils/bin/mkfs.erofs",) if p.exists()), None) or shutil.which("mkfs.erofs")


def _module(name: str) -> tuple[bool, str]:
    """Whether it can be imported (a module of Python's own may be there without the C that it needs), and its version."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False, ""
    try:
        return True, importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return True, "of Python"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu doctor``."""
    parser.add_argument("--json", action="store_true", help="machine-readable")


def examine() -> list[dict[str, object]]:
    """One row for each thing looked for: name, found, needed, detail, disables, remedy."""
    rows: list[dict[str, object]] = []

    def row(name: str, found: bool, needed: bool, detail: str, disables: str, remedy: str) -> None:
        rows.append({"name": name, "found": found, "needed": needed, "detail": detail, "disables": disables, "remedy": remedy})

    row("python", sys.version_info >= (3, 11), True, sys.version.split()[0], "everything", "install Python 3.11 or newer")
    for mod, (needed, what, how) in _MODULES.items():
        found, version = _module(mod)
        row(mod, found, needed, version, what, how)
    for tool, (what, how) in _TOOLS.items():
        path = shutil.which(tool)
        row(tool, path is not None, False, path or "", what, how)
    mkfs = erofs_utils()
    row("mkfs.erofs", mkfs is not None, False, mkfs or "",
        "fresh images from mkfs and the check of forged ones by fsck (1.9 is wanted)", "apt-get install erofs-utils")
    tree = base.tree()
    row("kernel tree", (tree / "Makefile").is_file(), False, str(tree) if (tree / "Makefile").is_file() else "",
        "the C rung and the Linux rung, kemu port diff and drift", "kemu linux fetch, or --tree with your own")
    return rows


def run(args: argparse.Namespace) -> int:
    """``kemu doctor``; its exit code."""
    rows = examine()
    broken = [r for r in rows if r["needed"] and not r["found"]]
    if args.json:
        print(json.dumps({"ok": not broken, "checks": rows}))
    else:
        if is_terminal(sys.stdout):
            print_table(["", "what", "where, or what its absence disables"],
                        [["ok" if r["found"] else "MISSING" if r["needed"] else "absent", str(r["name"]),
                          str(r["detail"]) if r["found"] else f"disables: {r['disables']}; {r['remedy']}"] for r in rows],
                        args.no_color)
        for r in rows if not is_terminal(sys.stdout) else ():
            mark = "ok     " if r["found"] else "MISSING" if r["needed"] else "absent "
            print(f"{mark} {r['name']:<12} {r['detail']}" if r["found"]
                  else f"{mark} {r['name']:<12} disables: {r['disables']}; {r['remedy']}")
        print("everything needed is here" if not broken else f"{len(broken)} needed things are missing")
    return EXIT_CONFIG if broken else EXIT_OK
