# SPDX-License-Identifier: GPL-2.0-only
"""What says "as Linux" against the tree it was written from: pins, and locks, warnings and errors. Needs the tree, no kernel."""
from __future__ import annotations

import json
from typing import Any

import pytest

from kemu.cli import main
from kemu.rung.uml.tree import Tree


def test_nothing_has_drifted_from_the_tree(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["port", "drift", "--tree", str(tree.path)]) == 0, capsys.readouterr().out
    assert " 0 drifted" in capsys.readouterr().out


def test_no_difference_is_unexplained(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["port", "check", "--json", "--tree", str(tree.path)])
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    new = [f"{d['path']}: {d['c_name']}: {d['what']}" for d in out["differences"] if d["state"] == "new"]
    assert (code, new, out["stale"]) == (0, [], [])
    assert out["checked"] > 1700
    assert [d for d in out["differences"] if d["state"] == "open"] == []
