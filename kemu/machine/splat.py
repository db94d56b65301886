# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel would write into its log and stop for: Python exceptions in the kernel's own words.

A port never raises or catches these: the machine and the detectors raise them, and the experiment that ran the port reports them.
"""
from __future__ import annotations

import sys
from collections.abc import Iterable
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


_NO_KERNEL = "kemu.linux.port."          # how C's memory, structures and idioms are spelt here: Linux has no such function


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
    """The functions of the kernel on the stack, innermost first, as its ``Call Trace``: ported ones and those of the emulated
    API. A harness's only if there is none.
    """
    frame: FrameType | None = sys._getframe(1)
    frames = []
    while frame is not None:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return trace_of(frames, limit)


def trace_of(frames: Iterable[tuple[FrameType, int]], limit: int = 12) -> list[str]:
    """:func:`call_trace` of these frames and lines, innermost first."""
    out: list[str] = []
    harness: list[str] = []
    for frame, line in frames:
        role = role_of(frame)
        if role in (Role.PORT, Role.HARNESS, Role.API) and not frame.f_globals.get("__name__", "").startswith(_NO_KERNEL):
            short = "/".join(frame.f_code.co_filename.split("/")[-2:])
            (harness if role is Role.HARNESS else out).append(f" {frame.f_code.co_name} ({short}:{line})")
    return (out or harness)[:limit]
