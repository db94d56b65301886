# SPDX-License-Identifier: GPL-2.0-only
"""Bugs that EROFS and memory-backed mounts really had, put back into the port as a few changed lines each.

The labels are the museum's entry numbers. Each names the experiments that have to find it; what they report is theirs.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.port.statics import statics
from kemu.linux.types import u64
from kemu.machine.series import Series
from tests.quality.hunt import Mutant

from erofs_memback import data, decompressor, inode, memback, super, xattr, zdata_frontend, zdata_submit, zmap, zmap_lcluster

mutants: list[Mutant] = []


def mutant(name: str, experiments: tuple[str, ...], *edits: tuple[Any, ...], names: dict[str, Any] | None = None, title: str = "",
           detector: str = "",
           anyway: bool = False) -> None:
    """``edits``: (function, (old, new), ...) each; none: the code as it is has the bug."""
    s = Series(name, ("erofs_memback",))
    for original, *hunks in edits:
        s.edits(original, *hunks, names=names)
    mutants.append(Mutant(s, experiments, title, detector, anyway=anyway))


mutant("1-avail-underflow", ("memback.cut-short",), (memback.erofs_memback_copy, ("""\
    avail = region.size - pos if pos < region.size else 0
    if avail > length:
        avail = length
    if avail:
""", """\
    avail = u64(region.size - pos)
    if avail > length:
        avail = length
    if avail and pos < region.size:
""")), names={"u64": u64}, title="never written")

mutant("7-freed-under-mount", ("memback.owner-leaves",), (memback.erofs_fc_set_memback, ("""\
    erofs_memback_region_get(region)
""", "")), title="use-after-free")

mutant("35-label-leak", ("bdev.failing-calls",), (super.erofs_read_superblock, ("""\
            if not sbi.volume_name:
                return -ENOMEM
""", """\
            if not sbi.volume_name:
                buf.page = None
                return -ENOMEM
""")))

mutant("37-kill-sb-mode", ("bdev.failing-calls", "memback.failing-calls"), (super.erofs_kill_sb, ("""\
    if sbi.dif0.file:
""", """\
    if not sb.s_bdev:
""")))

mutant("39-inode-crosses-a-block", ("bdev.ground-truth",), (inode.erofs_read_inode, ("""\
            if ofs + vi.inode_isize <= sb.s_blocksize:
""", """\
            if ofs + vi.inode_isize:
""")))

mutant("43-clusterofs-range", ("bdev.damaged",), (zmap_lcluster.z_erofs_load_lcluster_from_disk, ("""\
            m.clusterofs >= s32(1 << vi.z_lclusterbits)):
""", """\
            m.clusterofs < 0):
""")))

mutant("49-inline-read-after-chain", ("bdev.failing-calls",), (zdata_frontend.z_erofs_pcluster_begin, ("""\
        ptr = erofs_bread(map.buf, map.m_pa, False)
        if IS_ERR(ptr):
""", """\
        ret = z_erofs_register_pcluster(fe)
        if ret:
            return ret
        ptr = erofs_bread(map.buf, map.m_pa, False)
        if IS_ERR(ptr):
""")), (zdata_frontend.z_erofs_register_pcluster, ("""\
    pageofs_in = erofs_blkoff(sb, map.m_pa)
""", """\
    if fe.pcl and map.m_flags & EROFS_MAP_META:
        return 0
    pageofs_in = erofs_blkoff(sb, map.m_pa)
""")))

mutant("memback-no-limit", ("memback.cut-short",), (memback.erofs_memback_copy, ("""\
    if avail > length:
        avail = length
""", """\
    avail = length if avail else 0
""")), title="KASAN")

mutant("memback-region-leak", ("memback.ground-truth",), (memback.erofs_memback_region_put, ("""\
        kfree(region)
""", """\
        pass
""")), title="memory leak")

mutant("memback-tail-not-zeroed", ("memback.cut-short",), (memback.erofs_memback_meta_read_folio, ("""\
    folio_zero_segment(folio, avail, size)
""", "")), title="nobody wrote")

mutant("data-off-by-one-page", ("bdev.ground-truth",), (data.erofs_bread, ("""\
    if not folio or not folio_contains(folio, index):
