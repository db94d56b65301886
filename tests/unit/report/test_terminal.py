# SPDX-License-Identifier: GPL-2.0-only
"""Tables on a terminal: whatever its width, nothing of a cell is lost, and a long one does not break the short ones beside it."""
from __future__ import annotations

import io
import re

import pytest

from kemu.report.terminal import print_table

HEAD = ["severity", "where in C", "token", "what"]
ROWS = [["high", "fs/erofs/data.c:29 erofs_bread", "r762-cjf3tv", "BUG: KASAN: out-of-bounds " * 5],
        ["low", "fs/erofs/zdata.c:1868 z_erofs_read_folio", "206a-" + "".join(chr(97 + i % 26) for i in range(140)), "short"]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    print_table(HEAD, ROWS, no_color=True)
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())


@pytest.mark.parametrize("width", [50, 80, 120, 200])
def test_nothing_is_lost(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = shown(monkeypatch, width)
    assert max(map(len, text.splitlines())) <= width
    for row in ROWS:
        for cell in row:
            for letter in set(cell) - {" "}:
                assert text.count(letter) >= sum(c.count(letter) for r in ROWS for c in r), letter


@pytest.mark.parametrize("width", [120, 200])
def test_a_long_token_does_not_break_the_place(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = shown(monkeypatch, width)
    assert all(row[1] in text for row in ROWS)
