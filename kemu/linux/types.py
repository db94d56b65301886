# SPDX-License-Identifier: GPL-2.0-only
"""C integers and C pointers to things that are not memory (include/linux/types.h).

``u8(x)`` .. ``u64(x)``, ``s32(x)``, ``s64(x)``: x converted as C converts. Written where C converts or wraps, and nowhere else.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import NULL, arch, this  # noqa: F401

P = "include/linux/types.h"

U8_MAX, U16_MAX, U32_MAX, U64_MAX = 0xFF, 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
INT_MAX, LLONG_MAX, ULLONG_MAX = 0x7FFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, U64_MAX
UINT_MAX = U32_MAX


@dup(P)
def u8(x: int) -> int:
    """``(u8)x``"""
    return x & 0xFF


@dup(P)
def u16(x: int) -> int:
    """``(u16)x``"""
    return x & 0xFFFF


@dup(P)
def u32(x: int) -> int:
    """``(u32)x``"""
    return x & 0xFFFF_FFFF


@dup(P)
def u64(x: int) -> int:
    """``(u64)x``"""
    return x & 0xFFFF_FFFF_FFFF_FFFF


@dup(P)
def s8(x: int) -> int:
    """``(s8)x``"""
    return ((x + 0x80) & 0xFF) - 0x80


@dup(P)
def s16(x: int) -> int:
    """``(s16)x``"""
    return ((x + 0x8000) & 0xFFFF) - 0x8000


@dup(P)
def s32(x: int) -> int:
    """``(s32)x``, also ``(int)x``"""
    return ((x + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


@dup(P)
def s64(x: int) -> int:
    """``(s64)x``"""
    return ((x + 0x8000_0000_0000_0000) & 0xFFFF_FFFF_FFFF_FFFF) - 0x8000_0000_0000_0000


loff_t = s64


@dup(P, "unsigned long")
def ulong(x: int) -> int:
    """``(unsigned long)x``: as wide as the machine's ``bits``."""
    return x & arch.ULONG_MAX


size_t = pgoff_t = ulong


@dup(P)
def sector_t(x: int) -> int:
    """``(sector_t)x``: 64 bits everywhere."""
    return x & 0xFFFF_FFFF_FFFF_FFFF


@custom(P, "T *", "an out-parameter's cell: read and written through .v")
class Ref:
    """The address of a scalar or of a pointer variable: ``nid = Ref(0); f(nid); nid.v``."""

    __slots__ = ("v",)

    def __init__(self, v: Any = 0):
        self.v = v

    def __repr__(self) -> str:
        return f"Ref({self.v!r})"


@custom(P, "&obj->field", "a field's address: read and written through .v")
class FieldPtr(Ref):
    """What :func:`ptr_to` gives."""

    __slots__ = ("field", "obj")

    def __init__(self, obj: Any, field: str):
        self.obj = obj
        self.field = field

    @property
    def v(self) -> Any:
        return getattr(self.obj, self.field)

    @v.setter
    def v(self, value: Any) -> None:
        setattr(self.obj, self.field, value)


@custom(P, "&obj->field", "a FieldPtr")
def ptr_to(obj: Any, field: str) -> FieldPtr:
    """``&obj->field``"""
    return FieldPtr(obj, field)


@custom("include/linux/container_of.h", "container_of", "an embedded structure knows its container")
def container_of(ptr: Any, member: str = "") -> Any:
    """``container_of(ptr, type, member)``: the structure that ``ptr`` is embedded in. Embedded structures carry it as
    ``container``.
    """
    return ptr.container


class list_head:
    """``struct list_head``: a circular doubly linked list; ``container`` is the structure that an entry is embedded in."""

    __slots__ = ("container", "next", "prev")

    def __init__(self, container: Any = None):
        self.next: list_head = self
        self.prev: list_head = self
        self.container = container


names("dup", P, "loff_t")
names("dup", P, "size_t", "pgoff_t")
names("dup", P, "list_head")
