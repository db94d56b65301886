# SPDX-License-Identifier: GPL-2.0-only
"""The object that ``kemu review --json`` and ``kemu fuzz --json`` print."""
from __future__ import annotations

import json

from kemu.explore.progress import Progress


def review(name: str, progress: Progress) -> str:
    """One JSON object, worst finding first. ``trouble``: workers that died. ``interrupted``: it did not come to its end."""
    out: dict[str, object] = {"name": name, "examples": progress.examples, "seconds": round(progress.seconds, 1),
                              "findings": [f.as_json() for f in progress.sorted_findings()]}
    if progress.trouble:
        out["trouble"] = progress.trouble
    if progress.interrupted:
        out["interrupted"] = True
    return json.dumps(out, indent=1)
