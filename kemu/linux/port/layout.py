# SPDX-License-Identifier: GPL-2.0-only
"""On-disk structures: views over memory made from packed C definitions.

``S = cdef_views('''struct erofs_dirent { __le64 nid; __le16 nameoff; __u8 file_type; __u8 reserved; };''')`` gives a class for
each struct:

    de = S.erofs_dirent(address)        a pointer; de.nid loads 8 bytes, checked, as a CPU integer
    de[1].nameoff                       C's pointer indexing
    de.p, sizeof(S.erofs_dirent), offsetof(S.erofs_dirent, "nameoff")
    die.i_u                             a nested struct or union: a view at its address; an array of bytes: its address
    die.i_u.copy()                      a snapshot with the same fields (a C struct copied by value)

The definitions go through cffi, so one text serves Python, the C rung and the layout checks. Each field access checks exactly the
bytes that C would load.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemu.linux.port.honesty import custom, names
from kemu.machine.cdefs import ffi_for, parsed
from kemu.machine.current import this
from kemu.machine.memory import Memory, u16_at, u32_at, u64_at

P = "include/linux/types.h"

_BASE = """
typedef uint8_t __u8; typedef uint16_t __le16; typedef uint32_t __le32; typedef uint64_t __le64;
"""
_INT_SIZES = {1, 2, 4, 8}


class View:
    """Base of all views; ``p`` is the address (or, in a snapshot, an offset into ``data``)."""

    __slots__ = ("p",)
    SIZE = 0
    FIELDS: dict[str, tuple[int, int]] = {}

    def __init__(self, p: int):
        self.p = p

    if TYPE_CHECKING:
        def __getattr__(self, field: str) -> Any:
            """The fields are in the C text: no type checker sees them."""

    def __getitem__(self, i: int) -> Any:
        return self.__class__(self.p + i * self.SIZE)

    def copy(self) -> Any:
        """A snapshot of the whole structure."""
        return self._value(this.mem.load(self.p, self.SIZE))         # type: ignore[attr-defined]

    @classmethod
    def from_bytes(cls, data: bytes) -> Any:
        """A snapshot made of bytes that were collected piecemeal (a structure on the stack filled by two memcpys)."""
        return cls._value(data)                                       # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} at {self.p:016x}>"


class Value:
    """Base of snapshots: same fields, over bytes of their own."""

    __slots__ = ("data",)

    def __init__(self, data: bytes):
        self.data = data

    def copy(self) -> Any:
        """Assigned once more."""
        return self.__class__(self.data)


_AT = {2: (u16_at, Memory.ld16), 4: (u32_at, Memory.ld32), 8: (u64_at, Memory.ld64)}


def _int_property(off: int, size: int) -> property:
    if size == 1:
        return property(lambda self: this.mem.ld8(self.p + off))
    at, slowly = _AT[size]

    def get(self: View) -> int:
        # Memory.ld16 and its kin, written out: every field of every structure is read here
        mem = this.mem
        p = self.p + off
        base = mem.fast.get(p >> mem.shift)
        if base is not None:
            in_page = p & mem.mask
            if in_page + size <= mem.page_size:
                return at(mem.buf, base + in_page)[0]                # type: ignore[no-any-return]
        return slowly(mem, p)
    return property(get)


def _int_value(off: int, size: int) -> property:
    end = off + size
    return property(lambda self: int.from_bytes(self.data[off:end], "little"))


def _nested(off: int, cls: type[View]) -> property:
    return property(lambda self: cls(self.p + off))


def _nested_value(off: int, size: int, cls: type[Value]) -> property:
    return property(lambda self: cls(self.data[off:off + size]))


def _address(off: int) -> property:
    return property(lambda self: self.p + off)


def _bytes_value(off: int, size: int) -> property:
    return property(lambda self: self.data[off:off + size])


def _make(ffi: Any, ctype: Any, name: str, made: dict[str, type[View]]) -> type[View]:
    key = ctype.cname
    if key in made:
        return made[key]
    view_ns: dict[str, Any] = {"__slots__": (), "SIZE": ffi.sizeof(ctype)}
    value_ns: dict[str, Any] = {"__slots__": ()}
    fields: dict[str, tuple[int, int]] = {}

    def walk(ct: Any, base: int) -> None:
        for fname, f in ct.fields:
            off, t = base + f.offset, f.type
            if not fname:
                walk(t, off)
                continue
            # a flexible array has no size: its address is what C uses
            size = 0 if t.kind == "array" and t.length is None else ffi.sizeof(t)
            fields[fname] = (off, size)
            if t.kind == "primitive" and size in _INT_SIZES:
                view_ns[fname] = _int_property(off, size)
                value_ns[fname] = _int_value(off, size)
            elif t.kind in ("struct", "union"):
                sub = _make(ffi, t, t.cname.split()[-1], made)
                view_ns[fname] = _nested(off, sub)
                value_ns[fname] = _nested_value(off, size,
                                                sub._value)       # type: ignore[attr-defined]  # noqa: SLF001  (a view in a view)
            else:
                view_ns[fname] = _address(off)
                value_ns[fname] = _bytes_value(off, size)

    walk(ctype, 0)
    view_ns["FIELDS"] = fields
    view_ns["_value"] = type(name + "_value", (Value,), value_ns)
    cls = type(name, (View,), view_ns)
    made[key] = cls
    return cls


class Views:
    """The classes that one :func:`cdef_views` call made, as attributes; ``ffi`` has the C types."""

    def __init__(self, ffi: Any):
        self.ffi = ffi

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any:
            """The structures are in the C text: no type checker sees them."""


@custom(P, "struct", "packed on-disk structures as views whose every field access is checked")
def cdef_views(cdef: str, made: str = "") -> Any:
    """Views of every ``struct`` (and named union) in a packed C definition; see the module's text.

    ``made``: the module with the parsed definition, as :func:`kemu.machine.cdefs.ffi_for` has it.
    """
    ffi = ffi_for(made, _BASE + cdef, packed=True) if made else parsed(_BASE + cdef, packed=True)
    out = Views(ffi)
    views: dict[str, type[View]] = {}
    _, structs, unions = ffi.list_types()
    for kind, type_names in (("struct", structs), ("union", unions)):
        for n in type_names:
            if not n.startswith("$"):
                setattr(out, n, _make(ffi, ffi.typeof(f"{kind} {n}"), n, views))
    return out


@custom(P, "sizeof", "of a view class")
def sizeof(cls: Any) -> int:
    """``sizeof(struct ...)``"""
    return cls.SIZE                                                           # type: ignore[no-any-return]


@custom("include/linux/stddef.h", "offsetof", "of a view class")
def offsetof(cls: Any, field: str) -> int:
    """``offsetof(struct ..., field)``"""
    return cls.FIELDS[field][0]                                               # type: ignore[no-any-return]


names("custom", P, "View", "Value", "Views", how="pointers to packed structures, their snapshots, and the table of both")
