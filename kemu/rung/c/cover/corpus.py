# SPDX-License-Identifier: GPL-2.0-only
"""Kept cases: one file each, named by the hash of what is in it, so that two searches may write into one folder.

    $XDG_STATE_HOME/kemu/coverage/corpus/KEY.case       reached what none before it reached

"""
from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kemu.report.store.folder import state_dir
from kemu.rung.c.cover.case import Case, NotACase, unpack


def default_folder() -> Path:
    """Beside the findings store."""
    return state_dir() / "coverage"


class Corpus:
    """The cases in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, case: Case) -> Path:
        """Keep a case. ``OSError``: it could not be kept."""
        path = self.folder / f"{case.key()}.case"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            fd, temp = tempfile.mkstemp(prefix=".case.", dir=self.folder)
            with open(fd, "wb") as f:
                f.write(case.pack())
            os.replace(temp, path)
        return path

    def __iter__(self) -> Iterator[Case]:
        """All that can be read, in the order of their names."""
        for path in self.paths():
            try:
                yield unpack(path.read_bytes())
            except (OSError, NotACase):
                continue

    def paths(self) -> list[Path]:
        """The files."""
        return sorted(self.folder.glob("*.case"))
