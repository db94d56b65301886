# SPDX-License-Identifier: GPL-2.0-only
"""One case: an image with its devices, or an archive, and what is done with it."""
from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from kemu.rung.c.cover import doors
from kemu.rung.c.kernel import Kernel
from kemu.rung.c.module import come_and_go
from kemu.rung.protocol import Answer

CAP, MOST = 1 << 16, 64                # bytes of a file that are read, and entries of a tree
_MAGIC = "kemu-case"


class NotACase(ValueError):
    """The bytes are not those of a kept case."""


@dataclass(frozen=True)
class Case:
    """``kind``: ``erofs`` (mounted and walked), ``cpio`` (a boot unpacks it; ``options`` are its command line, ``devices`` the
    archive that is built in) or ``module`` (fs/erofs comes, mounts it, and goes; ``options`` are its parameters); the rest as of
    ``Kernel.erofs``.
    """

    data: bytes
    kind: str = "erofs"
    options: str = ""
    backend: str = "disk"
    memory: str = "linear"
    at: int = 0
    devices: tuple[bytes, ...] = ()
    fail_nth: int = 0
    facts: bool = False                # what else can be seen of each inode: extents, holes, names
    doors: bool = False                # what else the file system can be asked: doors.py

    def run(self, kernel: Kernel) -> Answer:
        """What a kernel makes of it."""
        if self.kind == "module":
            return come_and_go(kernel, self.data, self.fail_nth, self.options)
        if self.kind == "cpio":
            return kernel.cpio(self.data, at=self.at, memory=self.memory, cap=CAP, fail_nth=self.fail_nth, cmdline=self.options,
                               builtin=b"".join(self.devices), then=doors.firmware if self.options else None)
        return kernel.erofs(self.data, at=self.at, options=self.options, devices=self.devices, backend=self.backend,
                            memory=self.memory, cap=CAP, max_entries=MOST, fail_nth=self.fail_nth, facts=self.facts,
                            then=doors.ask if self.doors else None)

    @property
    def alone(self) -> bool:
        """Whether it has a kernel of its own, which takes as long as a hundred cases."""
        return self.kind == "module" or (self.kind == "cpio" and bool(self.options))

    def how(self) -> dict[str, Any]:
        """Everything but the bytes; of what is as usual, nothing."""
        return {f.name: getattr(self, f.name) for f in fields(self)
                if f.name not in ("data", "devices") and (f.name == "kind" or getattr(self, f.name) != f.default)}

    def __str__(self) -> str:
        words = [f"{name}={value}" for name, value in self.how().items() if name != "kind"]
        return ", ".join([f"{self.kind}, {len(self.data)} bytes", *(f"device of {len(d)} bytes" for d in self.devices), *words])

    def pack(self) -> bytes:
        """As it is kept: a line of JSON that says how and how long, then the bytes."""
        head = {_MAGIC: 1, **self.how(), "sizes": [len(self.data), *map(len, self.devices)]}
        return json.dumps(head, sort_keys=True).encode() + b"\n" + self.data + b"".join(self.devices)

    def key(self) -> str:
        """Its name: the hash of what is kept."""
        return hashlib.sha256(self.pack()).hexdigest()[:24]


def unpack(raw: bytes) -> Case:
    """The case that was kept as these bytes. ``NotACase``."""
    line, _, rest = raw.partition(b"\n")
    try:
        head = json.loads(line)
        if head.pop(_MAGIC) != 1:
            raise NotACase("another version of the format")
        sizes = [int(n) for n in head.pop("sizes")]
        known = {f.name for f in fields(Case)} - {"data", "devices"}
        if set(head) - known or min(sizes) < 0 or sum(sizes) != len(rest):
            raise NotACase("cut off, or not of this format")
        parts, at = [], 0
        for n in sizes:
            parts.append(rest[at:at + n])
            at += n
        case = Case(parts[0], devices=tuple(parts[1:]), **head)
    except NotACase:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise NotACase("not a kept case") from None
    if any(type(value) is not type(asdict(Case(b""))[name]) for name, value in head.items()):
        raise NotACase("not a kept case")
    return case
