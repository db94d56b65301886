# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's C in this process, for experiments that compare the port with it."""
from __future__ import annotations

import os

from kemu.rung.asked import Asked
from kemu.rung.c.build import Library, build
from kemu.rung.c.kernel import Kernel
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.tree import find_tree

TIMEOUT = 10.0          # seconds of processor time after which a case is a hang
MEMORY = 512 << 20      # bytes of RAM, as the booted kernel has that is asked: vmalloc() refuses more
UNWRITTEN = 0x6B        # the byte of memory that nobody has written, where it is not zero


class AskedC(Asked):
    """Kernels of the C rung: ``flavour`` plain, or one with a sanitizer. The tree is $KEMU_TREE, or the one that is kept."""

    who = "C"
    flavour = "plain"

    def __init__(self) -> None:
        super().__init__()
        self._library: Library | None = None
        self._built: object = None

    def prepare(self, say: Say = nothing) -> None:
        """Build the shared object of the flavour if that has not been done."""
        if not self.ready:
            self.close()
            tree = find_tree(os.environ.get("KEMU_TREE"))
            self._library = build(Recipe(tree, "fast", self.extra, self.patches, self.slot), self.flavour, say)
            self._built = self.recipe

    @property
    def ready(self) -> bool:
        """Whether the shared object of the flavour is there."""
        return self._library is not None and self._built == self.recipe

    def start(self, zeroed: bool) -> Kernel:
        """A kernel; not ``zeroed``: memory that nobody has written is not zeros."""
        return Kernel(library=self._library, timeout=TIMEOUT, memory=MEMORY, fill=None if zeroed else UNWRITTEN)
