# SPDX-License-Identifier: GPL-2.0-only
"""How a call into the kernel's C can end otherwise than with an answer."""
from __future__ import annotations

import os
import re
from collections.abc import Sequence

from kemu.rung.protocol import Answer
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.lines import Frame

_STATEMENT = re.compile(r"(kernel|fs|mm|block|lib|init|drivers|security)/\S+\.c:\d+$")
_LEVEL = re.compile(r"^<\d> ")


def lines_of(log: str) -> list[str]:
    """The kernel's lines, without their levels."""
    return [_LEVEL.sub("", line) for line in log.splitlines()]


class MountRefused(RungError):
    """The kernel refused a mount: ``errno`` (positive), and its log."""

    def __init__(self, error: int, log: list[str]):
        super().__init__(os.strerror(error))
        self.errno = error
        self.log = log


class RootRefused(MountRefused):
    """It is mounted, and its root cannot be entered: there is nothing to look up in it."""


class Trap(RungError):
    """The kernel died in a call: ``title`` says of what, ``frames`` where, ``others`` who had to do with the object before: the
    calls that allocated and freed it, by that word.
    """

    exit_code = 255

    def __init__(self, title: str, frames: list[Frame], log: str, others: Sequence[tuple[str, list[Frame]]] = ()):
        super().__init__(title)
        self.title = title
        self.frames = frames
        self.log = log
        self.others = list(others)

    @property
    def top(self) -> Frame:
        """The statement of the kernel's that it died in, not of the runtime's and of no header."""
        return next((f for f in self.frames if _STATEMENT.match(f.place)), self.frames[0] if self.frames else Frame("", ""))

    def answer(self) -> Answer:
        """What a case came to that ended so."""
        kind = "hang" if self.title.startswith("hang") else "panic" if self.title.startswith("Kernel panic") else "splat"
        return Answer(message=self.title, crash=kind, console=self.report(), kmsg=lines_of(self.log), function=self.top.function,
                      place=self.top.place)

    def report(self) -> str:
        """Title, call trace, the object's history, and log."""
        out = [self.title, *(f"  {f}" for f in self.frames)]
        for word, frames in self.others:
            out += [f"{word.capitalize()} by:", *(f"  {f}" for f in frames)]
        return "\n".join([*out, *self.log.splitlines()])
