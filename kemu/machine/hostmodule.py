# SPDX-License-Identifier: GPL-2.0-only
"""Decoders of the host's Python that not every host has: imported when they are used, and missed by name.

A Python may have been built without bz2, lzma or zlib, and a package may be absent or of another Python. What needs such a module
says so when it is used; nothing goes on as if the format were unknown.
"""
from __future__ import annotations

import importlib
from typing import Any

_OF_PYTHON = frozenset(("bz2", "lzma", "zlib"))


class MissingLibrary(ImportError):
    """A library of the host that this input needs is not here. The message names it, what it is for and the remedy."""


def missing(name: str, what: str, why: object = "") -> MissingLibrary:
    """The exception for ``name``, which decodes ``what``."""
    remedy = "this Python was built without it" if name in _OF_PYTHON else f"pip install {name.partition('.')[0]}"
    return MissingLibrary(f"{name} cannot be imported, and {what} needs it: {remedy}" + (f" ({why})" if why else ""), name=name)


class HostModule:
    """Stands for a module until an attribute of it is asked for. ``MissingLibrary`` if it cannot be imported then."""

    def __init__(self, name: str, what: str):
        self.__dict__.update(_name=name, _what=what)

    def __getattr__(self, attribute: str) -> Any:
        name: str = self.__dict__["_name"]
        if attribute.startswith("__") and attribute.endswith("__"):
            # copy, pickle and doctest ask; none of these modules has what they ask for
            raise AttributeError(attribute)
        try:
            module = importlib.import_module(name)
        except ImportError as e:
            raise missing(name, self.__dict__["_what"], e) from None
        self.__dict__.update(vars(module))
        return getattr(module, attribute)


def host_module(name: str, what: str) -> Any:
    """The module ``name``, imported when it is used first; ``what`` is what needs it."""
    return HostModule(name, what)