""", """\
    if not folio or not folio_contains(folio, index - 1) and not folio_contains(folio, index):
""")))

mutant("zmap-lookback", ("bdev.ground-truth",), (zmap_lcluster.z_erofs_load_compact_lcluster, ("""\
        m.delta[0] = lo + 1
        return 0
    m.clusterofs = lo
""", """\
        m.delta[0] = lo + 2
        return 0
    m.clusterofs = lo
""")))

mutant("zdata-bio-order", ("bdev.ground-truth", "bdev.readers-and-umount"), (zdata_submit.z_erofs_decompress_kickoff, ("""\
        if not atomic_add_return(bios, io.pending_bios):
""", """\
        if atomic_add_return(bios, io.pending_bios) < 0:
""")))

# the slot is what the posted memback has; here it is put into ours, which has no other fault
@statics
class _slot:
    region = None


mutant("3-pending-slot-overwrite", ("memback.two-mounts",), (memback.erofs_fc_set_memback, ("""\
    sbi.memback = region
""", """\
    sbi.memback = region
    museum_slot.region = region
""")), (memback.erofs_memback_init_super, ("""\
    inode = new_inode(sb)
""", """\
    sbi = EROFS_SB(sb)
    if not museum_slot.region:
        return -19      # ENODEV: somebody else took it
    erofs_memback_region_get(museum_slot.region)
    erofs_memback_region_put(sbi.memback)
    sbi.memback = museum_slot.region
    museum_slot.region = None
    inode = new_inode(sb)
""")), names={"museum_slot": _slot})

mutant("3-pending-slot-as-posted", ("memback-rfc.two-mounts",))

# erofs_bread() fails before it lets go of what it had, as it does for a file that must not be read
mutant("41-xattr-metabuf-leak", ("bdev.failing-calls",), (xattr.erofs_init_inode_xattrs, ("""\
                vi.xattr_shared_xattrs = 0
                ret = PTR_ERR(xattr_id)
""", """\
                vi.xattr_shared_xattrs = 0
                buf.page = None
                ret = PTR_ERR(xattr_id)
""")), (data.erofs_bread, ("""\
        erofs_put_metabuf(buf)
        folio = read_mapping_folio(buf.mapping, index, buf.file)
        if IS_ERR(folio):
            return folio
""", """\
        folio = read_mapping_folio(buf.mapping, index, buf.file)
        if IS_ERR(folio):
            return folio
        erofs_put_metabuf(buf)
""")), title="still held")

mutant("45-ext-8-byte-lstart", ("bdev.ground-truth",), (zmap.z_erofs_map_blocks_ext, ("""\
            lstart = round_down(map.m_la, 1 << vi.z_lclusterbits)
            pos = u64(pos + (lstart >> vi.z_lclusterbits) * recsz)
""", """\
            lstart = map.m_la >> vi.z_lclusterbits
"""), ("""\
            if recsz > _OFF_PSTART_LO:
                vi.z_fragmentoff |=""", """\
            if recsz >= _OFF_PSTART_LO:
                vi.z_fragmentoff |=""")))

OVERLAP = "array-index-out-of-bounds in z_erofs_lz4_handle_overlap"

mutant("47-lz4-overlap-no-guard", ("bdev.ends-early",), (zmap.z_erofs_map_sanity_check, ("""\
        if (EROFS_MAP_FULL(map.m_flags) and map.m_llen < map.m_plen and
                u64(map.m_la + map.m_llen) < inode.i_size):
""", """\
        if False:
""")), title=OVERLAP, anyway=True)

mutant("47-lz4-overlap-as-in-7.2", ("bdev.ends-early",), title=OVERLAP)

# the fix that Linux had for one release: with it there is nothing to find
overlap_guard = Series("47-lz4-overlap-guard", ("erofs_memback",))
overlap_guard.edits(decompressor.z_erofs_lz4_handle_overlap, ("""\
    if (not rq.partial_decoding and may_inplace and
""", """\
    if (not rq.partial_decoding and may_inplace and rq.outpages >= rq.inpages and
"""))

# whose shrunk input still is an image or an archive with several odd things
mutants[:] = [m._replace(small=60) if m.series.name in ("43-clusterofs-range", "35-label-leak") else m for m in mutants]
