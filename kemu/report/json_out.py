# SPDX-License-Identifier: GPL-2.0-only
"""The object that ``kemu review --json`` and ``kemu fuzz --json`` print."""
from __future__ import annotations

import json

from kemu.explore.search import Progress


def review(name: str, progress: Progress) -> str:
    """One JSON object, worst finding first."""
    return json.dumps({"name": name, "examples": progress.examples, "seconds": round(progress.seconds, 1),
                       "findings": [f.as_json() for f in progress.sorted_findings()]}, indent=1)
