# SPDX-License-Identifier: GPL-2.0-only
"""Tables on a terminal: whatever its width, nothing of a cell is lost, and a long one does not break the short ones beside it."""
from __future__ import annotations

import io
import re

import pytest

from kemu.report.terminal import fitted, print_table, width_of

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


def test_lines_fit_and_what_is_copied_stays_whole():
    long = "  the first word and many others " + "more " * 20 + "end"
    command = "kemu replay " + "x" * 90 + " --series ./mine.py"
    word = "    " + "y" * 100
    out = fitted(["short", long, command, word], 80)
    assert out[0] == "short" and out[-2:] == [command, word]
    assert all(len(line) <= 80 for line in out[1:-2]) and len(out) == 5
    assert out[1].startswith("  the first") and all(line.startswith("      more") or "end" in line for line in out[2:-2])
    assert " ".join(" ".join(out[1:-2]).split()) == " ".join(long.split())


def test_how_wide_a_pipe_is(tmp_path):
    with open(tmp_path / "x", "w") as f:
        assert width_of(f) == 80 and width_of(None, 72) == 72
