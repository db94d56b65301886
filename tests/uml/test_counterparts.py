# SPDX-License-Identifier: GPL-2.0-only
"""The ports hold what their C holds: each statement that has no counterpart is listed with its reason."""
from __future__ import annotations

import ast
import random

import pytest

from kemu.report.samecheck import ctext
from kemu.rung.uml.tree import Tree
from tests.counterparts.judge import Verdict, everything
from tests.counterparts.ported import compare_texts, load, python_of


@pytest.fixture(scope="module")
def verdict(tree: Tree) -> Verdict:
    return everything(tree.path)


def test_each_that_has_none_is_listed(verdict: Verdict) -> None:
    assert [f"{f.where} | {f.what} ({f.place})" for f in verdict.new] == []


def test_no_line_of_the_list_is_stale(verdict: Verdict) -> None:
    assert verdict.stale == []


def test_what_is_not_compared_is_of_posted_mails(verdict: Verdict) -> None:
    assert verdict.functions > 500
    assert [x for x in verdict.unread if "(posted " not in x] == []


def test_the_list_is_short(verdict: Verdict) -> None:
    assert len(verdict.allowed) < 100


@pytest.mark.parametrize("more", ["if this.watch is None:\n    return quick_way(inode)",
                                  "inode.i_private_cache = remember(inode)"])
def test_what_is_planted_is_told(tree: Tree, more: str) -> None:
    ports = [p for p in load() if not p.posted and ctext.function(tree.path / p.path, p.c_name) and python_of(p) is not None]
    for p in random.Random(1).sample(ports, 60):
        fn = python_of(p)
        assert fn is not None
        body = [*fn.body[:len(fn.body) // 2], *ast.parse(more).body, *fn.body[len(fn.body) // 2:]]
        text = ast.unparse(ast.FunctionDef(fn.name, fn.args, body, [], fn.returns, lineno=1))
        told = compare_texts(ctext.function(tree.path / p.path, p.c_name), text)
        assert ast.unparse(ast.parse(more).body[0]).split("\n")[0] in [s.text for s in told], p
