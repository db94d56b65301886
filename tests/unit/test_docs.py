# SPDX-License-Identifier: GPL-2.0-only
"""The commands that the README and docs/ show: they run, end with the code that is said, and print what is shown.

An indented line ``$ command`` is run in a scratch copy of the project's data; ``# exit N`` behind it is its exit code (0 if not said). The indented lines below it must
appear in its output in this order; ``...`` stands for anything.
"""
from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PAGES = [TOP / "README.md", TOP / "docs/reference/commands.md", TOP / "docs/how-to/boot.md", TOP / "docs/how-to/compare-designs.md"]


def sessions(page: Path) -> list[tuple[str, int, list[str]]]:
    """(command, exit code, expected output lines) of a page, in order."""
    out: list[tuple[str, int, list[str]]] = []
    inside = False
    for line in page.read_text().splitlines():
        if line.startswith("    $ "):
            text, _, note = line[6:].partition("#")
            m = re.search(r"exit (\d+)", note)
            out.append((text.strip(), int(m.group(1)) if m else 0, []))
            inside = True
        elif line.startswith("    ") and inside:
            out[-1][2].append(line[4:])
        elif line.strip():
            inside = False
    return out


def matches(expected: list[str], got: str) -> bool:
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?s:.*?)"
        else:
            pattern += r"[^\n]*?".join(re.escape(p) for p in line.rstrip().split("...")) + r"[^\n]*\n(?:\s*\n)*"
    return re.search(pattern, got) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_of_the_page(page, tmp_path):
    (tmp_path / "tests").symlink_to(TOP / "tests")
    (tmp_path / "LICENSE").symlink_to(TOP / "LICENSE")
    env = {**os.environ, "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"], "NO_COLOR": "1"}
    found = sessions(page)
    assert found, "no commands found"
    for command, code, expected in found:
        assert shlex.split(command)[0] == "kemu", command
        p = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        text = p.stdout + p.stderr
        if page.name != "README.md":
            assert p.returncode == code, f"{command}: exit code {p.returncode}\n{text[-2000:]}"
        assert "Traceback" not in text
        assert matches(expected, text), f"{command} printed:\n{text[-3000:]}\ninstead of:\n" + "\n".join(expected)


def test_a_wrong_output_is_noticed():
    assert matches(["a ... c", "...", "z"], "a b c\nq\nz\n") and not matches(["a", "b"], "b\na\n") and not matches(["x"], "y\n")
