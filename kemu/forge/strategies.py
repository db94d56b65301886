# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies of everything the forge makes.

They run the same generators as ``kemu forge``: a :class:`~kemu.forge.pick.Pick` whose choices Hypothesis draws, so that it
shrinks trees, layouts, placements and corruptions together. The first value of every choice is the plainest one.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from kemu.forge.cpio_choose import CpioArchive, CpioOptions, break_cpio, choose_cpio
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.mutate import KINDS, CorruptImage, mutate
from kemu.forge.initrd import Initrd, InitrdOptions, choose_initrd
from kemu.forge.pick import Pick
from kemu.forge.placement import MEMORY_KINDS, Placement, choose_placement


@lru_cache(maxsize=4096)
def _ints(low: int, high: int) -> SearchStrategy[int]:
    return st.integers(low, high)


_NOTHING: SearchStrategy[None] = st.none()


class DrawnValues:
    """Choices drawn by Hypothesis; a group is one span, which its shrinker deletes or moves as a whole."""

    def __init__(self, draw: DrawFn) -> None:
        self.draw = draw

    def value(self, name: str, low: int, high: int) -> int:
        """An int in [low, high], drawn by Hypothesis."""
        return low if low == high else self.draw(_ints(low, high))

    def group(self, fn: Callable[[], Any]) -> Any:
        """``fn()`` within a draw of its own, so that Hypothesis can take it out as a whole."""
        return self.draw(_NOTHING.map(lambda _: fn()))


def _draw_image(draw: DrawFn, options: ErofsOptions) -> ErofsImage:
    return choose_image(Pick(DrawnValues(draw)), options)


_erofs_images: Callable[..., SearchStrategy[ErofsImage]] = st.composite(_draw_image)


def erofs_images(options: ErofsOptions | None = None, **changes: Any) -> SearchStrategy[ErofsImage]:
    """Legal EROFS images with their ground truth (:class:`~kemu.forge.erofs.image.ErofsImage`).

    ``changes``: fields of :class:`~kemu.forge.erofs.choose.ErofsOptions`, e.g. ``block_bits=(12,)``,
    ``layouts=("plain", "compact")``, ``max_nodes=3``, ``flaws=True``. They shrink to an empty root directory with 4096-byte
    blocks.
    """
    return _erofs_images(ErofsOptions(**changes) if options is None else options)


def _draw_corrupted(draw: DrawFn, options: ErofsOptions, most: int, kinds: tuple[str, ...]) -> CorruptImage:
    pick = Pick(DrawnValues(draw))
    return mutate(choose_image(pick, options), pick, most, kinds)


_corrupted: Callable[..., SearchStrategy[CorruptImage]] = st.composite(_draw_corrupted)


def corrupted_erofs_images(options: ErofsOptions | None = None, *, most: int = 3, kinds: tuple[str, ...] = KINDS,
                           **changes: Any) -> SearchStrategy[CorruptImage]:
    """Damaged images (:class:`~kemu.forge.erofs.mutate.CorruptImage`): one to ``most`` mutations of ``kinds``, with notes."""
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ValueError(f"unknown kinds of damage: {', '.join(sorted(unknown))}; known: {', '.join(KINDS)}")
    return _corrupted(ErofsOptions(**changes) if options is None else options, most, kinds)


def _draw_cpio(draw: DrawFn, options: CpioOptions) -> CpioArchive:
    return choose_cpio(Pick(DrawnValues(draw)), options)


def _draw_broken_cpio(draw: DrawFn, options: CpioOptions, most: int) -> CpioArchive:
    pick = Pick(DrawnValues(draw))
    return break_cpio(choose_cpio(pick, options), pick, most)


def _draw_initrd(draw: DrawFn, options: InitrdOptions) -> Initrd:
    return choose_initrd(Pick(DrawnValues(draw)), options)


_cpio: Callable[..., SearchStrategy[CpioArchive]] = st.composite(_draw_cpio)
_broken_cpio: Callable[..., SearchStrategy[CpioArchive]] = st.composite(_draw_broken_cpio)
_initrds: Callable[..., SearchStrategy[Initrd]] = st.composite(_draw_initrd)


def cpio_archives(options: CpioOptions | None = None, **changes: Any) -> SearchStrategy[CpioArchive]:
    """Valid initramfs archives with the tree that they must become (:class:`~kemu.forge.cpio_choose.CpioArchive`): newc and crc,
    hard links, padding, several archives, compressed parts, members over members. They shrink to one archive of a trailer."""
    return _cpio(CpioOptions(**changes) if options is None else options)


def broken_cpio_archives(options: CpioOptions | None = None, *, most: int = 2, **changes: Any) -> SearchStrategy[CpioArchive]:
    """The same with one to ``most`` things broken; ``truth`` and ``messages`` are None where the outcome is left to an oracle."""
    return _broken_cpio(CpioOptions(**changes) if options is None else options, most)


def initrds(options: InitrdOptions | None = None, **changes: Any) -> SearchStrategy[Initrd]:
    """Layered initrds (:class:`~kemu.forge.initrd.Initrd`): cpio archives and EROFS images in any order, padded or not."""
    return _initrds(InitrdOptions(**changes) if options is None else options)


def _draw_placement(draw: DrawFn, page_sizes: tuple[int, ...], memory: tuple[str, ...], cut: int) -> Placement:
    return choose_placement(Pick(DrawnValues(draw)), page_sizes, memory, cut)


_placements: Callable[..., SearchStrategy[Placement]] = st.composite(_draw_placement)


def placements(page_sizes: Sequence[int] = (4096,), memory: Sequence[str] = ("linear",),
               cut: int = 0) -> SearchStrategy[Placement]:
    """Places for an image in memory; ``cut``: at most this many bytes missing at the end. They shrink to offset 0, nothing cut.
    """
    return _placements(tuple(page_sizes), tuple(memory), cut)


__all__ = ["MEMORY_KINDS", "DrawnValues", "Placement", "broken_cpio_archives", "choose_placement", "corrupted_erofs_images",
           "cpio_archives", "erofs_images",
           "initrds", "placements"]
