# SPDX-License-Identifier: GPL-2.0-only
"""The tools: each is given a file as kbuild compiles it, from the command that was kept with its object."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kemu.rung.c import sparse as of_sparse
from kemu.rung.c.objects import command, flags_of
from kemu.series.static.remark import Remark, new, parse

SECONDS = 120
# what scripts/Makefile.extrawarn has for W=1 (there the warnings are no longer switched off)
W1 = ("-Wextra", "-Wunused", "-Wmissing-format-attribute", "-Wmissing-include-dirs", "-Wunused-but-set-variable",
      "-Wunused-const-variable", "-Wpacked-not-aligned", "-Wformat-overflow", "-Wformat-truncation", "-Wstringop-truncation",
      "-Wno-unused-parameter", "-Wno-sign-compare", "-Wno-missing-field-initializers", "-Wno-shift-negative-value",
      "-Wno-type-limits")


def _said(objects: Path, words: Sequence[str]) -> str:
    try:
        done = subprocess.run(words, cwd=objects, capture_output=True, text=True, errors="replace", timeout=SECONDS,
                              stdin=subprocess.DEVNULL, env=os.environ | {"LC_ALL": "C"})
    except subprocess.TimeoutExpired:
        return ""
    return done.stderr + done.stdout


def warnings(objects: Path, name: str) -> list[Remark]:
    """Of the compiler, with W=1."""
    flags, source = flags_of(command(objects, name))
    return parse("W=1", _said(objects, ["gcc", *flags, *W1, "-c", "-o", "/dev/null", source]))


def sparse(objects: Path, name: str) -> list[Remark]:
    """Of sparse: endianness, address spaces, lock contexts."""
    return parse("sparse", of_sparse.said(objects, name))


def kernel_doc(objects: Path, name: str) -> list[Remark]:
    """Of the comments of functions."""
    _, source = flags_of(command(objects, name))
    return parse("kernel-doc", _said(objects, ["../scripts/kernel-doc", "-none", "-Wall", source]))


def tools_here(objects: Path) -> list[Callable[[Path, str], list[Remark]]]:
    """Those that this machine and this tree have."""
    here = [warnings, *([sparse] if of_sparse.there() else [])]
    return [*here, *([kernel_doc] if (objects / "../scripts/kernel-doc").exists() and shutil.which("python3") else [])]


def missing(objects: Path) -> list[str]:
    """Names of the others."""
    return [tool.__name__.replace("_", "-") for tool in (sparse, kernel_doc) if tool not in tools_here(objects)]


def new_remarks(base: Path, series: Path, names: Iterable[str], jobs: int = 2) -> list[Remark]:
    """What the tools say of objects of the series and do not say of the base's. ``base``, ``series``: folders of objects, each
    below its tree, built; what one of them has not (a new file) is new.
    """
    def one(work: tuple[Callable[[Path, str], list[Remark]], str]) -> list[Remark]:
        tool, name = work
        before = tool(base, name) if _has(base, name) else []
        return new(before, tool(series, name))

    work = [(tool, name) for name in dict.fromkeys(names) if _has(series, name) for tool in tools_here(series)]
    with ThreadPoolExecutor(jobs) as pool:
        found = [r for some in pool.map(one, work) for r in some]
    return list(dict.fromkeys(found))


def _has(objects: Path, name: str) -> bool:
    folder, _, base = name.rpartition("/")
    return (objects / folder / f".{base}.cmd").exists()
