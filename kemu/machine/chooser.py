# SPDX-License-Identifier: GPL-2.0-only
"""The two things that may be attached to a machine: one who decides, and one who watches.

The machine knows only these protocols. ``kemu.explore`` implements choosers, ``kemu.check`` implements watches; with nothing
attached a choice costs one comparison with None.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kemu.machine.pages import Page
    from kemu.machine.sched import Task


class Chooser(Protocol):
    """Who makes every choice of a run: which task goes next, whether this call fails, which value."""

    def task(self, runnable: list[Task], current: Task | None, where: str) -> int:
        """Index into ``runnable`` of the task to run now. ``current`` is among them if it could go on."""

    def fault(self, kind: str, what: str) -> bool:
        """True if this call shall fail. ``kind``: failslab, fail_page_alloc, fail_make_request, fail_function, ...; ``what``:
        call site.
        """

    def value(self, name: str, low: int, high: int) -> int:
        """An int in [low, high]."""


class Watch(Protocol):
    """What detectors are told. Every method is called after the machine has done the thing named, unless it says otherwise."""

    def alloc(self, what: str, obj: Any, size: int) -> None:
        """``obj`` of ``size`` bytes was made; ``what`` says by which call."""

    def free(self, what: str, obj: Any) -> None:
        """``obj`` is given back."""

    def page_alloc(self, page: Page) -> None:
        """A page (or the head of several) was allocated."""

    def page_free(self, page: Page) -> None:
        """A page goes back to the allocator."""

    def ref(self, kind: str, obj: Any, delta: int) -> None:
        """The count of ``obj`` changed by ``delta``."""

    def lock(self, kind: str, obj: Any) -> None:
        """The current task holds ``obj`` now."""

    def unlock(self, kind: str, obj: Any) -> None:
        """The current task holds ``obj`` no more."""

    def uninit_use(self, addr: int, size: int, what: str) -> None:
        """Bytes that were never written decide something, or leave the kernel."""

    def event(self, name: str, **facts: Any) -> None:
        """Anything else; detectors get it as ``on_NAME(**facts)``."""

