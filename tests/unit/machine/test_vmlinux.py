# SPDX-License-Identifier: GPL-2.0-only
"""Initcalls and parameters of a vmlinux: an ELF file made here, of either word size and byte order, with pointers or relative
entries.
"""
from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kemu.machine import initcalls, parameters
from kemu.machine.vmlinux import Vmlinux

TEXT, CALLS, DATA = 0x1000, 0x2000, 0x3000


class Elf:
    """An ELF file with .text, .initcall.init, .init.data and a symbol table."""

    def __init__(self, wide: bool, order: str, relative: bool):
        self.wide, self.order, self.relative = wide, order, relative
        self.word = 8 if wide else 4
        self.calls = bytearray()
        self.data = bytearray()
        self.symbols: list[tuple[str, int, int]] = []       # name, address, section

    def call(self, name: str, symbol: str | None) -> None:
        where = CALLS + len(self.calls)
        target = TEXT + 16 * len(self.symbols)
        self.symbols.append((name, target, 1))
        if symbol:
            self.symbols.append((symbol, where, 2))
        if self.relative:
            self.calls += struct.pack(self.order + "i", target - where)
        else:
            self.calls += struct.pack(self.order + ("Q" if self.wide else "I"), target)

    def mark(self, name: str) -> None:
        self.symbols.append((name, CALLS + len(self.calls), 2))

    def put(self, symbol: str | None, raw: bytes) -> int:
        self.data += bytes(-len(self.data) % 8)
        where = DATA + len(self.data)
        if symbol:
            self.symbols.append((symbol, where, 3))
        self.data += raw
        return where

    def bytes(self) -> bytes:
        o, w = self.order, self.wide
        names = b"\0" + b"".join(n.encode() + b"\0" for n, _, _ in self.symbols)
        shnames = b"\0.text\0.initcall.init\0.init.data\0.symtab\0.strtab\0.shstrtab\0"
        table, at = bytes(24 if w else 16), 1
        for n, addr, section in self.symbols:
            table += (struct.pack(o + "IBBHQQ", at, 0, 0, section, addr, 0) if w
                      else struct.pack(o + "IIIBBH", at, addr, 0, 0, 0, section))
            at += len(n) + 1
        parts = [bytes(4096), bytes(self.calls), bytes(self.data), table, names, shnames]
        head = 64 if w else 52
        offsets, pos = [], head
        for p in parts:
            offsets.append(pos)
            pos += len(p)
        rows = [(0, 0, 0, 0, 0, 0)]
        for i, (name, kind, addr) in enumerate((("\0.text\0", 1, TEXT), (".initcall.init\0", 1, CALLS), (".init.data\0", 1, DATA),
                                                (".symtab\0", 2, 0),
                                                (".strtab\0", 3, 0), (".shstrtab\0", 3, 0))):
            rows.append((shnames.index(name.strip("\0").encode()), kind, addr, offsets[i], len(parts[i]), 5 if kind == 2 else 0))
        sections = b"".join(struct.pack(o + ("2I4Q2I2Q" if w else "10I"), n, k, 0, a, off, size, link, 0, 1, 0)
                            for n, k, a, off, size, link in rows)
        ident = b"\x7fELF" + bytes((2 if w else 1, 1 if o == "<" else 2, 1)) + bytes(9)
        rest = struct.pack(o + ("2HI3QI6H" if w else "2HI3II6H"), 2, 62, 1, 0, 0, pos, 0, head, 0, 0, 64 if w else 40, len(rows),
                           6)
        return ident + rest + b"".join(parts) + sections


