# SPDX-License-Identifier: GPL-2.0-only
"""What says "as Linux" against the tree it was written from: pins, and locks, warnings and errors. Needs the tree, no kernel."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main
from kemu.rung.uml.tree import Tree


def test_nothing_has_drifted_from_the_tree(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["port", "drift", "--tree", str(tree.path)]) == 0, capsys.readouterr().out
    assert " 0 drifted" in capsys.readouterr().out


def test_nothing_is_to_be_done_for_the_same_tree(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["port", "rebase", "--check", "--tree", str(tree.path)]) == 0
    assert "0 functions with a port changed" in capsys.readouterr().out


def test_a_newer_tree(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a tree that has nothing but one file that a port was written from, and that changed."""
    for name in ("Makefile", "fs/erofs/zutil.c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((tree.path / name).read_text())
    text = (tmp_path / "fs/erofs/zutil.c").read_text()
    assert "erofs_workgroup" not in text and text.count("void erofs_shrinker_unregister(") == 1
    (tmp_path / "fs/erofs/zutil.c").write_text(text.replace("void erofs_shrinker_unregister(", "int erofs_shrinker_unregister("))
    assert main(["port", "rebase", "erofs_shrinker_unregister", "--tree", str(tmp_path), "--json"]) == 0
    [change] = [c for c in json.loads(capsys.readouterr().out)["changes"] if c["path"] == "fs/erofs/zutil.c"]
    assert (change["path"], change["state"], change["kind"]) == ("fs/erofs/zutil.c", "changed", "function")
    assert change["port"].startswith("erofs_memback/zutil.py:") and {x["sign"] for x in change["lines"]} == {"+", "-"}
    assert main(["port", "rebase", "no_such_function", "--tree", str(tmp_path)]) == 1
    assert "nothing that a port has" in capsys.readouterr().err


def test_no_difference_is_unexplained(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["port", "check", "--json", "--tree", str(tree.path)])
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    new = [f"{d['path']}: {d['c_name']}: {d['what']}" for d in out["differences"] if d["state"] == "new"]
    assert (code, new, out["stale"]) == (0, [], [])
    assert out["checked"] > 1700
    assert [d for d in out["differences"] if d["state"] == "open"] == []
