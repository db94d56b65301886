# SPDX-License-Identifier: GPL-2.0-only
"""C's ``goto err_x`` ladder, in the one idiom that ports use (docs/explanation/porting.md)."""
from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kemu.linux.port.honesty import custom

C = "Documentation/process/coding-style.rst"

T = TypeVar("T")


@custom(C, "goto", "labels are functions; goto runs its label and those below it")
class Labels:
    """Labels of one function, in C's order."""

    __slots__ = ("fns",)

    def __init__(self) -> None:
        self.fns: list[Callable[[], None]] = []

    def label(self, fn: Callable[[], None]) -> Callable[[], None]:
        """Declare the next label; ``fn`` is what stands between it and the label below."""
        self.fns.append(fn)
        return fn

    def goto(self, label: Callable[[], None], ret: T) -> T:
        """Run from ``label`` downwards and give ``ret`` back."""
        for fn in self.fns[self.fns.index(label):]:
            fn()
        return ret
