# SPDX-License-Identifier: GPL-2.0-only
"""Two texts side by side."""
from __future__ import annotations

from kemu.report.beside import beside, pairs, words

C = ["int f(struct inode *inode)", "{", "    int err;", "", "    err = g(inode);", "    if (err)", "        goto out;",
     "    h(inode->i_sb);", "out:", "    return err;", "}"]
PY = ["def f(inode: Inode) -> int:", "    err = g(inode)", "    if err:", "        return out.goto(out, err)",
      "    h(inode.i_sb)", "    return err"]


def test_lines_that_say_the_same_stand_beside_each_other() -> None:
    found = {(C[i].strip(), PY[j].strip()) for i, j in pairs(C, PY)}
    assert {("err = g(inode);", "err = g(inode)"), ("h(inode->i_sb);", "h(inode.i_sb)"), ("return err;", "return err")} <= found


def test_pairs_are_in_order() -> None:
    found = pairs(C, PY)
    assert found == sorted(found) and len({i for i, _ in found}) == len({j for _, j in found}) == len(found)


def test_nothing_is_lost_and_long_lines_are_folded() -> None:
    rows = list(beside(C, PY, 20))
    assert all(r[20:22] == " |" and len(r) <= 43 for r in rows)
    shown = " ".join(rows)
    assert all(w in shown for line in [*C, *PY] for w in words(line))


def test_a_text_without_another() -> None:
    assert list(beside(["a", "b"], [], 4)) == ["a    |", "b    |"]
