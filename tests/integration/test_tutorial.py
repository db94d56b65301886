# SPDX-License-Identifier: GPL-2.0-only
"""The tutorial's patch, as printed there: found, replayed, mended, clean."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

DOC = Path(__file__).parents[2] / "docs" / "how-to" / "own-experiments.md"


def kemu(where: Path, *args: str) -> tuple[int, str]:
    p = subprocess.run([sys.executable, "-m", "kemu", *args], cwd=where, capture_output=True, text=True, timeout=120,
                       env={**os.environ, "PYTHONPATH": str(DOC.parents[2])})
    return p.returncode, p.stdout + p.stderr


def apply_diffs(text: str, doc: str) -> str:
    for block in re.findall(r"```diff\n(.*?)```", doc, re.S):
        old = "".join(line[1:] + "\n" for line in block.split("\n") if line[:1] in (" ", "-"))
        new = "".join(line[1:] + "\n" for line in block.split("\n") if line[:1] in (" ", "+"))
        assert text.count(old) == 1, block
        text = text.replace(old, new)
    return text


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    doc = DOC.read_text()
    for name, text in re.findall(r"```python file=(\S+)\n(.*?)```", doc, re.S):
        (tmp_path / name).write_text(text)
    code, out = kemu(tmp_path, "review", "./ringlog_experiments.py", "--seconds", "4", "--json")
    assert code == 1
    findings = json.loads(out)["findings"]
    assert ([f["title"] for f in findings] == ["BUG: KASAN: slab-out-of-bounds in ringlog_read",
                                               "BUG: memory leak in ringlog_create: unreferenced object (64 bytes)"])
    for f in findings:
        assert (f["title"] in doc and f["trigger"].split(";")[0] in doc
                and f["c_location"].startswith("drivers/misc/ringlog.c ringlog_"))
        code, out = kemu(tmp_path, "replay", f["token"], "./ringlog_experiments.py")
        assert code == 1 and f["title"] in out
    (tmp_path / "ringlog.py").write_text(apply_diffs((tmp_path / "ringlog.py").read_text(), doc))
    for f in findings:
        code, out = kemu(tmp_path, "replay", f["token"], "./ringlog_experiments.py")
        assert code == 0, out
    code, out = kemu(tmp_path, "review", "./ringlog_experiments.py", "--seconds", "4", "--json")
    assert code == 0 and json.loads(out)["findings"] == []
