# SPDX-License-Identifier: GPL-2.0-only
"""Every public function and class of kemu.linux says how honest it is."""
from __future__ import annotations

import importlib
import inspect
import pkgutil

import kemu.linux
from kemu.linux.port import honesty

PLUMBING = {"kemu.linux.port.honesty"}       # what does the tagging


def exports() -> list[tuple[str, str, object]]:
    """(module, name, object) of what a port can import: the header modules' functions and classes, re-exported ones included."""
    out = []
    for info in pkgutil.iter_modules(kemu.linux.__path__, "kemu.linux."):
        if info.name in PLUMBING or info.ispkg:
            continue
        mod = importlib.import_module(info.name)
        names = getattr(mod, "__all__", None) or [n for n, o in vars(mod).items() if getattr(o, "__module__", "") == info.name]
        for name in names:
            obj = getattr(mod, name)
            if (not name.startswith("_") or name.startswith("__")) and (inspect.isfunction(obj) or inspect.isclass(obj)):
                if obj.__module__.startswith("kemu."):
                    out.append((info.name, name, obj))
    return out


def untagged() -> list[str]:
    out = []
    for module, name, obj in exports():
        keys = {(obj.__module__, obj.__name__), (module, name), (obj.__module__, name)}
        if not keys & honesty.symbols.keys():
            out.append(f"{module}.{name}")
    return out


def test_every_symbol_has_a_tag():
    assert untagged() == []


def test_tags_name_a_file_of_the_tree_and_how_custom_ones_differ():
    for s in honesty.symbols.values():
        assert s.honesty in ("dup", "custom", "stub")
        assert ("/" in s.path and "." in s.path) or s.path.startswith("Documentation"), s
        assert s.honesty != "custom" or s.how, f"{s.module}.{s.name} does not say what is changed"


def test_exported_functions_have_docstrings():
    assert [f"{m}.{n}" for m, n, o in exports() if inspect.isfunction(o) and not (o.__doc__ or "").strip()] == []
