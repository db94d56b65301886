# SPDX-License-Identifier: GPL-2.0-only
"""The Python of a series by whatever it may be called, and the module that makes it."""
from __future__ import annotations

import ast
from pathlib import Path

from kemu.machine.places import all_modules, holds
from kemu.machine.series import Series
from kemu.rung.uml.errors import ConfigError
from kemu.series.emit import source
from kemu.series.whole import whole


def find(name: str) -> tuple[Series, source.Module]:
    """What ``--series`` takes, if it has Python: the Series and its module. ``ConfigError`` says in one line what is wrong."""
    found = whole(name)
    if found.python is None:
        raise ConfigError(f"{name}: it has no Python Series: it is C already")
    return found.python, home(found.python)


def home(series: Series) -> source.Module:
    """The module in which a Series is made. ``ConfigError`` for one that is made by a function, or has no text."""
    for mod in all_modules():
        path = getattr(mod, "__file__", None)
        if not path or not path.endswith(".py") or not holds(mod, series):
            continue
        made = source.module(mod.__name__)
        if made is None or made.path != Path(path):
            made = source.read(mod.__name__, Path(path))
        names = [n for n, v in vars(mod).items() if v is series]
        if any(isinstance(made.constants.get(n), ast.Call) for n in names):
            return made
    raise ConfigError(f"{series.name}: no module has it as NAME = Series(...)")
