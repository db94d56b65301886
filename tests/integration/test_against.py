# SPDX-License-Identifier: GPL-2.0-only
"""benchmarks/against.py: two trees in one run."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.against import HERE, Side, commands, main
from benchmarks.start import COMMANDS


def test_a_side_runs_the_kemu_of_its_tree_with_its_entry_points(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "kemu").mkdir(parents=True)
    (tree / "kemu" / "__init__.py").write_text("")
    (tree / "kemu" / "start.py").write_text("def main():\n    import importlib.metadata as m, sys\n"
                                            "    print(*sys.argv[1:], *(e.value for e in m.entry_points(group='kemu.ports')))\n"
                                            "    return 7\n")
    (tree / "pyproject.toml").write_text("[project]\nname = 'kemu'\nversion = '0'\n"
                                         "[project.entry-points.'kemu.ports']\nmine = 'somebodys_own'\n")
    code, out = Side(tree, tmp_path / "side").run("fuzz --list")
    assert code == 7 and out.startswith("fuzz --list somebodys_own")


def test_what_is_compared_is_on_both_sides_and_needs_no_linux(tmp_path: Path) -> None:
    side = Side(HERE, tmp_path / "side")
    assert commands(side, side, ["start"], 5) == [c for c, _ in COMMANDS]
    assert commands(side, side, ["memback.d*"], 5) == ["fuzz memback.damaged --examples 5 --seed 0 --fresh -q"]


def git(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(HERE), *args], capture_output=True, text=True, check=False)


def test_slower_than_asked_for_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if git("rev-parse", "-q", "--verify", "HEAD").returncode:
        pytest.skip("no clone")
    for seconds, codes, end in (((1.0, 1.04), (0, 0), 0), ((1.0, 1.2), (0, 0), 1), ((1.0, 1.0), (0, 1), 1),
                                ((1.0, 1.2), (1, 1), 0)):
        monkeypatch.setattr(Side, "run", lambda side, command, codes=codes: (codes[side.folder.endswith("new")], ""))
        monkeypatch.setattr(Side, "seconds", lambda side, command, seconds=seconds: seconds[side.folder.endswith("new")])
        monkeypatch.setattr(sys, "argv", ["against", "HEAD", "start", "--runs", "2"])
        assert main() == end
        out = capsys.readouterr().out
        assert out.count("<--") == end * len(COMMANDS) and f"{seconds[1]:.2f}" in out
        assert ("(findings" in out) == (codes == (1, 1))
    assert "kemu-against." not in git("worktree", "list").stdout
