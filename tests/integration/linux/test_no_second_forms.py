# SPDX-License-Identifier: GPL-2.0-only
"""No function of the API or of a port has a second form for when nobody is attached; short forms are in a room that neither
stands on.
"""
from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
ROOM = TOP / "kemu/linux/short"
ATTACHED = ("watch", "chooser")


def ported() -> list[Path]:
    files = [p for p in (TOP / "kemu/linux").rglob("*.py") if ROOM not in p.parents]
    return [*files, *(p for name in ("erofs_memback", "initramfs") for p in (TOP / name).glob("*.py"))]


def gates(text: str) -> list[int]:
    """Lines that ask whether nobody decides or nobody is told. (Whether somebody is told is asked to tell him.)"""
    out = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.Eq):
            of = node.left
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            of = node.operand
        else:
            continue
        if getattr(of, "attr", getattr(of, "id", "")) in ATTACHED:
            out.append(node.lineno)
        elif isinstance(node, ast.UnaryOp) and any(getattr(n, "attr", "") in ATTACHED for n in ast.walk(of)):
            out.append(node.lineno)
    return out


def returns_unless_attached(text: str) -> list[int]:
    """``if ... chooser is not None or watch is not None: return`` the other way round: a short form is what comes behind it."""
    out = []
    for node in ast.walk(ast.parse(text)):
        if (isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return) and len(node.body) == 1
            and isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.Or)):
            if any(isinstance(n, ast.Compare) and getattr(n.left, "attr", "") in ATTACHED for n in node.test.values):
                out.append(node.lineno)
    return out


@pytest.mark.parametrize("text", ["if this.watch is None: pass", "if x and not this.chooser: pass",
                                  "if not (this.watch or this.chooser): pass",
                                  "if this.chooser is None and this.watch is None: return_ = 1"])
def test_gates_are_seen(text: str) -> None:
    assert gates(text)


def test_telling_is_no_gate() -> None:
    assert not gates("if this.watch is not None:\n    this.watch.free(obj)")


def test_no_second_form() -> None:
    found = [f"{p.relative_to(TOP)}:{n}" for p in ported() for look in (gates, returns_unless_attached)
             for n in look(p.read_text())]
    assert found == []


def test_nothing_stands_on_the_short_forms() -> None:
    found = []
    for p in ported():
        for node in ast.walk(ast.parse(p.read_text())):
            names = ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                     if isinstance(node, ast.Import) else [])
            found += [f"{p.relative_to(TOP)}: {name}" for name in names if name.startswith("kemu.linux.short")
                      or name.endswith("harness.short")]
    assert found == []
