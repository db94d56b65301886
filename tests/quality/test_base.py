# SPDX-License-Identifier: GPL-2.0-only
"""A search of unchanged Linux finds what findings-about-linux.md describes, and nothing else: what else it says would be a
mistake of the bench.

``make base``; $KEMU_BASE_SECONDS (75) of one core, seeds from $KEMU_BASE_SEED (0) on.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.quality.base import base_experiments, described_by

SECONDS = os.environ.get("KEMU_BASE_SECONDS", "75")
SEED = os.environ.get("KEMU_BASE_SEED", "0")
LOCK_TOKEN = "bayk-cjgdqdrc"        # was a held rw_semaphore on unchanged Linux: a @dup had lost its lock


def test_nothing_is_found_that_is_not_described(tmp_path):
    names = base_experiments()
    assert len(names) >= 30
    p = subprocess.run([sys.executable, "-m", "kemu", "fuzz", *names, "--seconds", SECONDS, "--seed", SEED, "--fresh", "--json"],
                       capture_output=True, text=True, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)})
    assert p.returncode in (0, 1), p.stderr
    out = json.loads(p.stdout)
    unknown = [f for f in out["findings"] if described_by(f) is None]
    assert unknown == [], "\n\n".join(f"{f['experiment']}: {f['report']}\nkemu replay {f['token']}" for f in unknown)
    assert out["examples"] > 3 * len(names)


def test_the_lock_that_was_lost():
    p = subprocess.run([sys.executable, "-m", "kemu", "replay", LOCK_TOKEN], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr
    assert "nothing is wrong" in p.stdout
