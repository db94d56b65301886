# SPDX-License-Identifier: GPL-2.0-only
"""Files that a command compares: images and archives of folders."""
from __future__ import annotations

from pathlib import Path

from kemu.cli.common import CommandError
from kemu.rung.uml.inputs import head, kind_of


def images_of(given: list[str]) -> list[Path]:
    """The files to compare: images and archives."""
    folders = [Path(d) for d in given] or [d for d in [Path.cwd() / "tests" / "data"] if d.is_dir()]
    out = []
    for folder in folders:
        if not folder.exists():
            raise CommandError(f"test: {folder}: no such folder")
        for path in sorted(folder.rglob("*") if folder.is_dir() else [folder]):
            if (path.is_file() and path.suffix not in (".jsonl", ".json", ".md", ".py", ".txt")
                and path.stat().st_size <= 64 << 20):
                if kind_of(head(path, 1028)):
                    out.append(path)
    return out
