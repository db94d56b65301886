# SPDX-License-Identifier: GPL-2.0-only
"""Whose the memory of a layered initrd is: one owner, who lends parts of it to mounts and gives every page back once. Ours."""
from __future__ import annotations

from kemu.linux.memblock import free_reserved_area
from kemu.linux.page import arch
from kemu.linux.poison import POISON_FREE_INITMEM
from kemu.linux.slab import kfree, kzalloc_obj
from kemu.linux.types import NULL

from erofs_memback import memback
from initramfs.segments import segment


class initrd_owner:
    """[start, end), of which ``kept`` (whole pages) is lent to mounts; ``regions``: what is lent.

    ``committed``: the root stands, and what comes back is freed. Until then nothing is: an attempt that fails leaves the memory
    to upstream's code. ``withdrawn``: the owner's own references are gone already.
    """

    __slots__ = ("committed", "end", "kept", "regions", "retain", "start", "withdrawn")

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self.kept: list[tuple[int, int]] = []
        self.regions: list[memback.erofs_memback_region] = []
        self.committed = False
        self.retain = 0
        self.withdrawn = False


def owner_alloc(start: int, end: int, retain: int) -> initrd_owner:
    """An owner who has lent nothing. None: -ENOMEM."""
    owner = kzalloc_obj(initrd_owner)
    if owner is not None:
        owner.start, owner.end, owner.retain = start, end, retain
    return owner


def owner_lend(owner: initrd_owner, seg: segment, size: int) -> memback.erofs_memback_region:
    """A region for one mount, with the owner's reference: the first ``size`` bytes of a segment, all of which stays. None:
    -ENOMEM.
    """
    region = memback.erofs_memback_region_alloc(seg.start, size, owner_release, owner)
    if not region:
        return NULL
    owner.regions.append(region)
    mask = arch.PAGE_SIZE - 1
    lo, hi = seg.start & ~mask, (seg.end + mask) & ~mask
    if owner.kept and lo < owner.kept[-1][1]:
        lo = owner.kept.pop()[0]                # two images in one page
    owner.kept.append((lo, hi))
    return region


def owner_release(region: memback.erofs_memback_region) -> None:
    """->release() of a region: neither the owner nor a mount has it any more."""
    owner = region.owner
    owner.regions.remove(region)
    if owner.committed and not owner.regions:
        owner_end(owner)


def owner_end(owner: initrd_owner) -> None:
    """Nothing is lent: what was, is given back."""
    for start, end in owner.kept:
        owner_free(owner, start, end)
    kfree(owner)


def owner_free(owner: initrd_owner, start: int, end: int) -> None:
    start, end = max(start, owner.start), min(end, owner.end)
    if start < end and not owner.retain:
        free_reserved_area(start, end, POISON_FREE_INITMEM, "initrd")


def owner_commit(owner: initrd_owner) -> None:
    """From now on what comes back is freed; what no region touches goes at once, and so do the owner's own references."""
    owner.committed = True
    at = owner.start
    for start, end in [*owner.kept, (owner.end, owner.end)]:
        owner_free(owner, at, start)
        at = max(at, end)
    regions = list(owner.regions)
    if regions and owner.withdrawn:
        return                                          # whoever is still in there has the last reference
    for region in regions:
        memback.erofs_memback_region_put(region)        # the last one of all may end the owner
    if not regions:
        owner_end(owner)


def owner_withdraw(owner: initrd_owner) -> bool:
    """The owner's references go. Return: whether nobody else has one, and the memory is the caller's again."""
    for region in list(owner.regions):
        memback.erofs_memback_region_put(region)
    owner.withdrawn = True
    if owner.regions:
        return False
    kfree(owner)
    return True
