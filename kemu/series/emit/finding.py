# SPDX-License-Identifier: GPL-2.0-only
"""The Python Series of a name: ``module[:name]``, or what it calls itself, looked for in the ported packages."""
from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path

from kemu.machine.series import Series, ShortForms
from kemu.series.emit import source


class NoSeries(LookupError):
    """There is none of that name; the message says what there is."""


def find(name: str) -> tuple[Series, source.Module]:
    """The Series and the module that makes it."""
    where, _, inner = name.partition(":")
    if inner or "." in where:
        try:
            mod = importlib.import_module(where)
        except ImportError as e:
            raise NoSeries(f"{where}: {e}") from None
        found = [v for n, v in vars(mod).items() if isinstance(v, Series) and (not inner or n == inner)]
        if len(found) != 1:
            raise NoSeries(f"{where}: {'no Series' if not found else 'several: name one, as'} {where}:NAME")
        made = source.module(where)
        if made is None:
            raise NoSeries(f"{where}: its text is not there")
        return found[0], made
    known = []
    for entry in sorted(entry_points(group="kemu.ports"), key=lambda e: e.name):
        package = importlib.import_module(entry.value)
        for m in pkgutil.iter_modules(package.__path__):
            text = Path(package.__path__[0], f"{m.name}.py")
            if m.ispkg or not text.is_file() or "Series(" not in text.read_text():
                continue
            module_name = f"{entry.value}.{m.name}"
            for v in vars(importlib.import_module(module_name)).values():
                if isinstance(v, Series) and not isinstance(v, ShortForms):
                    if v.name == name:
                        made = source.module(module_name)
                        assert made is not None
                        return v, made
                    known.append(v.name)
    raise NoSeries(f"{name}: no such Series; there are {', '.join(sorted(set(known)))}")
