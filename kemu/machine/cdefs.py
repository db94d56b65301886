# SPDX-License-Identifier: GPL-2.0-only
"""C definitions for cffi, parsed once: each text has a module beside its user that was made from it, and parsing at run time is
the exception.

``ffi_for("kemu.linux._cdefs_lz4", TEXT)`` is the FFI of that module if it was made from this very text; otherwise the text is
parsed (which takes a compiler's front end, 40 ms). ``make cdefs`` makes the modules again; a test says when one is out of date.
"""
from __future__ import annotations

import contextlib
import importlib
import io
from binascii import crc32
from pathlib import Path
from typing import Any

known: dict[str, tuple[str, bool]] = {}         # module -> text and packed, of every ffi_for() so far


def fingerprint(text: str, packed: bool) -> str:
    """What a module remembers of the text that it was made from."""
    return f"{crc32(text.encode()):08x}-{len(text)}{'-packed' * packed}"


def ffi_for(module: str, text: str, packed: bool = False) -> Any:
    """An FFI with the definitions of ``text``."""
    known[module] = (text, packed)
    try:
        made = importlib.import_module(module)
        if made.OF == fingerprint(text, packed):
            return made.ffi
    except (ImportError, AttributeError):
        pass
    return parsed(text, packed)


def parsed(text: str, packed: bool = False) -> Any:
    """The same by cffi's parser."""
    import cffi  # noqa: PLC0415  (only where nothing was made)

    ffi = cffi.FFI()
    ffi.cdef(text, packed=packed)
    return ffi


def source_of(module: str) -> str:
    """The text of the module for a text in :data:`known`."""
    text, packed = known[module]
    ffi = parsed(text, packed)
    ffi.set_source(module, None)
    out = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):         # cffi says that it generates
        ffi.emit_python_code(out)
    return ("# SPDX-License-Identifier: GPL-2.0-only\n"
            '"""Made by `make cdefs` from the definitions of the module beside it; not to be edited."""\n'
            "# ruff: noqa\n# mypy: ignore-errors\n" + out.getvalue().replace("# auto-generated file\n",
                                                                             "") + f"\nOF = \"{fingerprint(text, packed)}\"\n")


def file_of(module: str) -> Path:
    """Where that module is."""
    package, _, name = module.rpartition(".")
    return Path(next(iter(importlib.import_module(package).__path__))) / f"{name}.py"


def write_all() -> list[Path]:
    """Make every module of :data:`known` again; those that were changed."""
    changed = []
    for module in sorted(known):
        path, text = file_of(module), source_of(module)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            changed.append(path)
    return changed
