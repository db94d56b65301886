# SPDX-License-Identifier: GPL-2.0-only
"""A random tree with a random plan, from choices: what seeds, tokens and Hypothesis strategies of EROFS images run."""
from __future__ import annotations

from dataclasses import dataclass, replace

from kemu.forge import tree as t
from kemu.forge.content import KINDS, content
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.plan import FLAWS, LAYOUTS, ImagePlan, InodePlan, PlanError, ZPlan
from kemu.forge.erofs.suspects import suspects
from kemu.forge.erofs.writer import build
from kemu.forge.nodes import names_for, pick_attributes, pick_special, pick_target
from kemu.forge.pick import Pick


@dataclass(frozen=True, slots=True)
class ErofsOptions:
    """What images may be made.

    block_bits   log2 of the block sizes, the first is the simplest one
    max_nodes    names in the tree besides the root
    max_blocks   size of uncompressed files, in blocks (compressed ones are up to four times as long)
    max_bytes    size of any file
    layouts      data layouts, the first is the simplest one
    max_devices  extra devices
    xattrs       give inodes extended attributes
    odd          legal layouts that mkfs.erofs never makes
    flaws        inodes that lookup must refuse, with the errno in the manifest
    beyond_fsck  what Linux reads and fsck.erofs 1.9 does not (HOLE lclusters, inline PLAIN data beside interlaced data,
                 extra devices by unified addresses)
    suspects     also layouts that Linux 7.2 is known to read wrongly (kemu.forge.erofs.suspects)
    overlay      whiteouts and opaque directories, as a layer of an overlay has them
    short_root   48-bit layouts whose root's nid is in 16 bits, as mkfs.erofs makes them
    """

    block_bits: tuple[int, ...] = (12, 9, 10, 11)
    max_nodes: int = 8
    max_blocks: int = 6
    max_bytes: int = 1 << 18
    layouts: tuple[str, ...] = LAYOUTS
    max_devices: int = 2
    xattrs: bool = True
    odd: bool = True
    flaws: bool = False
    beyond_fsck: bool = False
    suspects: bool = False
    overlay: bool = False
    short_root: bool = False


ORDERS = ("meta-first", "data-first", "mixed", "meta-first-reverse", "data-reverse", "shuffled")


def choose_image(pick: Pick, options: ErofsOptions = ErofsOptions(), label: str = "") -> ErofsImage:
    """One image. A plan that the format cannot express (rare) is simplified to one that it can."""
    chooser = _ImageChooser(pick, options)
    root = chooser.tree()
    try:
        image = build(root, chooser.plan)
    except PlanError as e:
        for p in chooser.plan.inodes.values():
            p.data, p.at, p.gap = "plain", "next", 0
        chooser.plan.order, chooser.plan.meta = "meta-first", None
        image = build(root, chooser.plan)
        image.notes.append(f"plan simplified: {e}")
    while not options.suspects and (bad := suspects(image)):       # each round leaves fewer inline pclusters
        for s in bad:
            plan = chooser.plan.inodes[id(_node_at(root, s.path))]
            if plan.z:
                plan.z.tail, plan.z.kinds = False, plan.z.kinds.replace("h", "1")
        image = build(root, chooser.plan)
    image.label = label
    return image


def _node_at(root: t.Dir, path: str) -> t.Node:
    return next(node for p, node in t.walk(root) if t.manifest_path(p) == path)


