# SPDX-License-Identifier: GPL-2.0-only
"""Tree and plan to image: decide sizes, place everything, write it, and remember what was written."""
from __future__ import annotations

from collections.abc import Callable

from kemu.forge import tree as t
from kemu.forge.crc32c import crc32c
from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs.dirblocks import encode_dir
from kemu.forge.erofs.extbody import ExtBody
from kemu.forge.erofs.image import ErofsImage, InodeTruth
from kemu.forge.erofs.inode import InodeBuild
from kemu.forge.erofs.plan import ImagePlan, PlanError
from kemu.forge.erofs.space import Body, Run, Space, arrange, share
from kemu.forge.erofs.xattr import SharedXattrs
from kemu.forge.erofs.zbody import PartialPool


def build(root: t.Dir, plan: ImagePlan | None = None) -> ErofsImage:
    """Write ``root`` as ``plan`` says. Raises PlanError for what the format cannot express."""
    plan = plan or ImagePlan()
    if not 9 <= plan.blkszbits <= 16:
        raise PlanError(f"block size {1 << plan.blkszbits}: EROFS has 512 to 65536")
    return _Writer(root, plan).build()


class _Writer:
    def __init__(self, root: t.Dir, plan: ImagePlan) -> None:
        self.root, self.plan = root, plan
        self.bs = 1 << plan.blkszbits
        self.inodes: dict[int, InodeBuild] = {}
        self.shared = SharedXattrs()
        self.pool = PartialPool()
        self.xattr_run: Run | None = None
        self.devices: list[tuple[int, int]] = []           # (first block, blocks) of the extra devices

    def build(self) -> ErofsImage:
        self._collect()
        sb_end = self._place()
        image = bytearray([self.plan.fill]) * self.total
        image[d.EROFS_SUPER_OFFSET:sb_end] = bytes(sb_end - d.EROFS_SUPER_OFFSET)
        for i in self.inodes.values():
            if isinstance(i.node, t.Dir):
                i.set_dir_data(encode_dir(i.dir_blocks, self.bs, i.size, self._dirent_of(i)))
        for i in self.inodes.values():
            self._write_runs(image, i.runs)
            raw = i.encode(self.devices)
            image[i.pos:i.pos + len(raw)] = raw
        if self.xattr_run:
            self._write_runs(image, [self.xattr_run])
        features = self._write_super(image)
        return ErofsImage(bytes(image), self.root, self.plan, {k: self._truth(i) for k, i in self.inodes.items()}, features,
                          devices=self.devices)

    # sizes

    def _collect(self) -> None:
        nlink = t.nlinks(self.root)
        parents: dict[int, t.Dir] = {id(self.root): self.root}
        for _, node in t.walk(self.root):
            if id(node) not in self.inodes:
                self.inodes[id(node)] = InodeBuild(node, self.plan, nlink[id(node)], len(self.inodes) + 1, self.shared, self.pool)
            if isinstance(node, t.Dir):
                for child in node.entries.values():
                    if isinstance(child, t.Dir):
                        parents[id(child)] = node
        for key, i in self.inodes.items():
            if isinstance(i.node, t.Dir):
                i.parent = parents[key]
        if self.shared.blob:
            blob = bytes(self.shared.blob)
            self.xattr_run = Run(-(-len(blob) // self.bs), blob + bytes(-len(blob) % self.bs), len(blob), 0)

    # places

    def _place(self) -> int:
        plan, bs = self.plan, self.bs
        self.bits48 = plan.bits48 or any(i.layout == "extents" for i in self.inodes.values())
        self.nid64 = self.bits48 and not plan.short_root
        self.z = [i.z for i in self.inodes.values() if i.z]
        self.zext = [e for z in self.z for e in z.extents]
        # several blocks, or maybe: extent records put pclusters at any byte
        self.cfgs = (plan.compr_cfgs or any(z.z.big or isinstance(z, ExtBody) for z in self.z)
                     or any(e.blocks > 1 for e in self.zext))
        sb_size = d.SUPER_SIZE + 16 * plan.sb_extslots
        sb_end = d.EROFS_SUPER_OFFSET + sb_size + (16 if self.cfgs else 0)
        self.slots = -(-sb_end // d.EROFS_DEVT_SLOT_SIZE) if plan.devices else 0
        if plan.devices:
            sb_end = (self.slots + plan.devices) * d.EROFS_DEVT_SLOT_SIZE
        space = Space(bs, d.EROFS_SUPER_OFFSET, sb_end, plan.first_slot * 32 if plan.first_slot else sb_end)
        bodies: list[Body] = []
        runs: list[tuple[Body, Run]] = []
        for i in self.inodes.values():
            b = Body(i, i.body_size, i.tail_len, i.plan.at, i.plan.gap)
            bodies.append(b)
            runs += [(b, r) for r in i.runs]
        if self.xattr_run:
            runs.insert(0, (bodies[0], self.xattr_run))
        if plan.dedupe:
            share([r for _, r in runs])
        runs = [(b, r) for b, r in runs if r.host is None]
        for item in arrange(bodies, runs, plan):
            if isinstance(item, Body):
                space.body(item)
            elif not item.device:
                space.run(item)
        for b in bodies:
            b.owner.pos = b.pos
        self.blocks = -(-space.end // bs) + plan.tail_blocks
        self.total = self.blocks * bs
        for k in range(1, plan.devices + 1):
            first = self.total // bs + plan.device_gap
            device = Space(bs, 0, 0, first * bs)
            for _, r in runs:
                if r.device == k:
                    device.run(r)
            self.total = -(-max(device.end, device.cursor) // bs) * bs
            self.devices.append((first, self.total // bs - first))
        self._meta_area(min(b.pos for b in bodies))
        return sb_end

    def _meta_area(self, lowest: int) -> None:
        """Choose meta_blkaddr: below every inode (nid 0 stays unused) and within 16 bits of the root."""
        highest_meta = max(0, (lowest - 32) // self.bs)
        root_pos = self.inodes[id(self.root)].pos
        meta = 0 if self.plan.meta is None else max(0, highest_meta - self.plan.meta)
        if (root_pos - meta * self.bs) // 32 > 0xFFFF and not self.nid64:
            meta = highest_meta
        self.meta = meta
        for i in self.inodes.values():
            i.nid = (i.pos - meta * self.bs) // 32
        if self.inodes[id(self.root)].nid > 0xFFFF and not self.nid64:
            raise PlanError("the root inode is more than 65535 slots above the lowest inode")

    # bytes

    def _dirent_of(self, i: InodeBuild) -> Callable[[bytes], tuple[int, int]]:
        node = i.node
        assert isinstance(node, t.Dir)

        def lookup(name: bytes) -> tuple[int, int]:
            if name == b".":
                return i.nid, t.FT_DIR
            if name == b"..":
                return self.inodes[id(i.parent)].nid, t.FT_DIR
            child = node.entries[name]
            return self.inodes[id(child)].nid, child.FT

        return lookup

    def _write_runs(self, image: bytearray, runs: list[Run]) -> None:
        for r in runs:
            if r.host is None:
                assert r.data is not None and len(r.data) == r.blocks * self.bs
                image[r.blk * self.bs:(r.blk + r.blocks) * self.bs] = r.data

    def _write_super(self, image: bytearray) -> dict[str, int]:
        plan = self.plan
        compat = (d.EROFS_FEATURE_COMPAT_SB_CHKSUM if plan.checksum else 0) | d.EROFS_FEATURE_COMPAT_MTIME
        if plan.xattr_filter:
            compat |= d.EROFS_FEATURE_COMPAT_XATTR_FILTER
        incompat = plan.extra_incompat
        compr = 0
        if self.z or self.cfgs:
            incompat |= d.EROFS_FEATURE_INCOMPAT_LZ4_0PADDING
            compr = plan.lz4_max_distance
        if self.cfgs:
            incompat |= d.EROFS_FEATURE_INCOMPAT_COMPR_CFGS
            compr = 1 << d.Z_EROFS_COMPRESSION_LZ4
        if any(i.layout == "chunk" for i in self.inodes.values()):
            incompat |= d.EROFS_FEATURE_INCOMPAT_CHUNKED_FILE
        if any(e.inline for e in self.zext):
            incompat |= d.EROFS_FEATURE_INCOMPAT_ZTAILPACKING
        if self.bits48:
            incompat |= d.EROFS_FEATURE_INCOMPAT_48BIT
        if plan.devices:
            incompat |= d.EROFS_FEATURE_INCOMPAT_DEVICE_TABLE
            for k, (first, blocks) in enumerate(self.devices):
                pos = (self.slots + k) * d.EROFS_DEVT_SLOT_SIZE
                image[pos:pos + d.EROFS_DEVT_SLOT_SIZE] = d.deviceslot(b"device %d" % (k + 1), blocks, first)
        if any(e.type == d.Z_EROFS_LCLUSTER_TYPE_HEAD2 for e in self.zext):
            incompat |= d.EROFS_FEATURE_INCOMPAT_COMPR_HEAD2
        if any(e.partial for e in self.zext):
            incompat |= d.EROFS_FEATURE_INCOMPAT_DEDUPE
        fields = {
            "feature_compat": compat, "blkszbits": plan.blkszbits, "sb_extslots": plan.sb_extslots,
            "root_nid": self.inodes[id(self.root)].nid, "inos": len(self.inodes), "epoch": plan.epoch,
            "fixed_nsec": plan.fixed_nsec,
            "blocks": self.blocks, "meta_blkaddr": self.meta,
            "xattr_blkaddr": self.xattr_run.block() if self.xattr_run else 0, "feature_incompat": incompat, "compr": compr,
            "build_time": plan.build_time, "extra_devices": plan.devices, "devt_slotoff": self.slots,
        }
        sb = d.super_block(uuid=plan.uuid, volume_name=plan.volume_name, nid64=self.nid64, **fields)
        image[d.EROFS_SUPER_OFFSET:d.EROFS_SUPER_OFFSET + len(sb)] = sb
        if self.cfgs:
            pos = d.EROFS_SUPER_OFFSET + d.SUPER_SIZE + 16 * plan.sb_extslots
            most = max([-(-(e.pa % self.bs + len(e.encoded)) // self.bs) for e in self.zext if e.encoded], default=1)
            image[pos:pos + 16] = d.lz4_cfgs(plan.lz4_max_distance, most)
        if plan.checksum:
            fix_checksum(image)
        keep = ("root_nid", "blocks", "meta_blkaddr", "xattr_blkaddr", "feature_compat", "feature_incompat")
        return {k: fields[k] for k in keep}

    def _truth(self, i: InodeBuild) -> InodeTruth:
        return InodeTruth(i.node, i.nid, i.pos, i.body_size, i.extended, i.layout, i.size, i.nlink, len(i.xattrs), i.index_pos(),
                          i.plan.flaw, i.truth(), 1 << i.z.lbits if i.z else 0, i.z.z.big if i.z else 0, i.dir_blocks or None)


def fix_checksum(image: bytearray) -> None:
    """Make the superblock checksum right, whatever else the image holds."""
    base = d.EROFS_SUPER_OFFSET
    if len(image) < base + d.SUPER_SIZE:
        return
    length = 1 << (image[base + 12] & 31)
    if length > 1 << 16:
        return                              # no kernel looks at the checksum of such blocks
    if length > base:
        length -= base
    crc = crc32c(0x5045B54A, bytes(image[base + 8:base + length]).ljust(length - 8, b"\0"))
    image[base + 4:base + 8] = crc.to_bytes(4, "little")
