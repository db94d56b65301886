# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel was given from outside: images and how they were mounted, an initrd and how it was booted.

Who mounts or boots notes it on the machine (:attr:`~kemu.machine.machine.Machine.given`); who wants to show another kernel the
same reads it, also when the machine is gone.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Data = bytes | bytearray | memoryview | str


@dataclass(frozen=True, slots=True)
class GivenImage:
    """Bytes, or the path of their file, ``at`` bytes behind a page boundary in memory of a kind (``kemu.machine.region``)."""

    image: Data
    at: int = 0
    memory: str = "linear"

    def read(self) -> bytes:
        """The bytes. ``OSError``: the file is not there any more."""
        if not isinstance(self.image, str):
            return bytes(self.image)
        with open(self.image, "rb") as f:
            return f.read()


@dataclass(slots=True)
class GivenMount:
    """A mount: the first image, the others as its extra devices. ``error``: what it came to, 0 or a negative errno."""

    filesystem: str
    backend: str
    images: tuple[GivenImage, ...]
    options: str = ""
    error: int = 0
    page_size: int = 4096
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class GivenBoot:
    """A boot. ``builtin``: the kernel's own archive, None for none; ``config``: what is not as usual (of a mount, too);
    ``series``: names of what the kernel was built with.
    """

    initrd: GivenImage | None
    builtin: Data | None
    cmdline: str = ""
    series: tuple[str, ...] = ()
    page_size: int = 4096
    config: dict[str, Any] = field(default_factory=dict)


Given = GivenMount | GivenBoot
