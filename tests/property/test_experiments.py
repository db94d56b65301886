# SPDX-License-Identifier: GPL-2.0-only
"""The experiments as Hypothesis properties: Linux and our memback, a few examples of each; and replay across processes."""
from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import HypothesisSource, ListSource
from kemu.plugins import installed_modules

for _, _module in installed_modules("kemu.experiments"):        # all are registered, whatever was imported before
    importlib.import_module(_module)

# what Linux itself makes of damaged images is a matter of `kemu review erofs`
OURS = sorted(e.name for e in registry.values() if e.series in ("erofs", "erofs-memback")
              and e.name not in ("bdev.damaged", "bdev.cut-short")
              and "py" in e.rungs and e.feed is None)       # kept inputs: test_experiments_kept.py
TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("name", OURS)
@settings(max_examples=12, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_holds(name: str, data: st.DataObject) -> None:
    exp = registry[name]
    out = execute(exp, HypothesisSource(data.draw))
    if out.finding is not None and exp.below is not None:       # what Linux shows as well is not ours
        there = execute(exp.below, ListSource([c.offset for c in out.draws]))
        if there.finding is not None and there.finding.cause == out.finding.cause:
            return
    assert out.finding is None, "\n".join([*out.finding.report, *out.finding.input, *out.finding.choices, out.finding.token])


_TRACE = """
import sys
import erofs_memback.harness.experiments
import erofs_memback.harness.experiments_kept
from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import SeedSource
for name in sys.argv[1:]:
    for seed in (5, 6):
        out = execute(registry[name], SeedSource(seed), trace=True)
        print(name, seed, out.token, out.finding and out.finding.report)
        print(out.trace.text())
"""


def test_the_same_token_gives_the_same_trace_everywhere() -> None:
    names = [n for n, e in registry.items() if n.startswith(("memback.", "memback-rfc.")) and "py" in e.rungs and e.feed is None]
    texts = {subprocess.run([sys.executable, "-c", _TRACE, *names], cwd=TOP, env={**os.environ, "PYTHONHASHSEED": h},
                            capture_output=True,
                            check=True).stdout for h in ("0", "99")}
    assert len(texts) == 1
    text = texts.pop()
    assert b"switch" in text and b"erofs (device" in text and b"choice 1 " in text
