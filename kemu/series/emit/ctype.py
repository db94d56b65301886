# SPDX-License-Identifier: GPL-2.0-only
"""Types of C: what they are called, what they point to, and what an operation on two of them gives."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CType:
    """``kind``: base (a name), ptr, array, func. ``name`` of a base: ``int``, ``u64``, ``struct inode``. ``to``: what a pointer
    points to, an array has, a function returns. ``length`` of an array, ``params`` of a function, as far as they are known.
    """

    kind: str
    name: str = ""
    to: CType | None = None
    params: tuple[tuple[str, CType], ...] = ()
    length: str = ""
    const: bool = False

    def declare(self, name: str = "") -> str:
        """As a declaration of ``name`` has it."""
        if self.kind == "base":
            text = f"const {self.name}" if self.const else self.name
            return f"{text} {name}".rstrip()
        assert self.to is not None
        if self.kind == "ptr":
            inner = ("*const " if self.const else "*") + name
            if self.to.kind in ("array", "func"):
                inner = f"({inner})"
            return self.to.declare(inner)
        if self.kind == "array":
            return self.to.declare(f"{name}[{self.length}]")
        params = ", ".join(t.declare(n) for n, t in self.params) or "void"
        return self.to.declare(f"{name}({params})")

    def __str__(self) -> str:
        return self.declare()


def base(name: str) -> CType:
    """A type by its name."""
    return CType("base", name)


def ptr(to: CType) -> CType:
    """A pointer to it."""
    return CType("ptr", to=to)


VOID = base("void")
INT = base("int")
BOOL = base("bool")
U64 = base("u64")
TEXT = ptr(CType("base", "char", const=True))
VOIDP = ptr(VOID)

# width in bytes and signedness of the names at which typedefs end, and of those that are kept as they are
_WIDTHS: dict[str, tuple[int, bool]] = {
    "char": (1, False), "signed char": (1, True), "unsigned char": (1, False), "short": (2, True), "unsigned short": (2, False),
    "int": (4, True), "unsigned int": (4, False), "long": (8, True), "unsigned long": (8, False), "long long": (8, True),
    "unsigned long long": (8, False), "bool": (1, False), "_Bool": (1, False), "u8": (1, False), "u16": (2, False),
    "u32": (4, False), "u64": (8, False), "s8": (1, True), "s16": (2, True), "s32": (4, True), "s64": (8, True),
    "size_t": (8, False), "ssize_t": (8, True), "loff_t": (8, True),
}


def width(name: str) -> tuple[int, bool] | None:
    """(bytes, signed) of an integer type of the language; None for others."""
    return _WIDTHS.get(name)
