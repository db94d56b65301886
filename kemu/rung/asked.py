# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that experiments ask beside the port: one for each process, of the rung that the run is on."""
from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from kemu.explore.run import RungLost
from kemu.rung.protocol import Judge
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.make import Say, nothing

if TYPE_CHECKING:                   # start-up
    from kemu.rung.uml.patches import Patch

RUNGS = ("linux", "c")
Recipe = tuple[str, "tuple[Patch, ...]", tuple[str, ...], str]


class Unanswered(RungLost):
    """There is no kernel that could be asked: the run cannot go on. ``exit_code`` is what the command line gives."""

    def __init__(self, error: RungError):
        super().__init__(str(error))
        self.exit_code = error.exit_code


class Asked(ABC):
    """A rung's kernels. ``who``: how reports call it; ``flavour``: how its kernel is compiled."""

    who = "Linux"
    flavour = ""

    def __init__(self) -> None:
        self.patches: tuple[Patch, ...] = ()
        self.extra: tuple[str, ...] = ()            # lines of configuration
        self.slot = "plain"
        self._judges: dict[tuple[int, bool], Judge] = {}

    @property
    def recipe(self) -> Recipe:
        """What is built, together: flavour, patches, lines of configuration, and the name of the copy of the tree."""
        return self.flavour, self.patches, self.extra, self.slot

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        self.flavour, self.patches, self.extra, self.slot = recipe

    @abstractmethod
    def prepare(self, say: Say = nothing) -> None:
        """Build the kernel if that has not been done, so that forked workers find it. ``RungError`` says why there is none."""

    @property
    def ready(self) -> bool:
        """Whether a kernel is built: nobody would wait for one."""
        return False

    @abstractmethod
    def start(self, zeroed: bool) -> Judge:
        """A kernel; not ``zeroed``: fresh memory holds what it held before, or another byte than zero."""

    def judge(self, *, zeroed: bool = True, afresh: bool = False) -> Judge:
        """This process's kernel. ``afresh``: one that has seen nothing yet."""
        key = os.getpid(), zeroed
        if key not in self._judges:
            self.prepare()
            self._judges[key] = self.start(zeroed)
        if afresh:
            self._judges[key].close()
        return self._judges[key]

    def close(self) -> None:
        """End the kernels of this process."""
        for key in [k for k in self._judges if k[0] == os.getpid()]:
            self._judges.pop(key).close()


_rungs: dict[str, Asked] = {}


def asked(rung: str) -> Asked:
    """The kernels of a rung: ``linux`` or ``c``."""
    if rung not in _rungs:
        if rung == "c":
            from kemu.rung.c.asked import AskedC  # noqa: PLC0415  (start-up)

            _rungs[rung] = AskedC()
        elif rung == "linux":
            from kemu.rung.uml.asked import AskedLinux  # noqa: PLC0415  (start-up)

            _rungs[rung] = AskedLinux()
        else:
            raise ValueError(f"no kernel is asked on the {rung} rung: {', '.join(RUNGS)}")
    return _rungs[rung]


def at_hand(rung: str) -> Asked | None:
    """The kernels of a rung that somebody has prepared; None if nobody has."""
    kernels = _rungs.get(rung)
    return kernels if kernels is not None and kernels.ready else None