class _ImageChooser:
    def __init__(self, pick: Pick, options: ErofsOptions) -> None:
        self.pick, self.options = pick, options
        self.left = options.max_nodes
        self.linkable: list[t.Node] = []
        self.plan = self._image_plan()
        self.bs = 1 << self.plan.blkszbits

    def _image_plan(self) -> ImagePlan:
        pick, odd = self.pick, self.options.odd
        plan = ImagePlan(blkszbits=pick.one_of("block_bits", self.options.block_bits))
        plan.order = pick.one_of("order", ORDERS if odd else ORDERS[:1])
        if plan.order == "shuffled":
            plan.keys = tuple(pick.shuffled("keys", 16))
        plan.dedupe = pick.rare("dedupe", 3)
        if pick.rare("super", 3):
            plan.checksum = not pick.rare("no checksum", 2)
            plan.epoch = pick.one_of("epoch", (0, 1_600_000_000, -1000))
            plan.fixed_nsec = pick.one_of("fixed_nsec", (0, 123_456_789))
            plan.build_time = pick.int("build_time", 0, 1000)
            plan.volume_name = pick.one_of("volume", (b"", b"forged", b"sixteen-bytes-ok"))
            plan.uuid = bytes([pick.int("uuid", 0, 255)] * 16)
            plan.compr_cfgs = pick.rare("compr_cfgs", 2)
            plan.xattr_filter = pick.rare("xattr_filter", 2)
        if self.options.max_devices and pick.rare("devices", 8):
            plan.devices = pick.int("extra devices", 1, self.options.max_devices)
            plan.device_gap = pick.int("device gap", 0, 2) if odd else 0
        if odd and pick.rare("odd image", 3):
            plan.sb_extslots = pick.one_of("sb_extslots", (0, 1, 2, 5))
            plan.bits48 = pick.rare("48 bit", 3)
            plan.first_slot = pick.one_of("first_slot", (0, 1, 7, 31))
            plan.meta = pick.one_of("meta", (None, 0, 1, 3))
            plan.tail_blocks = pick.one_of("tail_blocks", (0, 1, 3))
            plan.fill = pick.one_of("fill", (0, 0xA5, 0xFF))
        if self.options.short_root and pick.rare("48 bit, root's nid in 16", 4):
            plan.bits48 = plan.short_root = True
        return plan

    def tree(self) -> t.Dir:
        return self._dir(0)

    def _dir(self, depth: int) -> t.Dir:
        node = t.Dir()
        names = names_for(self.pick)
        most = self.left if depth == 0 else min(self.left, 4)
        if depth == 0 or most:
            self.pick.several("entry", 0, most, lambda: self._entry(node, names, depth))
        if self.pick.rare("many names", 24) and self.linkable:
            target = self.linkable[0]
            pad = self.pick.one_of("pad", (0, 3, 40, 200))
            for i in range(self.pick.int("names", 1, 120)):
                node.entries[b"%03d" % i + b"n" * pad] = target
        pick_attributes(self.pick, node, self.options.xattrs)
        if self.options.overlay and depth and self.pick.rare("opaque", 5):
            node.xattrs[b"trusted.overlay.opaque"] = b"y"
        self._inode_plan(node)
        return node

    def _entry(self, parent: t.Dir, names: list[bytes], depth: int) -> None:
        pick = self.pick
        if self.left <= 0:
            return
        self.left -= 1
        name = names.pop(pick.int("name", 0, min(5, len(names) - 1)))
        kind = pick.int("kind", 0, 9)
        node: t.Node
        if self.options.overlay and pick.rare("whiteout", 8):
            node = t.Device(major=0, minor=0)
        elif kind <= 4 or (depth >= 4 and kind == 6):
            node = self._file()
        elif kind == 5:
            node = t.Symlink(target=pick_target(pick, self.bs))
        elif kind in (6, 7):
            parent.entries[name] = self._dir(depth + 1)
            return
        elif kind == 8:
            node = pick_special(pick)
        elif self.linkable and not pick.rare("twin", 2):
            parent.entries[name] = pick.one_of("link", self.linkable)
            return
        else:
            self._twin(parent, name)
            return
        parent.entries[name] = node
        self.linkable.append(node)
        pick_attributes(pick, node, self.options.xattrs)
        self._inode_plan(node)

    def _twin(self, parent: t.Dir, name: bytes) -> None:
        """A file with a part of another file's data, laid out alike: what deduplication works on."""
        pick = self.pick
        files = [n for n in self.linkable if isinstance(n, t.File)]
        model = pick.one_of("model", files) if files else self._file()
        start = self.bs * pick.int("from block", 0, 2)
        end = pick.int("to", 0, len(model.data))
        node = t.File(data=model.data[start:end], origin=f"{model.origin}[{start}:{end}]")
        parent.entries[name] = node
        self.linkable.append(node)
        if id(model) in self.plan.inodes:
            self.plan.inodes[id(node)] = replace(self.plan.inodes[id(model)], at="next", gap=0, run_gap=0, flaw="")
            self.plan.dedupe = True
        else:
            self._inode_plan(node)

    def _file(self) -> t.File:
        pick, bs = self.pick, self.bs
        kind = pick.one_of("content", KINDS)
        tag = pick.int("tag", 0, 3)
        form = pick.int("size form", 0, 4)
        if form == 0:
            size = pick.int("size", 0, 100)
        elif form <= 2:
            size = max(0, pick.int("blocks", 0, self.options.max_blocks) * bs + pick.int("off", 0, 6) - 3)
        else:
            blocks = self.options.max_blocks * (4 if form == 4 else 1)
            size = pick.int("size", 0, min(blocks * bs, self.options.max_bytes))
        size = min(size, self.options.max_bytes)
        return t.File(data=content(kind, tag, size), origin=f"content({kind!r}, {tag}, {size})")

    def _inode_plan(self, node: t.Node) -> None:
        pick = self.pick
        plan = InodePlan()
        self.plan.inodes[id(node)] = plan
        holds = isinstance(node, t.File | t.Symlink | t.Dir)
        if holds:
            plan.data = pick.one_of("layout", self.options.layouts)
            if plan.data == "chunk":
                plan.chunkbits = pick.int("chunkbits", 0, 3)
                plan.chunk_indexes = pick.rare("chunk indexes", 2)
            elif plan.data in ("full", "compact", "extents"):
                plan.z = self._z_plan(plan.data)
            if self.plan.devices and (self.options.beyond_fsck or plan.chunk_indexes):
                plan.device = pick.int("device", 0, self.plan.devices)
                plan.unified = self.options.beyond_fsck and pick.rare("unified", 2)
        elif not pick.rare("special inode", 4):
            return
        if pick.rare("inode", 2):
            plan.extended = pick.rare("extended", 2)
            plan.nlink1 = pick.rare("nlink1", 2)
            plan.xattr_shared = bool(node.xattrs) and pick.rare("shared xattrs", 2)
            if isinstance(node, t.Dir):
                plan.dot_omitted = pick.rare("dot omitted", 3)
        if self.options.odd and pick.rare("odd inode", 3):
            plan.at = pick.one_of("at", ("next", "cross", "edge"))
            plan.gap = pick.one_of("gap", (0, 1, 2, 9, 130))
            plan.run_gap = pick.one_of("run gap", (0, 1, 3))
            plan.slack = pick.one_of("slack", (0, 0x5A, 0xFF))
            plan.scatter = pick.rare("scatter", 2)
            if isinstance(node, t.Dir):
                plan.dirents = pick.int("dirents", 0, 4)
                plan.dir_full = pick.rare("whole blocks", 2)
        if self.options.flaws and pick.rare("flawed", 8):
            plan.flaw = pick.one_of("flaw", tuple(FLAWS))

    def _z_plan(self, layout: str) -> ZPlan:
        pick, bs, odd = self.pick, self.bs, self.options.odd
        z = ZPlan(beyond_fsck=self.options.beyond_fsck)
        sizes = (0, bs + bs // 2, 2 * bs + 100, 4 * bs, 9 * bs - 1, bs // 2, 16 * bs, 2 * bs)
        z.cuts = tuple(pick.one_of("cut", sizes) for _ in range(pick.int("cuts", 1, 3)))
        z.tail = pick.rare("ztail", 3)
        z.eof_head = pick.rare("eof head", 3)
        z.interlaced = pick.rare("interlaced", 3)
        if pick.rare("big", 2):
            z.big = pick.int("big types", 1, 3)
            z.max_blocks = pick.one_of("max blocks", (2, 4, 16, 64))
        if layout == "extents":
            z.recsz = pick.one_of("record size", (16, 8, 4, 32))
            z.exact = pick.rare("exact lengths", 2)
            z.packed = odd and pick.rare("packed", 3)
        z.compact_2b = layout == "compact" and not pick.rare("4b only", 2)
        if odd and pick.rare("odd z", 2):
            z.kinds = pick.one_of("kinds", ("1", "1p", "12", "2", "p", "21p",
                                            *(("1h", "21ph") if self.options.beyond_fsck else ())))
            z.lclusterbits = pick.int("lclusterbits", 0, 3)
            z.short_deltas = pick.rare("short deltas", 2)
            z.tail_zeros = pick.int("tail zeros", 0, 3)
            z.high = pick.rare("lz4hc", 2)
            z.suspects = self.options.suspects
        return z
