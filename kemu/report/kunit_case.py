# SPDX-License-Identifier: GPL-2.0-only
"""A KUnit case skeleton for a finding: what to set up, what to call and what to expect, in the finding's own terms."""
from __future__ import annotations

import re

from kemu.explore.finding import Finding

_EXPECT = {
    "KASAN": "/* expected today: a KASAN report; after the fix: none, and the values below */",
    "KMSAN": "/* expected today: bytes that nobody wrote; fill the destination with a pattern first and look for it */",
    "leak": "/* expected today: kmemleak reports an object; after the fix: none */",
    "state": "/* compare the global state before and after: it must be equal */",
    "hang": "/* expected today: never returns; give the case a timeout */",
}


def skeleton(f: Finding) -> list[str]:
    """Lines of C."""
    name = re.sub(r"\W+", "_", f"{f.experiment}_{f.function or f.detector}").strip("_").lower()
    body = [f"\t * {line}" for line in (f.input or ["(no choices)"])]
    faults = [f"\t * {line}" for line in f.choices]
    out = ["/*", f" * {f.title}", f" * {f.c_location or 'not in ported code'}; replay: kemu replay {f.token}", " */",
           f"static void {name}_test(struct kunit *test)", "{", "\t/* The smallest input that shows it:", *body]
    if faults:
        out += ["\t * with", *faults]
    out += ["\t */", "\tint err;", ""]
    if any("fail" in c for c in f.choices):
        out.append("\t/* arm /proc/self/fail-nth with the number above before the call */")
    out += [f"\terr = {name}_setup(test);", "\tKUNIT_ASSERT_EQ(test, err, 0);",
            f"\t{_EXPECT.get(f.detector, '/* what must hold: see the title */')}",
            f"\tKUNIT_EXPECT_EQ(test, {name}_run(test), 0);", "}"]
    return out
