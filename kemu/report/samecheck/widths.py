# SPDX-License-Identifier: GPL-2.0-only
"""Unsigned locals of a C function that take arithmetic, and assignments of a port that forget to wrap; loads that C does
otherwise.

Python ints do not wrap: a ``u64 cur`` that becomes ``cur + len`` has to be ``u64(cur + len)`` (docs/explanation/porting.md,
"Numbers").
"""
from __future__ import annotations

import ast
import re
from types import FunctionType

from kemu.report.samecheck import ctext, pytext

UNSIGNED = {"u8": 8, "u16": 16, "u32": 32, "u64": 64, "unsigned int": 32, "unsigned": 32, "unsigned long": 64,
            "unsigned long long": 64, "size_t": 64,
            "erofs_off_t": 64, "erofs_blk_t": 64, "erofs_nid_t": 64, "sector_t": 64, "pgoff_t": 64, "unsigned short": 16,
            "unsigned char": 8}
CONVERSIONS = {"u8", "u16", "u32", "u64", "ulong", "size_t", "erofs_off_t", "erofs_blk_t", "erofs_nid_t", "sector_t", "pgoff_t",
               "loff_t", "uint"}
_TYPES = "|".join(sorted((re.escape(t) for t in UNSIGNED), key=len, reverse=True))
_DECL = re.compile(r"^\s*(?:const\s+)?(" + _TYPES + r")\s+([^;*(]*);")
_LOADS = {"get_unaligned_le16", "get_unaligned_le32", "get_unaligned_le64", "le16_to_cpup", "le32_to_cpup", "le64_to_cpup"}


def unsigned_locals(text: str) -> dict[str, int]:
    """name -> bits of what a C body declares (parameters too)."""
    body = ctext.preprocess(ctext.blank(text))
    out: dict[str, int] = {}
    for statement in re.findall(r"[^;{}]*;", body):
        m = _DECL.match(statement.lstrip())
        for name in m[2].split(",") if m else ():
            name = name.partition("=")[0].strip()
            if m and name.isidentifier():
                out[name] = UNSIGNED[m[1]]
    head = body[:body.find("{")]
    for t, name in re.findall(r"\b(" + _TYPES + r")\s+([a-z_]\w*)\s*[,)]", head):
        out[name] = UNSIGNED[t]
    return out


def _arithmetic_in_c(text: str) -> set[str]:
    """Names that are assigned a sum, a difference, a product or a shift."""
    body = ctext.preprocess(ctext.blank(text))
    out = set()
    for m in re.finditer(r"\b([a-z_]\w*)\s*(=|\+=|-=|\*=|<<=)(?!=)\s*([^;]*);", body):
        name, op, value = m[1], m[2], m[3]
        if ((op != "=" and not re.fullmatch(r"\s*1\s*", value))
            or (op == "=" and re.search(r"[\w)\]]\s*(?:\+(?!\+)|-(?![->])|\*|<<)\s*[\w(]", value))):
            out.add(name)
    return out


def _may_grow(value: ast.expr) -> bool:
    """Is the outermost thing a sum, a difference, a product or a left shift of something that is no constant?"""
    if isinstance(value, ast.IfExp):
        return _may_grow(value.body) or _may_grow(value.orelse)
    if not isinstance(value, ast.BinOp):
        return False
    if isinstance(value.op, (ast.BitAnd, ast.Mod)):
        return False                                    # a mask is a width
    if isinstance(value.op, (ast.RShift, ast.FloorDiv)):
        return _may_grow(value.left)
    if isinstance(value.op, (ast.BitOr, ast.BitXor)):
        return _may_grow(value.left) or _may_grow(value.right)
    return not (isinstance(value.left, ast.Constant) and isinstance(value.right, ast.Constant))


def forgotten(text: str, fn: FunctionType) -> list[str]:
    """``-width u64 cur``: assigned without a conversion somewhere; ``-load le32_to_cpup``: loaded in another way."""
    node = pytext.tree(fn)
    if node is None:
        return []
    declared, arithmetic = unsigned_locals(text), _arithmetic_in_c(text)
    out = set()
    for n in ast.walk(node):
        targets: list[ast.expr] = []
        grows = False
        if isinstance(n, ast.Assign):
            targets, grows = n.targets, _may_grow(n.value)
        elif isinstance(n, ast.AugAssign) and isinstance(n.op, (ast.Add, ast.Sub, ast.Mult, ast.LShift)):
            targets, grows = [n.target], not (isinstance(n.value, ast.Constant) and n.value.value == 1)
        for t in targets:
            if grows and isinstance(t, ast.Name) and t.id in declared and t.id in arithmetic:
                out.add(f"-width u{declared[t.id]} {t.id}")
    c_loads = set(re.findall(r"\b(" + "|".join(_LOADS) + r")\s*\(", ctext.blank(text)))
    py_loads = {x for x in pytext.function_events(fn).calls if x in _LOADS}
    out |= {f"-load {x}" for x in c_loads - py_loads if any(y[-8:] != x[-8:] or y != x for y in py_loads)}
    return sorted(out)
