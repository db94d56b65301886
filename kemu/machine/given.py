# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel was given from outside: images and how they were mounted, an initrd and how it was booted.

Who mounts or boots notes it on the machine (:attr:`~kemu.machine.machine.Machine.given`); who wants to show another kernel the
same reads it, also when the machine is gone.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Data = bytes | bytearray | memoryview | str


class GivenImage(NamedTuple):
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


class GivenMount:
    """A mount: the first image, the others as its extra devices. ``error``: what it came to, 0 or a negative errno; ``config``:
    what is not as usual.
    """

    __slots__ = ("backend", "config", "error", "filesystem", "images", "options", "page_size")

    def __init__(self, filesystem: str, backend: str, images: tuple[GivenImage, ...], options: str = "", error: int = 0,
                 page_size: int = 4096, config: Mapping[str, Any] | None = None):
        self.filesystem = filesystem
        self.backend = backend
        self.images = images
        self.options = options
        self.error = error
        self.page_size = page_size
        self.config = dict(config or {})


class GivenBoot:
    """A boot. ``builtin``: the kernel's own archive, None for none; ``series``: names of what the kernel was built with;
    ``config``: what is not as usual.
    """

    __slots__ = ("builtin", "cmdline", "config", "initrd", "page_size", "series")

    def __init__(self, initrd: GivenImage | None, builtin: Data | None, cmdline: str = "", series: tuple[str, ...] = (),
                 page_size: int = 4096, config: Mapping[str, Any] | None = None):
        self.initrd = initrd
        self.builtin = builtin
        self.cmdline = cmdline
        self.series = series
        self.page_size = page_size
        self.config = dict(config or {})


Given = GivenMount | GivenBoot
