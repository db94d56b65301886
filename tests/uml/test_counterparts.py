# SPDX-License-Identifier: GPL-2.0-only
"""The ports hold what their C holds: each statement that has no counterpart is listed with its reason."""
from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from kemu.linux.fs import utimes
from kemu.report.samecheck import ctext
from kemu.rung.uml.tree import Tree
from tests.counterparts import ratchet
from tests.counterparts.bodies import Body, bodies, compare
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


@pytest.fixture(scope="module")
def dups(tree: Tree) -> list[Body]:
    return bodies(tree.path)


def test_a_body_has_no_more_that_its_c_has_not_than_it_had(dups: list[Body]) -> None:
    assert ratchet.judge(ratchet.counted(dups), ratchet.read()) == []


def test_all_bodies_are_compared(dups: list[Body]) -> None:
    assert len(dups) > 1100
    assert sum(not b.more and not b.less for b in dups) > 400


def test_what_is_left_out_of_a_body_or_put_into_it_is_told(tree: Tree) -> None:
    c = ctext.function(tree.path / "fs/utimes.c", "vfs_utimes")
    fn = ast.parse(Path(utimes.__file__).read_text())
    body = next(x for x in fn.body if isinstance(x, ast.FunctionDef) and x.name == "vfs_utimes")
    *_, more, less = compare(c, body, utimes.__name__)
    assert not more and not less
    taken = body.body.pop(-3)
    body.body.append(ast.parse("inode.i_private_cache = remember(inode)").body[0])
    *_, more, less = compare(c, body, utimes.__name__)
    assert ast.unparse(taken) == "inode_unlock(inode)"
    assert more == ("inode.i_private_cache = remember(inode)",) and less == ("inode_unlock(inode)",)
