# SPDX-License-Identifier: GPL-2.0-only
"""What every rung answers: the same case, the same object.

``Answer`` is what a kernel made of one case. A kernel that is asked case by case is a :class:`Judge`: the C rung's and the Linux
rung's are.
"""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from kemu.report.manifest import Entry
from kemu.rung.entries import parse_entries


class Packed:
    """Entries as the agent writes them: two are equal if their bytes are."""

    __slots__ = ("count", "data", "dir_sizes")

    def __init__(self, data: bytes, count: int, dir_sizes: bool = True):
        self.data = data
        self.count = count
        self.dir_sizes = dir_sizes

    def entries(self) -> list[Entry]:
        """What they say."""
        return parse_entries(self.data, self.count, self.dir_sizes)


Image = bytes | bytearray | memoryview | str | os.PathLike[str]


@dataclass
class Answer:
    """What a kernel made of one case.

    ``crash``: None, or ``"panic"``, ``"hang"``, ``"splat"``, ``"exit"``; then ``message`` is the splat's first line and
    ``console`` the kernel's text. ``mount_error``: errno name, for EROFS. ``message``: for cpio, what unpack_to_rootfs()
    returned.
    ``entries``: the manifest; empty if there is nothing mounted. ``packed``: the agent's bytes that it is made from.
    ``kmsg``: the kernel's lines, without levels. ``facts``: what else can be seen of each inode (blocks, inode numbers,
    attributes, extents, holes, directory entries, statfs), if that was asked for; "PATH<tab>NAME=VALUE<tab>...".
    ``fired``: whether the fault that was asked for has happened; ``points``: how many calls could have failed until then or the
    end, where the rung counts them.
    ``function``, ``place``: after a crash, the C function and its FILE:LINE, where the rung knows them.
    ``behind``: objects of slab and pages that are there behind a module's first exit.
    """

    mount_error: str | None = None
    packed: Packed | None = field(default=None, repr=False, compare=False)
    kmsg: list[str] = field(default_factory=list)
    message: str | None = None
    crash: str | None = None
    console: str = ""
    fired: bool | None = None
    points: int = 0
    facts: list[str] = field(default_factory=list)
    function: str = ""
    place: str = ""
    behind: tuple[int, int] = field(default=(0, 0), compare=False)

    @cached_property
    def entries(self) -> list[Entry]:
        """The manifest, made when somebody looks at it."""
        return self.packed.entries() if self.packed is not None else []

    @property
    def manifest(self) -> list[Entry]:
        """The same as ``entries``."""
        return self.entries


class Judge(Protocol):
    """A kernel that is asked case by case."""

    def erofs(self, image: Image, at: int = 0, options: str = "", devices: Sequence[Image] = (), backend: str = "disk",
              memory: str = "linear", cap: int = 1 << 26, max_entries: int = 1 << 20, fail_nth: int = 0,
              facts: bool = False) -> Answer:
        """Mount an EROFS image and walk it."""

    def cpio(self, archive: Image, at: int = -1, memory: str = "linear", cap: int = 1 << 26) -> Answer:
        """Unpack an archive and walk the tree."""

    def close(self) -> None:
        """End the kernel."""
