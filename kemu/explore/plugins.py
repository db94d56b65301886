# SPDX-License-Identifier: GPL-2.0-only
"""Entry points of what is installed, read from their files.

importlib.metadata gives the same; it imports a mail parser and sockets for it, which every command would wait for.
"""
from __future__ import annotations

import os
import re
import sys


def installed_modules(group: str) -> list[tuple[str, str]]:
    """(name, module) of every entry point of a group. Of two distributions of one name the first on sys.path counts, as in an import."""
    out: list[tuple[str, str]] = []
    seen: set[str] = set()
    for place in dict.fromkeys(sys.path):
        try:
            folders = [e for e in os.listdir(place or ".") if e.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for folder in sorted(folders):
            distribution = re.sub(r"[-_.]+", "-", folder.rpartition(".")[0].partition("-")[0]).lower()
            if distribution in seen:
                continue
            seen.add(distribution)
            try:
                with open(os.path.join(place, folder, "entry_points.txt"), encoding="utf-8") as f:
                    out += of_text(f.read(), group)
            except (OSError, UnicodeDecodeError):
                continue
    return out


def of_text(text: str, group: str) -> list[tuple[str, str]]:
    """The same of the text of one entry_points.txt; ``module:object`` counts as its module."""
    out = []
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            out.append((name.strip(), re.split(r"[\s:\[]", value.strip(), maxsplit=1)[0]))
    return out
