# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel would write into its log and stop for: Python exceptions in the kernel's own words.

A port never raises or catches these: the machine and the detectors raise them, and the experiment that ran the port reports them.
"""
from __future__ import annotations

import sys
from typing import Any


class Splat(Exception):
    """A report such as ``BUG: KASAN: slab-out-of-bounds in erofs_bread``.

    ``title`` is its first line; ``details`` further lines (object history, who waits for whom); ``function`` the ported function in which
    it happened and ``facts`` machine-readable values (``addr``, ``size``, ``access``).
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


_SKIP = ("/kemu/machine/", "/kemu/linux/", "/kemu/check/", "/kemu/explore/", "kemu\\")


def caller_function() -> tuple[str, str]:
    """Name of the innermost function outside the machine and its API, and its ``file:line``; ``("", "")`` if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not any(s in code.co_filename for s in _SKIP):
            return code.co_name, f"{code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "", ""


_INSIDE = ("/kemu/machine/", "/kemu/check/", "/kemu/explore/", "/kemu/cli/", "/kemu/report/", "/site-packages/", "/lib/python3", "/bin/", "<frozen ")


def call_trace(limit: int = 12) -> list[str]:
    """The ported and API functions on the stack, innermost first, as a kernel's ``Call Trace``."""
    frame = sys._getframe(1)
    out: list[str] = []
    while frame is not None and len(out) < limit:
        code = frame.f_code
        name = code.co_filename
        if not any(s in name for s in _INSIDE):
            short = "/".join(name.split("/")[-2:])
            out.append(f" {code.co_name} ({short}:{frame.f_lineno})")
        frame = frame.f_back  # type: ignore[assignment]
    return out
