# SPDX-License-Identifier: GPL-2.0-only
"""The emulated kernel that is running now.

C has globals; ported code therefore asks no one which machine it is on. ``this`` holds what the current machine's hot paths need,
one attribute away. Entering a :class:`~kemu.machine.machine.Machine` fills it and leaving restores what was there before, so
machines may nest (an experiment that compares two of them does).
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kemu.machine.chooser import Chooser, Watch
    from kemu.machine.counters import Counters
    from kemu.machine.machine import Machine
    from kemu.machine.memory import Memory
    from kemu.machine.sched import Scheduler, Task
    from kemu.machine.vmalloc import Kmap


NULL: Any = None            # no type says which pointers may be NULL, as in C


class Arch:
    """What C has as macros of the architecture: ``arch.PAGE_SIZE``, ``arch.PAGE_SHIFT``, ``arch.PAGE_MASK``,
    ``arch.BITS_PER_LONG``.
    """

    __slots__ = ("BITS_PER_LONG", "PAGE_MASK", "PAGE_SHIFT", "PAGE_SIZE", "ULONG_MAX")
    PAGE_SIZE: int
    PAGE_SHIFT: int
    PAGE_MASK: int
    BITS_PER_LONG: int
    ULONG_MAX: int

    def __init__(self) -> None:
        self.set(12, 64)

    def set(self, page_shift: int, bits_per_long: int) -> None:
        """Make these the current machine's constants."""
        self.PAGE_SHIFT = page_shift
        self.PAGE_SIZE = 1 << page_shift
        self.PAGE_MASK = -(1 << page_shift)
        self.BITS_PER_LONG = bits_per_long
        self.ULONG_MAX = (1 << bits_per_long) - 1


_ATTACHED = ("chooser", "watch")


class This:
    """The current machine and its parts; see the module's text."""

    __slots__ = ("chooser", "counters", "kmap", "machine", "mem", "sched", "task", "watch")
    machine: Machine
    kmap: Kmap
    mem: Memory
    sched: Scheduler
    task: Task
    counters: Counters
    chooser: Chooser | None
    watch: Watch | None

    def __init__(self) -> None:
        self.chooser = None
        self.watch = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Whoever is attached to the machine while it runs is attached to its functions, not to short forms of them."""
        object.__setattr__(self, name, value)
        if value is not None and name in _ATTACHED and getattr(self, "machine", None) is not None:
            self.machine.run_long()

    def save(self) -> list[Any]:
        """Everything, for restore()."""
        return [getattr(self, name, None) for name in self.__slots__]

    def restore(self, saved: list[Any]) -> None:
        """What save() gave is current again."""
        values = dict(zip(self.__slots__, saved))
        self.machine = values.pop("machine")                # before those who are attached to it
        for name, value in values.items():
            setattr(self, name, value)


arch = Arch()
this = This()
