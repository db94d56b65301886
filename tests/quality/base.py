# SPDX-License-Identifier: GPL-2.0-only
"""What a search of unchanged Linux may find: tests/data/base-findings.toml, which docs/explanation/findings-about-linux.md
describes.
"""
from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path
from typing import Any

from kemu.explore.experiment import load_entry_points, registry

TOP = Path(__file__).parents[2]
LIST = TOP / "tests/data/base-findings.toml"
DOCUMENT = TOP / "docs/explanation/findings-about-linux.md"
BASE_SERIES = ("erofs", "erofs-file", "initramfs", "upstream")      # what they judge is Linux 7.2 as it is


def known() -> list[dict[str, Any]]:
    """The entries of the list."""
    entries: list[dict[str, Any]] = tomllib.loads(LIST.read_text())["finding"]
    return entries


def base_experiments() -> list[str]:
    """Names of the experiments on unchanged Linux that need no booted kernel."""
    load_entry_points()
    return sorted(e.name for e in registry.values() if e.series in BASE_SERIES and "py" in e.rungs)


def described_by(finding: dict[str, Any]) -> dict[str, Any] | None:
    """The entry that a finding of ``kemu fuzz --json`` is."""
    for entry in known():
        if (any(fnmatch.fnmatchcase(finding["experiment"], e) for e in entry["experiments"])
            and re.search(entry["title"], finding["title"])
                and re.search(entry["report"], finding["report"])):
            return entry
    return None
