# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series port``: from the patches to the module."""
from __future__ import annotations

import tempfile
from pathlib import Path

from kemu.plugins import ported_packages
from kemu.rung.uml.build import Recipe, prepare
from kemu.rung.uml.cache import cache_dir, lock
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.series import Series
from kemu.rung.uml.tree import Tree
from kemu.series.emit.report import objects_of
from kemu.series.port.module import Module, Writer, named_as, package_of

SLOT = "patched"


def ported(series: Series, tree: Tree, package: str = "", say: Say = nothing) -> Module:
    """The Python of a C series. ``ConfigError``, ``PatchError``, ``BuildError``."""
    if not series.patches:
        raise ConfigError(f"{series.name}: no patch in it")
    package = package or package_of(series.patches, ported_packages())
    objects = objects_of(tree, say)
    recipe = Recipe(tree, "fast", tuple(series.config), tuple(series.patches), SLOT, agent=False)
    work = cache_dir() / "work" / f"{tree.slot()}-{SLOT}"
    with lock(work, say), tempfile.TemporaryDirectory(prefix="kemu-port-") as folder:
        copy = prepare(recipe, work, say).path
        title = series.title or series.patches[0].subject
        return Writer(named_as(series.name), title, package, series.patches, tree, copy, objects, Path(folder)).write()
