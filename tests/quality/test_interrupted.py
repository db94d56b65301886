# SPDX-License-Identifier: GPL-2.0-only
"""A review that is killed, loses a worker, or is interrupted at any moment: nothing that it has shown is lost."""
from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COUNT = re.compile(r"(\d+) findings")


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(c) for c in text.read_text().split()] if text.exists() else []


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Review:
    """``kemu review erofs-memback-rfc --workers 2`` with a state folder of its own; progress goes to a file, once a moment."""

    def __init__(self, folder: Path, *options: str):
        self.env = {**os.environ, "XDG_STATE_HOME": str(folder), "KEMU_PROGRESS": "0.2"}
        self.progress = folder / "stderr"
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "kemu", "review", "erofs-memback-rfc", "--workers", "2", "--seconds", "16", "--ktap",
             *options], env=self.env,
            stdout=(folder / "stdout").open("w"), stderr=self.progress.open("w"), start_new_session=True)

    def shown(self) -> int:
        counts = COUNT.findall(self.progress.read_text())
        return int(counts[-1]) if counts else 0

    def kept(self) -> list[dict[str, object]]:
        p = subprocess.run([sys.executable, "-m", "kemu", "findings", "list", "--json"], env=self.env, capture_output=True,
                           text=True, check=True)
        found: list[dict[str, object]] = json.loads(p.stdout)
        return found


MOMENTS = [(what, random.Random(i).uniform(1.5, 15.0)) for i, what in enumerate(["worker", "search", "ctrl-c"] * 3 + ["ctrl-c"])]


@pytest.mark.parametrize("what,when", MOMENTS, ids=[f"{w}-at-{t:.1f}s" for w, t in MOMENTS])
def test_at_ten_moments(tmp_path: Path, what: str, when: float) -> None:
    review = Review(tmp_path)
    time.sleep(when)
    pids = children(review.popen.pid)
    if what == "worker":
        assert pids, "no worker is there"
        os.kill(pids[0], signal.SIGKILL)
    elif what == "search":
        review.popen.kill()
    else:
        os.killpg(review.popen.pid, signal.SIGINT)
    code = review.popen.wait(60)
    shown = review.shown()
    kept = review.kept()
    assert len(kept) >= shown, (shown, kept)
    printed = (tmp_path / "stdout").read_text()
    if what == "worker":
        assert code == 1 and "SIGKILL" in review.progress.read_text()
    elif what == "search":
        assert code == -signal.SIGKILL
        deadline = time.monotonic() + 5
        while any(map(running, pids)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(map(running, pids)), "workers are left behind"
    else:
        assert code == 130 and "# interrupted" in printed
    if what != "search":
        assert printed.count("kemu replay ") == len(kept)
    for finding in kept[:3]:
        p = subprocess.run([sys.executable, "-m", "kemu", "replay", str(finding["token"]), "--json"], env=review.env,
                           capture_output=True, text=True)
        again = json.loads(p.stdout)
        assert p.returncode == 1 and again["finding"]["title"] == finding["title"] and not again["diverged"]


def test_what_was_interrupted_is_gone_on_with(tmp_path: Path) -> None:
    review = Review(tmp_path, "--json")
    time.sleep(6)
    os.killpg(review.popen.pid, signal.SIGINT)
    assert review.popen.wait(60) == 130
    first = json.loads((tmp_path / "stdout").read_text())
    ids = {k["id"] for k in review.kept()}
    assert first["interrupted"] is True and len(first["findings"]) == len(ids)
    again = Review(tmp_path, "--json", "--resume")
    _, status, used = os.wait4(again.popen.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    second = json.loads((tmp_path / "stdout").read_text())
    after = {k["id"] for k in again.kept()}
    assert ids <= after and len(second["findings"]) == len(after) and "interrupted" not in second
    assert second["examples"] > first["examples"] and second["seconds"] > first["seconds"]
    # what was left of the time, on two processes: processor time, for a busy machine stretches the other
    assert used.ru_utime + used.ru_stime < 2 * (16 - first["seconds"] + 8)
