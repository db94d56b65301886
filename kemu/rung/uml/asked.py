# SPDX-License-Identifier: GPL-2.0-only
"""The booted kernel, for experiments that compare the port with it."""
from __future__ import annotations

import os

from kemu.rung.asked import Asked
from kemu.rung.uml.build import Kernel, Recipe, build
from kemu.rung.uml.cache import default_tree
from kemu.rung.uml.fetch import fetch
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.oracle import Oracle
from kemu.rung.uml.tree import find_tree

TIMEOUT = 10.0          # seconds after which a case is a hang


class AskedLinux(Asked):
    """Kernels under UML. The tree is $KEMU_TREE, else Debian's, fetched if need be."""

    def __init__(self) -> None:
        super().__init__()
        self._kernel: Kernel | None = None
        self._built: object = None

    def prepare(self, say: Say = nothing) -> None:
        """Build the kernel if that has not been done."""
        if not self.ready:
            self.close()
            own = os.environ.get("KEMU_TREE")
            tree = fetch(say=say) if not own and not (default_tree() / "Makefile").exists() else find_tree(own)
            self._kernel = build(Recipe(tree, "fast", self.extra, self.patches, self.slot), say)
            self._built = self.recipe[1:]

    @property
    def ready(self) -> bool:
        """Whether the kernel is built."""
        return self._kernel is not None and self._built == self.recipe[1:]

    def start(self, zeroed: bool) -> Oracle:
        """A kernel; not ``zeroed``: with init_on_alloc=0."""
        return Oracle(kernel=self._kernel, args=() if zeroed else ("init_on_alloc=0",), timeout=TIMEOUT)
