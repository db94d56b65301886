# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel would write into its log and stop for: Python exceptions in the kernel's own words.

A port never raises or catches these: the machine and the detectors raise them, and the experiment that ran the port reports them.
"""
from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from kemu.machine.roles import Role, role_of


class Splat(Exception):
    """A report such as ``BUG: KASAN: slab-out-of-bounds in erofs_bread``.

    ``title`` is its first line; ``details`` further lines (object history, who waits for whom); ``function`` the ported function
    in which it happened and ``facts`` machine-readable values (``addr``, ``size``, ``access``).
    """

    def __init__(self, title: str, details: list[str] | None = None, *, function: str = "", **facts: Any):
        super().__init__(title)
        self.title = title
        self.details = details or []
        self.function = function
        self.facts = facts

    def __str__(self) -> str:
        return "\n".join([self.title, *self.details])


class KernelBug(Splat):
    """``BUG_ON()`` or an impossible state of the machine (a double unlock, a put below zero)."""


class KernelPanic(Splat):
    """``panic()``: the boot ends here."""


class Deadlock(Splat):
    """Every task waits for another: nothing will ever run again."""


class HungTask(Splat):
    """A task that loops or waits for longer than the watchdog allows."""


class Survived:
    """Reports that one machine has logged and gone on from."""

    __slots__ = ("splats",)

    def __init__(self) -> None:
        self.splats: list[Splat] = []


def is_ported(frame: FrameType) -> bool:
    """Whether a frame runs ported code (or an experiment's), as opposed to the emulation, the tools around it and the standard
    library.
    """
    return role_of(frame) in (Role.PORT, Role.HARNESS)


def caller_function() -> tuple[str, str]:
    """Name of the innermost ported function, and its ``file:line``; ``("", "")`` if there is none.

    A harness (what mounts an image and reads it for an experiment) is named only if nothing else is there.
    """
    frame: FrameType | None = sys._getframe(1)
    found = ("", "")
    while frame is not None:
        if is_ported(frame):
            here = frame.f_code.co_name, f"{frame.f_code.co_filename}:{frame.f_lineno}"
            if role_of(frame) is Role.PORT:
                return here
            if not found[0]:
                found = here
        frame = frame.f_back
    return found


def call_trace(limit: int = 12) -> list[str]:
    """The ported and API functions on the stack, innermost first, as a kernel's ``Call Trace``; a harness only where it called
    them.
    """
    frame: FrameType | None = sys._getframe(1)
    out: list[str] = []
    harness: list[str] = []             # what an experiment has put in between is none of the kernel's
    while frame is not None and len(out) < limit:
        role = role_of(frame)
        if role in (Role.PORT, Role.HARNESS, Role.API):
            short = "/".join(frame.f_code.co_filename.split("/")[-2:])
            text = f" {frame.f_code.co_name} ({short}:{frame.f_lineno})"
            if role is Role.HARNESS:
                harness.append(text)
            else:
                harness.clear()
                out.append(text)
        frame = frame.f_back
    return (out + harness)[:limit]
