# SPDX-License-Identifier: GPL-2.0-only
"""The deterministic kernel that experiments run on: one for each process."""
from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.sched.kernel import Sched

if TYPE_CHECKING:                   # start-up
    from kemu.rung.uml.build import Kernel
    from kemu.rung.uml.patches import Patch

FLAVOURS = ("sched", "sched-kasan", "sched-race")


# flavour, patches, lines of configuration, and the name of the copy of the tree that it is built in
Recipe = tuple[str, "Sequence[Patch]", Sequence[str], str]


class AskedSched:
    """Kernels of a flavour ``sched``. The tree is $KEMU_TREE, else Debian's, fetched if need be; ``patches`` on top of it, and
    ``extra`` lines of configuration.
    """

    who = "Linux"
    flavour = FLAVOURS[0]

    def __init__(self) -> None:
        self.patches: Sequence[Patch] = ()
        self.extra: Sequence[str] = ()
        self.slot = "plain"
        self._kernel: Kernel | None = None
        self._built: tuple[object, ...] = ()
        self._running: dict[int, Sched] = {}

    @property
    def recipe(self) -> Recipe:
        """What is built, together."""
        return self.flavour, self.patches, self.extra, self.slot

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        self.flavour, self.patches, self.extra, self.slot = recipe

    def prepare(self, say: Say = nothing) -> None:
        """Build the kernel if that has not been done. ``RungError`` says why there is none."""
        from kemu.rung.uml import build  # noqa: PLC0415  (start-up)
        from kemu.rung.uml.cache import default_tree  # noqa: PLC0415  (start-up)
        from kemu.rung.uml.fetch import fetch  # noqa: PLC0415  (start-up)
        from kemu.rung.uml.tree import find_tree  # noqa: PLC0415  (start-up)

        want = self.flavour, tuple(self.patches), tuple(self.extra), self.slot
        if self._kernel is None or self._built != want:
            own = os.environ.get("KEMU_TREE")
            tree = fetch(say=say) if not own and not (default_tree() / "Makefile").exists() else find_tree(own)
            self.close()
            self._kernel = build.build(build.Recipe(tree, self.flavour, self.extra, self.patches, self.slot), say)
            self._built = want

    @property
    def grains(self) -> tuple[bool, ...]:
        """Of a plan's ``fine`` what makes a difference in this flavour: KASAN's checks are places for a switch where it looks."""
        return (False, True) if self.flavour == "sched-kasan" else (False,)

    @property
    def slower(self) -> int:
        """How many times as long a schedule takes as in the fastest flavour, about."""
        return 1 if self.flavour == "sched" else 4

    @property
    def ready(self) -> bool:
        """Whether a kernel is built: nobody would wait for one."""
        return self._kernel is not None

    @property
    def built(self) -> Kernel:
        """The kernel."""
        self.prepare()
        assert self._kernel is not None
        return self._kernel

    def kernel(self) -> Sched:
        """This process's kernel; it may have run other programs."""
        pid = os.getpid()
        if pid not in self._running:
            self._running[pid] = Sched(self.built.path)
        return self._running[pid]

    def close(self) -> None:
        """End the kernel of this process."""
        kernel = self._running.pop(os.getpid(), None)
        if kernel is not None:
            kernel.close()


_asked: AskedSched | None = None


def asked_sched() -> AskedSched:
    """The one of this process and its children."""
    global _asked
    if _asked is None:
        _asked = AskedSched()
    return _asked