def kernel(wide: bool, order: str, relative: bool) -> bytes:
    e = Elf(wide, order, relative)
    e.mark("__initcall_start")
    e.call("first", "__initcall__kmod_a__1_10_firstearly")
    e.mark("__initcall0_start")
    e.mark("__initcall1_start")
    e.call("own_init", "__initcall_own_init")                   # as UML's
    e.call("no_symbol", None)                                   # only what it points to says which function it is
    e.mark("__initcall5_start")
    e.call("fs_one5", "__initcall__kmod_b__2_20_fs_one55s")
    e.mark("__initcallrootfs_start")
    e.call("populate_rootfs", "__initcall__kmod_initramfs__3_30_populate_rootfsrootfs")
    e.mark("__initcall6_start")
    e.mark("__initcall7_start")
    e.call("last_start", "__initcall__kmod_c__4_40_last_start7")
    e.mark("__initcall_end")
    word = order + ("Q" if wide else "I")
    for fn, text, early in (("quiet_kernel", "quiet", 1), ("root_dev_setup", "root=", 0)):
        where = e.put(f"__setup_str_{fn}", text.encode() + b"\0")
        e.put(f"__setup_{fn}", struct.pack(word, where) + struct.pack(word, TEXT) + struct.pack(order + "i", early) + bytes(4))
    ops = {k: e.put(f"param_ops_{k}", struct.pack(order + "I", flag) + bytes(4)) for k, flag in (("int", 0), ("bool", 1))}
    for name, kind, level in (("panic", "int", -1), ("late.switch", "bool", 6)):
        c = name.replace(".", "_")
        where = e.put(f"__param_str_{c}", name.encode() + b"\0")
        e.put(f"__param_{c}", struct.pack(word, where) + struct.pack(word, 0) + struct.pack(word,
                                                                                            ops[kind])
              + struct.pack(order + "HbB", 0o644, level, 0) + bytes(12))
    return e.bytes()


@pytest.mark.parametrize(("wide", "order", "relative"), [(True, "<", False), (True, "<", True), (True, ">", False),
                                                         (False, "<", False), (False, ">", False)])
def test_a_vmlinux(tmp_path: Path, wide: bool, order: str, relative: bool) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(kernel(wide, order, relative))
    table = initcalls.load(str(path))
    assert [(e.level, e.name) for e in table] == [("early", "first"), ("core", "own_init"), ("core", "no_symbol"),
                                                  ("fs", "fs_one5"),
                                                 ("fs", "populate_rootfs"), ("late", "last_start")]
    assert (table[3].obj, table[3].line, table[3].suffix) == ("b", "20", "5s")
    p = parameters.load(str(path))
    assert p.setups == (("quiet", True), ("root=", False)) and p.params == {"panic": (-1, "int"), "late.switch": (6, "bool*")}
    assert parameters.parse(parameters.dump(p)) == p
    assert parameters.takes_setup(p, "quiet", set()) and parameters.takes_setup(p, "root=x", set())
    assert not parameters.takes_setup(p, "quietly", set()) and not parameters.takes_setup(p, "root=x", {"root="})


def test_what_is_no_vmlinux(tmp_path: Path) -> None:
    whole = kernel(True, "<", False)
    path = tmp_path / "vmlinux"
    for raw, words in ((b"\x7fELF" + bytes(60), "no initcall|not an ELF"), (whole[:-200], "cut off|no symbol table"),
                       (whole[:100], "cut off"),
                       (bytes(0x202) + b"HdrS" + bytes(100), "a boot image"),
                       (whole.replace(b"__initcall_start", b"__initcall_stapt"), "not a linked kernel")):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=words):
            initcalls.load(str(path))
    assert parameters.load(str(tmp_path / "vmlinux.map") if False else None).params["panic"] == (-1, "int")


def test_a_map_has_the_same(tmp_path: Path) -> None:
    elf = tmp_path / "vmlinux"
    elf.write_bytes(kernel(True, "<", False))
    symbols = Vmlinux(elf).symbols
    system_map = tmp_path / "System.map"
    system_map.write_text("".join(f"{s.addr:016x} t {s.name}\n" for s in symbols))
    named = [e for e in initcalls.load(str(elf)) if e.name != "no_symbol"]
    assert list(initcalls.load(str(system_map))) == named


def test_what_moves() -> None:
    a = [initcalls.Entry("fs", n) for n in "abcd"]
    b = [*a[1:], a[0]]
    assert initcalls.compare(a, b) == ["~ a: within fs, now after d"]
    assert initcalls.compare(b, a) == ["~ a: within fs, now first"]
    twice = [*a, initcalls.Entry("late", "a")]
    assert initcalls.compare(a, twice) == ["+ late      a, first"] and initcalls.compare(twice, twice) == []
