# SPDX-License-Identifier: GPL-2.0-only
"""What a run cost, counted where it happens."""
from __future__ import annotations


class Counters:
    """Plain integers; ``as_dict()`` for reports. Bytes are bytes, everything else is a number of events."""

    __slots__ = ("bios", "bio_bytes", "block_crossings", "bytes_copied", "bytes_decompressed", "bytes_to_reader", "folios_cached",
                 "kmalloc_bytes",
                 "kmaps", "pages_allocated", "pages_freed", "pages_in_use", "pages_peak", "task_switches", "vm_maps")
    bios: int
    bio_bytes: int
    block_crossings: int
    bytes_copied: int
    bytes_decompressed: int
    bytes_to_reader: int
    folios_cached: int
    kmalloc_bytes: int
    kmaps: int
    pages_allocated: int
    pages_freed: int
    pages_in_use: int
    pages_peak: int
    task_switches: int
    vm_maps: int

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    def as_dict(self) -> dict[str, int]:
        """Name -> count, in their order."""
        return {name: getattr(self, name) for name in self.__slots__}
