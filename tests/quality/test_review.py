# SPDX-License-Identifier: GPL-2.0-only
"""A review of the posted patch finds its faults by itself, within a minute; a review of ours finds nothing."""
from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest

from kemu.explore import token
from kemu.explore.experiment import registry
from kemu.explore.run import replay
from kemu.report.store import tokens

import erofs_memback.harness.experiments  # noqa: F401 - registers

# what a careful reader found in the posted patch, each as the report by which the bench has to say it
# faults of the posted patch that a review of a minute finds, counted by hand: those below (the second is two: the page's end, the
# region's), pages of slab memory, addresses of vmalloc, two tasks that take each other's slot
FAULTS = 10
EXPECTED = {
    "inline pclusters cannot be read": ("difference", r"inline-(lz4|shifted).*error EIO instead of None"),
    "reads run over the page that was mapped": ("KASAN", r"out-of-bounds in erofs_"),
    "reads run over the end of the region": ("KASAN", r"out-of-bounds in erofs_"),
    "the pending slot outlives a failed mount": ("state", r"pending_data"),
    "a bio behind the end completes without its bytes": ("KMSAN", r"erofs_memback_rq_submit.*never written"),
    "other devices' bytes are not theirs": ("difference", r"\(chunk\): (sha256|target) differs"),
    "it is not zero-copy": ("difference", r"bytes copied .* claimed: 0"),
}


def review(name: str, *options: str) -> tuple[int, dict[str, object], float]:
    start = time.monotonic()
    p = subprocess.run([sys.executable, "-m", "kemu", "review", name, "--json", *options], capture_output=True, text=True,
                       timeout=200)
    assert p.stderr == ""
    return p.returncode, json.loads(p.stdout), time.monotonic() - start


def test_the_posted_memback() -> None:
    code, result, seconds = review("erofs-memback-rfc")
    findings = result["findings"]
    assert code == 1 and isinstance(findings, list)
    missing = [what for what, (detector, title) in EXPECTED.items()
               if not any(f["detector"] == detector and re.search(title, f["title"] + "\n" + f["report"]) for f in findings)]
    assert not missing, [f["title"] for f in findings]
    # the page's end, the region's end
    assert len({f["report"].count("beside a window that shows") for f in findings if f["detector"] == "KASAN"}) == 2
    # one finding for a fault: what is noticed elsewhere is told with it
    assert len(findings) <= 1.3 * FAULTS, [f["title"] for f in findings]
    assert seconds < 60
    for f in findings:
        assert f["trigger"] and f["report"].startswith(f["title"]) and f["token"]
        again = replay(registry[f["experiment"]], token.decode(tokens.whole(f["token"])))
        assert again.finding is not None and again.finding.title == f["title"] and not again.diverged


@pytest.mark.parametrize("name", ["erofs-memback"])
def test_ours(name: str) -> None:
    code, result, _ = review(name)
    assert result["findings"] == [] and code == 0
