# SPDX-License-Identifier: GPL-2.0-only
"""Inputs that come with kemu, so that its commands can be tried anywhere: ``sample:NAME`` wherever a command takes an image or an
initrd.

demo.erofs: LZ4, big pclusters, compressed tails in the metadata (mkfs.erofs -zlz4hc -Eztailpacking -C8192). root.cpio and
root.erofs: the same small root as an archive and as an image.
"""
from __future__ import annotations

import os
from pathlib import Path

PREFIX = "sample:"
FOLDER = os.path.dirname(os.path.abspath(__file__))


def names() -> list[str]:
    """What there is, sorted."""
    return sorted(name for name in os.listdir(FOLDER) if not name.startswith("_"))


def shown(path: str) -> str:
    """A path as it was given: ``sample:NAME`` for one of these."""
    folder, _, name = path.rpartition("/")
    return PREFIX + name if folder == FOLDER else path


def sample(name: str) -> Path:
    """The file of that name; ``KeyError`` names those that there are."""
    if name not in names():
        raise KeyError(f"no sample {name!r}: there are {', '.join(names())}")
    return Path(FOLDER, name)
