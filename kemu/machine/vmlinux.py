# SPDX-License-Identifier: GPL-2.0-only
"""What a vmlinux says about a boot: the initcalls and the kernel parameters, with their symbols. ELF only, no debug information
needed.
"""
from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SHT_SYMTAB, SHT_NOBITS, ET_REL = 2, 8, 1
_BOUNDS = ("__initcall_start", "__initcall_end")
MARK = re.compile(r"__initcall(\d+s?|rootfss?)?_(start|end)$")          # between the levels


class Symbol(NamedTuple):
    """A symbol: its address (in a relocatable file the offset in its section) and its section's name."""

    addr: int
    name: str
    section: str


class Vmlinux:
    """An ELF file of a kernel, 32 or 64 bits, either byte order. ``ValueError`` if it is no such thing or has no symbols."""

    def __init__(self, path: str | Path):
        with open(path, "rb") as f:
            head = f.read(64)
            if head[:4] != b"\x7fELF" or len(head) < 52 or head[4] not in (1, 2) or head[5] not in (1, 2):
                raise ValueError("not an ELF file")
            self.data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        self.wide = head[4] == 2
        self.order = "<" if head[5] == 1 else ">"
        self.word = 8 if self.wide else 4
        try:
            self._sections()
            self.symbols = self._symbols()
        except (struct.error, IndexError, UnicodeDecodeError):
            raise ValueError("the ELF file is cut off or damaged") from None
        if not self.symbols:
            raise ValueError("the ELF file has no symbol table: give the vmlinux before it was stripped, or its System.map")

    def _sections(self) -> None:
        e = self.order
        self.type = struct.unpack_from(e + "H", self.data, 16)[0]
        if self.wide:
            shoff, = struct.unpack_from(e + "Q", self.data, 0x28)
            size, count, names = struct.unpack_from(e + "3H", self.data, 0x3A)
            fields = e + "2I4Q2I2Q"
        else:
            shoff, = struct.unpack_from(e + "I", self.data, 0x20)
            size, count, names = struct.unpack_from(e + "3H", self.data, 0x2E)
            fields = e + "10I"
        rows = [struct.unpack_from(fields, self.data, shoff + i * size) for i in range(count)] if shoff else []
        strings = rows[names][4] if rows else 0
        # name, type, address, offset, size, link
        self.sections = [(self._string(strings + r[0]), r[1], r[3], r[4], r[5], r[6]) for r in rows]

    def _string(self, at: int) -> str:
        return self.data[at:self.data.find(b"\0", at)].decode("utf-8", "surrogateescape")

    def _symbols(self) -> list[Symbol]:
        out: list[Symbol] = []
        for _, kind, _, offset, size, link in self.sections:
            if kind != SHT_SYMTAB:
                continue
            if offset + size > len(self.data):
                raise IndexError
            strings = self.sections[link][3]
            table = self.data[offset:offset + size]
            for row in struct.iter_unpack(self.order + ("IBBHQQ" if self.wide else "IIIBBH"), table):
                name, shndx, value = (row[0], row[3], row[4]) if self.wide else (row[0], row[5], row[1])
                if name and 0 < shndx < len(self.sections):
                    out.append(Symbol(value, self._string(strings + name), self.sections[shndx][0]))
        return sorted(out)

    def _at(self, addr: int) -> int:
        for _, kind, start, offset, size, _ in self.sections:
            if kind != SHT_NOBITS and start and start <= addr < start + size:
                return int(offset + addr - start)
        raise ValueError(f"the ELF file has no contents for address {addr:#x}")

    def number(self, addr: int, kind: str) -> int:
        """The number at an address; ``kind`` as struct has it."""
        return int(struct.unpack_from(self.order + kind, self.data, self._at(addr))[0])

    def text(self, addr: int) -> str:
        """The C string at an address."""
        return self._string(self._at(addr))

    def pointer(self, addr: int) -> int:
        """A pointer of the kernel's word size."""
        return self.number(addr, "Q" if self.wide else "I")

    # ------------------------------------------------------------ initcalls

    def initcall_symbols(self) -> list[tuple[int, str]]:
        """(address, name) of everything between __initcall_start and __initcall_end, and of the marks between the levels; sorted.

        An entry whose symbol is gone is named after the function that it points to (a word, or 32 bits relative to itself).
        """
        if self.type == ET_REL:                         # vmlinux.o: a section for each level, in no order
            found = [(s.section[9:].partition(".")[0], s) for s in self.symbols if s.section.startswith(".initcall")
                     and s.name.startswith("__initcall")]
            rank = ["early", "0", *(f"{i}{x}" for i in range(1, 6) for x in ("", "s")), "rootfs", "6", "6s", "7", "7s"]
            found = sorted((f for f in found if f[0] in rank), key=lambda f: (rank.index(f[0]), f[1].addr))
            out = []
            for i, (level, s) in enumerate(found):
                if not i or level != found[i - 1][0]:
                    out.append((i, f"__initcall{'' if level == 'early' else level}_start"))
                out.append((i, s.name))
            return out
        bounds = {s.name: s.addr for s in self.symbols if s.name in _BOUNDS}
        if len(bounds) < 2:
            raise ValueError("the ELF file has no __initcall_start: it is not a linked kernel")
        start, end = (bounds[b] for b in _BOUNDS)
        out = [(s.addr, s.name) for s in self.symbols if s.name.startswith("__initcall")
               and (start <= s.addr < end or s.name == _BOUNDS[1])]
        named = {a for a, n in out if not MARK.match(n)}
        out += [(a, "__initcall_" + self._pointed(a, step)) for step in [self._step(named, start, end)]
                for a in range(start, end, step) if a not in named]
        return sorted(out, key=lambda x: (x[0], MARK.match(x[1]) is None))

    def _step(self, named: set[int], start: int, end: int) -> int:
        """Bytes an entry: 4 if they are relative (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS)."""
        return 4 if self.word == 4 or any(a % 8 for a in named) or len(named) * 8 > end - start else 8

    def _pointed(self, addr: int, step: int) -> str:
        target = self.pointer(addr) if step == self.word else (addr + self.number(addr, "i")) % (1 << 64)
        name = next((s.name for s in self.symbols if s.addr == target and "." not in s.name), None)
        return name or f"{target:#x}"

    # ------------------------------------------------------------ parameters

    def setups(self) -> Iterator[tuple[str, bool]]:
        """(text, early) of every __setup() and early_param(), in link order."""
        where = {s.name: s.addr for s in self.symbols}
        found = sorted((addr, name) for name, addr in where.items() if name.startswith("__setup_")
                       and f"__setup_str_{name[8:]}" in where)
        for addr, name in found:
            yield self.text(where[f"__setup_str_{name[8:]}"]), bool(self.number(addr + 2 * self.word, "i"))

    def params(self) -> Iterator[tuple[str, int, str]]:
        """(name, level, type) of every kernel and module parameter that is built in; the type is the name of its operations
        (``int`` of
        param_ops_int), with ``*`` behind it if it needs no value."""
        where = {s.name: s.addr for s in self.symbols}
        ops = {s.addr: s.name[10:] for s in self.symbols if s.name.startswith("param_ops_")}
        for name, addr in sorted(where.items(), key=lambda x: x[1]):
            if not name.startswith("__param_") or f"__param_str_{name[8:]}" not in where:
                continue
            try:
                at = self.pointer(addr + 2 * self.word)
                kind = ops.get(at, "other") + "*" * (self.number(at, "I") & 1)
            except ValueError:
                kind = "other*"                         # a pointer that only a boot relocates
            yield self.text(where[f"__param_str_{name[8:]}"]), self.number(addr + 3 * self.word + 2, "b"), kind


__all__ = ["MARK", "Symbol", "Vmlinux"]
