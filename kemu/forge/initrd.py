# SPDX-License-Identifier: GPL-2.0-only
"""Layered initrds: cpio archives and EROFS images one behind the other, with padding between them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kemu.forge.cpio_choose import CpioArchive, CpioOptions, choose_cpio
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.pick import Pick

#: what may follow what: c a cpio archive, e an EROFS image
SHAPES = ("c", "e", "ce", "cc", "ee", "cce", "cec", "cece", "ec", "eec")


@dataclass(frozen=True, slots=True)
class InitrdOptions:
    """``alignments``: where an image may begin, in bytes from the start; the first is the simplest."""

    shapes: tuple[str, ...] = SHAPES
    alignments: tuple[int, ...] = (4096, 512, 4, 1)
    cpio: CpioOptions = CpioOptions(max_segments=2, max_members=4)
    erofs: ErofsOptions = ErofsOptions(max_nodes=4)


@dataclass(frozen=True, slots=True)
class Part:
    """One layer: ``size`` bytes at ``offset`` of the initrd; ``of`` is the archive or the image with its ground truth."""

    offset: int
    size: int
    of: CpioArchive | ErofsImage

    @property
    def kind(self) -> str:
        """"erofs" or "cpio"."""
        return "erofs" if isinstance(self.of, ErofsImage) else "cpio"


@dataclass(eq=False, slots=True)
class Initrd:
    """Bytes and layers. What is between layers is zero."""

    data: bytes
    parts: list[Part]
    label: str = ""

    def describe(self) -> str:
        """Where each layer is, and what it holds."""
        lines = [f"initrd {self.label or '(built)'}: {len(self.data)} bytes"]
        for p in self.parts:
            lines.append(f" at {p.offset:#x} (mod 4096: {p.offset % 4096}), {p.size} bytes: {p.kind}")
            lines += ["   " + line for line in p.of.describe().splitlines()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.describe()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis prints it."""
        printer.text(self.describe())


def choose_initrd(pick: Pick, options: InitrdOptions = InitrdOptions(), label: str = "") -> Initrd:
    """One initrd. A cpio layer begins at a multiple of 4, as the kernel demands; an image at one of the alignments."""
    data = bytearray()
    parts: list[Part] = []

    def layer(kind: str) -> None:
        of: CpioArchive | ErofsImage
        if kind == "c":
            of = choose_cpio(pick, options.cpio)
            unit = 4
        else:
            of = choose_image(pick, options.erofs)
            unit = pick.one_of("alignment", options.alignments)
        if data and pick.rare("padding", 3):
            data.extend(bytes(4 * pick.int("words of padding", 0, 256)))
        data.extend(bytes(-len(data) % unit))
        parts.append(Part(len(data), len(of.data), of))
        data.extend(of.data)

    for kind in pick.one_of("shape", options.shapes):
        pick.group(lambda: layer(kind))  # noqa: B023 - called at once
    if pick.rare("zeros at the end", 4):
        data.extend(bytes(pick.int("zeros", 1, 5000)))
    return Initrd(bytes(data), parts, label)
