# SPDX-License-Identifier: GPL-2.0-only
"""The lcluster index behind a compressed inode: full (8 bytes an lcluster) and compact (packs of 4-byte and 2-byte entries)."""
from __future__ import annotations

from dataclasses import dataclass

from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs.plan import PlanError
from kemu.forge.erofs.zdata import ZExtent

NONHEAD = d.Z_EROFS_LCLUSTER_TYPE_NONHEAD
_D_MAX = d.Z_EROFS_LI_D0_CBLKCNT - 1        # distances use 11 bits; longer ones go by several steps


@dataclass(slots=True)
class LCluster:
    """One lcluster: a head (``ext`` starts in it at ``clusterofs``) or a NONHEAD with the distances to its head and the next."""

    head: bool
    ext: ZExtent
    clusterofs: int = 0
    back: int = 0
    ahead: int = 0


def lclusters(extents: list[ZExtent], size: int, lclusterbits: int, big: int = 0, eof_head: bool = False) -> list[LCluster]:
    """The lclusters of a file of ``size`` bytes. ``eof_head``: a PLAIN head at EOF instead of a last NONHEAD, as mkfs.erofs has
    it.
    """
    lsize = 1 << lclusterbits
    total = -(-size // lsize)
    out: list[LCluster] = []
    for i, ext in enumerate(extents):
        lcn = ext.la >> lclusterbits
        end = extents[i + 1].la >> lclusterbits if i + 1 < len(extents) else total
        if lcn != len(out) or end <= lcn:
            raise PlanError(f"two extents start in lcluster {lcn}")
        out.append(LCluster(True, ext, ext.la & (lsize - 1)))
        out += [LCluster(False, ext, back=k - lcn, ahead=end - k) for k in range(lcn + 1, end)]
    last = out[-1]
    if eof_head and not last.head and size % lsize and not (last.back == 1 and last.ext.blocks > 1 and _big(last.ext, big)):
        marker = ZExtent(size, 0, d.Z_EROFS_LCLUSTER_TYPE_PLAIN, 0, b"", "eof", inline=True)
        out[-1] = LCluster(True, marker, size % lsize)
        for k, c in enumerate(reversed(out[:-1]), 1):
            if c.head:
                break
            c.ahead = k
    return out


def _big(ext: ZExtent, big: int) -> bool:
    return bool(big & (1 if ext.type == d.Z_EROFS_LCLUSTER_TYPE_HEAD1 else 2))


def encode_full(clusters: list[LCluster], big: int, short_deltas: bool = False) -> bytes:
    """``struct z_erofs_lcluster_index[]``. ``big``: bit 0 BIG_PCLUSTER_1, bit 1 BIG_PCLUSTER_2."""
    out = []
    for c in clusters:
        if c.head:
            advise = c.ext.type
            if c.ext.partial:
                advise |= d.Z_EROFS_LI_PARTIAL_REF
            if c.ext.hole:
                advise |= d.Z_EROFS_LI_HOLE
            out.append(d.lcluster_head(advise, c.clusterofs, c.ext.pblk))
        else:
            if c.back == 1 and _big(c.ext, big):
                delta0 = d.Z_EROFS_LI_D0_CBLKCNT | c.ext.blocks
            else:
                delta0 = 1 if short_deltas else min(c.back, _D_MAX)
            out.append(d.lcluster_nonhead(delta0, 1 if short_deltas else c.ahead))
    return b"".join(out)


@dataclass(slots=True)
class PackMap:
    """Where the compact entries are: ``initial`` 4-byte entries, ``twos`` 2-byte entries, then 4-byte entries again."""

    initial: int
    twos: int
    total: int                  # lclusters that exist

    def packs(self) -> list[tuple[int, int, int]]:
        """(first lcn, entries, bytes per pack) of every pack that holds an lcluster of the file."""
        out = []
        lcn = 0
        while lcn < self.total:
            two = self.initial <= lcn < self.initial + self.twos
            out.append((lcn, 16, 32) if two else (lcn, 2, 8))
            lcn += 16 if two else 2
        return out

    def size(self) -> int:
        """Bytes of the whole index, up to the end of the pack of the last lcluster."""
        return sum(nbytes for _, _, nbytes in self.packs())


def pack_map(ebase: int, isize: int, blkszbits: int, total: int, compact_2b: bool) -> PackMap:
    """As z_erofs_load_compact_lcluster() computes it: from the number of blocks, not of lclusters."""
    blocks = (isize + (1 << blkszbits) - 1) >> blkszbits
    initial = ((32 - ebase % 32) // 4) & 7
    twos = (blocks - initial) // 16 * 16 if compact_2b and initial < blocks else 0
    return PackMap(initial, twos, total)


def pack_groups(pm: PackMap, clusters: list[LCluster]) -> list[list[ZExtent]]:
    """The extents whose pclusters a pack addresses together: within a group they must be consecutive on disk."""
    groups = []
    for first, count, _ in pm.packs():
        group = [c.ext for c in clusters[first:first + count] if c.head and not c.ext.inline]
        if group:
            groups.append(group)
    return groups


def encode_compact(pm: PackMap, clusters: list[LCluster], lclusterbits: int, big: bool) -> bytes:
    """The packs. Raises PlanError where the pclusters of one pack are not consecutive, or where entries are too narrow."""
    if lclusterbits > 14 or (pm.twos and lclusterbits > 12):
        raise PlanError(f"compact indexes of lclusters of {1 << lclusterbits} bytes")
    lobits = max(lclusterbits, 12)
    out = bytearray()
    for first, count, nbytes in pm.packs():
        encodebits = (nbytes - 4) * 8 // count
        bits = 0
        base = nblk = None
        pending = 0              # blocks counted by a CBLKCNT of a pcluster whose head is in the pack before
        for i, c in enumerate(clusters[first:first + count]):
            if c.head:
                lo, kind = c.clusterofs, c.ext.type
                if c.ext.hole or c.ext.partial:
                    raise PlanError("compact indexes know neither holes nor partial references")
                if not c.ext.inline:
                    if base is None:
                        base = (c.ext.pblk - (pending if big else 1)) & 0xFFFFFFFF
                    elif c.ext.pblk != nblk:
                        raise PlanError("the pclusters of one compact pack are not consecutive")
                    nblk = c.ext.pblk + c.ext.blocks
            else:
                kind = NONHEAD
                if big and c.back == 1:
                    lo = d.Z_EROFS_LI_D0_CBLKCNT | c.ext.blocks
                    if i == 0:
                        pending = c.ext.blocks
                elif i + 1 == count:
                    lo = min(c.ahead, _D_MAX)
                else:
                    lo = min(c.back, _D_MAX)
            bits |= (lo | kind << lobits) << (encodebits * i)
        out += bits.to_bytes(nbytes - 4, "little")
        out += (base or 0).to_bytes(4, "little")
    return bytes(out)
