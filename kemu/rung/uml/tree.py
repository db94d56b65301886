# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree. The user's is never written to: what is built is a copy (copy.py)."""
from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from kemu.rung.uml.cache import DEFAULT_VERSION, default_tree
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.listing import Listing


@dataclass(frozen=True)
class Tree:
    """A kernel source tree."""

    path: Path

    @property
    def version(self) -> str:
        """``"7.2.13"`` from the Makefile's first lines."""
        head = self._makefile_head()
        parts = {m[1]: m[2].strip() for m in re.finditer(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) =(.*)$", head, re.M)}
        text = f"{parts.get('VERSION', '?')}.{parts.get('PATCHLEVEL', '?')}"
        if parts.get("SUBLEVEL", "0") not in ("0", ""):
            text += "." + parts["SUBLEVEL"]
        return text + parts.get("EXTRAVERSION", "")

    def _makefile_head(self) -> str:
        with open(self.path / "Makefile", encoding="utf-8", errors="replace") as f:
            return f.read(400)

    @property
    def ours(self) -> bool:
        """Whether ``kemu linux fetch`` put it there: then nobody edits it, and its version is its identity."""
        return (self.path / ".kemu-fetched").exists()

    def listing(self) -> Listing:
        """Its source files, as they are now."""
        return Listing.of(self.path)

    def identity(self, listing: Listing | None = None) -> str:
        """A short name for the contents: changes when any source file is added, removed or touched. ``listing``: the tree's, if
        it has been read already.
        """
        if self.ours:
            return hashlib.sha256((self.path / ".kemu-fetched").read_bytes()).hexdigest()[:16]
        return (listing or self.listing()).identity()

    def choices(self, listing: Listing | None = None) -> str:
        """A short name for what a configuration is made of: changes when a Kconfig file, or a tool that Kconfig asks, is added,
        removed or touched.
        """
        return self.identity() if self.ours else (listing or self.listing()).choices()

    def slot(self) -> str:
        """A short name for the place: one per path, the same after edits."""
        return hashlib.sha256(os.fsencode(self.path.resolve())).hexdigest()[:8]


def find_tree(path: str | os.PathLike[str] | None = None) -> Tree:
    """The tree at ``path``, or the one that ``kemu linux fetch`` keeps. ``ConfigError`` if there is none."""
    place = Path(path) if path else default_tree()
    if not (place / "Makefile").is_file() or not (place / "arch" / "um" / "Kconfig").is_file():
        if path:
            raise ConfigError(f"{place}: not a kernel tree (no Makefile or arch/um there)")
        raise ConfigError(f"no kernel tree: run `kemu linux fetch` (Debian's linux-source-{DEFAULT_VERSION}) or give --tree TREE")
    return Tree(place.resolve())
