# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of differential campaigns share, whichever rung answers for Linux."""
from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from kemu.explore import token
from kemu.explore.experiment import registry
from kemu.explore.finding import Finding
from kemu.explore.run import replay
from kemu.explore.search import search

from erofs_memback import inode as erofs_inode_c

# how each rung is called where the port differs from it
CALLED = {"c": "C", "linux": "Linux"}


def kemu(*args: str) -> subprocess.CompletedProcess[str]:
    """A command of its own process."""
    return subprocess.run([sys.executable, "-m", "kemu", *args], capture_output=True, text=True, timeout=280)


def finds_nothing(names: Sequence[str], examples: int, rung: str) -> None:
    """A campaign over these experiments, which is about something."""
    p = search([registry[n] for n in names], examples=examples, rung=rung, detect=False)
    assert p.examples == examples and len(p.per_experiment) == len(names)
    assert not p.findings, "\n".join(f"{f.title}\n{f.token}\n" + "\n".join(f.report) for f in p.findings)
    mounts = {b.split(":mount ")[1] for b in p.behaviours if ":mount " in b}
    assert {"None", "EINVAL", "EUCLEAN"} <= mounts, mounts


def wrong_port_is_found(monkeypatch: pytest.MonkeyPatch, rung: str) -> Finding:
    """A port that gives large files to another group: found in a few examples, shrunk to next to nothing, and replayed."""
    fill = erofs_inode_c.erofs_fill_inode

    def wrong(inode: object) -> int:
        err = fill(inode)
        if not err and inode.i_size > 1000:                 # type: ignore[attr-defined]
            inode.i_gid += 1                                # type: ignore[attr-defined]
        return int(err)

    monkeypatch.setattr(erofs_inode_c, "erofs_fill_inode", wrong)
    exp = registry[f"bdev.ground-truth.{rung}"]
    p = search([exp], examples=60, shrink_seconds=3.0, rung=rung, detect=False)
    assert [f.cause for f in p.findings] == ["gid"], [f.title for f in p.findings]
    f = p.findings[0]
    assert re.fullmatch(rf"/\S*: gid: {CALLED[rung]} \d+, kemu \d+", f.title), f.title
    again = replay(exp, token.decode(f.token), rung=rung, detect=False)
    assert again.finding is not None and again.finding.title == f.title
    assert sum(map(bool, f.offsets)) <= 8, f.offsets
    return f
