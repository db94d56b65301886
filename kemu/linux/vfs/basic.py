# SPDX-License-Identifier: GPL-2.0-only
"""struct path and struct qstr. Ports import them from kemu.linux.path and kemu.linux.dcache."""
from __future__ import annotations

from typing import Any

from kemu.linux.honesty import custom, dup


@dup("include/linux/path.h")
class Path:
    """``struct path``: a mount and a dentry in it. ``a.copy()`` and ``a.set(b)`` are C's assignments of the structure."""

    __slots__ = ("dentry", "mnt")

    def __init__(self, mnt: Any = None, dentry: Any = None):
        self.mnt = mnt
        self.dentry = dentry

    def copy(self) -> Path:
        return Path(self.mnt, self.dentry)

    def set(self, other: Path) -> None:
        """``*self = *other``"""
        self.mnt = other.mnt
        self.dentry = other.dentry

    def __repr__(self) -> str:
        return f"<path {self.dentry!r} of {self.mnt!r}>"


@custom("include/linux/dcache.h", "struct qstr", "name is bytes without NUL; no hash")
class Qstr:
    """``struct qstr``: a name of ``len`` bytes."""

    __slots__ = ("len", "name")

    def __init__(self, name: bytes = b""):
        self.name = name
        self.len = len(name)

    def __repr__(self) -> str:
        return f"Qstr({self.name!r})"


@dup("include/linux/dcache.h")
def QSTR(name: str | bytes) -> Qstr:
    """``QSTR(n)``: of a C string."""
    return Qstr(name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name)
