# SPDX-License-Identifier: GPL-2.0-only
"""``initrd_segments=``: what the initrd consists of, verified before anything of it is parsed. Ours;
docs/explanation/verification.md.

Each segment has a size and a trusted value:

* ``SIZE:sha256:HEX``: the digest of its bytes;
* ``SIZE:tree:ROOT[:SALT]``: the root of a hash tree over its bytes, which is built from them;
* ``SIZE:verity:ROOT[:SALT]``: an EROFS image with its hash tree behind it. Blocks are verified when they are read, and only
  those.

Trees are dm-verity's (version 1, SHA-256, blocks of 4096 bytes): a block's digest is that of the salt and the block; 128 digests
make a block of the level above; the last block of each level is filled with zeros; the root is the digest of the one block on
top. A stored tree has its levels from the top down.
"""
from __future__ import annotations

from kemu.linux.errno import EINVAL, EIO
from kemu.linux.init import __setup
from kemu.linux.initrd import initrd
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.math import DIV_ROUND_UP
from kemu.linux.moduleparam import parameqn
from kemu.linux.port.series import Series
from kemu.linux.port.statics import statics
from kemu.linux.printk import pr_err, pr_warn
from kemu.linux.sha256 import SHA256_DIGEST_SIZE, sha256, sha256_ctx, sha256_final, sha256_init, sha256_update
from kemu.linux.string import mem_read
from kemu.linux.types import NULL

from initramfs import initramfs as base
from initramfs import main

BLOCK, BLOCK_BITS = 4096, 12
PER_BLOCK_BITS = 7                      # digests in a block: 128
SALT_MAX = 256
MAX_LEVELS = 8                          # enough for 2^56 blocks

series = Series("initrd-verify", ("initramfs",), "digests and hash trees of initrd segments")
config = {"CONFIG_INITRD_VERIFY": True}

# segments: what the command line says, in order; None: nothing, []: something that cannot be understood
@statics
class g:
    segments: list[trusted] = NULL


class trusted:
    """A segment as the command line has it: ``size`` bytes, ``alg`` ("sha256", "tree", "verity"), the trusted ``value``,
    ``salt``.
    """

    __slots__ = ("alg", "salt", "size", "value")

    def __init__(self, size: int, alg: str, value: bytes, salt: bytes) -> None:
        self.size = size
        self.alg = alg
        self.value = value
        self.salt = salt


# ------------------------------------------------------------------------- the command line

def _hex(text: str, most: int) -> bytes | None:
    """Bytes of lower-case hex, or None."""
    if len(text) % 2 or len(text) > 2 * most or text.strip("0123456789abcdef"):
        return None
    return bytes.fromhex(text)


def parse_segment(word: str) -> trusted | None:
    """``SIZE:ALG:HEX[:SALT]``; None if it is anything else."""
    size, _, rest = word.partition(":")
    alg, _, rest = rest.partition(":")
    text, colon, salt_text = rest.partition(":")
    value, salt = _hex(text, SHA256_DIGEST_SIZE), _hex(salt_text, SALT_MAX)
    if (not size.isascii() or not size.isdigit() or not int(size) or value is None or len(value) != SHA256_DIGEST_SIZE
        or salt is None):
        return None
    if alg not in ("sha256", "tree", "verity") or (alg == "sha256" and colon) or (colon and not salt):
        return None
    return trusted(int(size), alg, value, salt)


@__setup("initrd_segments=")
def initrd_segments_setup(str: str) -> int:
    """``initrd_segments=SEGMENT[,SEGMENT]...``: padding included, byte for byte."""
    if not IS_ENABLED("CONFIG_INITRD_VERIFY"):
        return 0
    out = []
    for word in str.split(","):
        seg = parse_segment(word)
        if seg is None:
            pr_warn("initrd_segments: '%s' is none of SIZE:sha256:HEX, SIZE:tree:ROOT[:SALT], SIZE:verity:ROOT[:SALT]\n", word)
            g.segments = []                     # what was asked for cannot be checked: nothing passes
            return 1
        out.append(seg)
    g.segments = out
    return 1


# ------------------------------------------------------------------------- hash trees

def block_digest(salt: bytes, addr: int, n: int) -> bytes:
    """Of a block with ``n`` bytes, the rest zeros."""
    ctx = sha256_ctx()
    sha256_init(ctx)
    sha256_update(ctx, salt, len(salt))
    sha256_update(ctx, addr, n)
    if n < BLOCK:
        sha256_update(ctx, bytes(BLOCK - n), BLOCK - n)
    return sha256_final(ctx)


def tree_root(addr: int, size: int, salt: bytes) -> bytes:
    """The root of the tree over [addr, addr + size), level by level."""
    level = b"".join(block_digest(salt, addr + at, min(BLOCK, size - at)) for at in range(0, size, BLOCK))
    while len(level) > SHA256_DIGEST_SIZE:
        above = []
        for at in range(0, len(level), BLOCK):
            block = level[at:at + BLOCK]
            ctx = sha256_ctx()
            sha256_init(ctx)
            sha256_update(ctx, salt, len(salt))
            sha256_update(ctx, block.ljust(BLOCK, b"\0"), BLOCK)
            above.append(sha256_final(ctx))
        level = b"".join(above)
    return level


def level_blocks(data_blocks: int) -> list[int]:
    """Blocks of each level of a stored tree, the one above the data first; none for a single block."""
    out = []
    n = data_blocks
    while n > 1:
        n = DIV_ROUND_UP(n, 1 << PER_BLOCK_BITS)
        out.append(n)
    return out


def data_blocks_of(blocks: int) -> int:
    """How many of ``blocks`` are data if the others are their tree. -EINVAL: no number fits."""
    lo, hi = 1, blocks
    while lo < hi:
        mid = lo + hi >> 1
        if mid + sum(level_blocks(mid)) < blocks:
            lo = mid + 1
        else:
            hi = mid
    return lo if lo + sum(level_blocks(lo)) == blocks else -EINVAL


class hash_tree:
    """A stored tree and the data before it, at ``start``: only the root is trusted until a block was verified.

    ``levels``: (address, blocks), the one above the data first; ``verified``: the same, of blocks that are known to be right,
    data first.
    """

    __slots__ = ("data_blocks", "levels", "root", "salt", "start", "verified")

    def __init__(self, start: int, data_blocks: int, root: bytes, salt: bytes) -> None:
        self.start = start
        self.data_blocks = data_blocks
        self.root = root
        self.salt = salt
        blocks = level_blocks(data_blocks)
        self.levels: list[tuple[int, int]] = []
        at = start + (data_blocks << BLOCK_BITS)
        for n in reversed(blocks):              # the top comes first
            self.levels.insert(0, (at, n))
            at += n << BLOCK_BITS
        self.verified = [bytearray(n) for n in (data_blocks, *blocks)]


def tree_end(tree: hash_tree) -> int:
    """The address behind the data and the tree."""
    return tree.levels[0][0] + (tree.levels[0][1] << BLOCK_BITS) if tree.levels else tree.start + (tree.data_blocks << BLOCK_BITS)


def tree_verify_block(tree: hash_tree, level: int, block: int) -> int:
    """A block of the data (level 0) or of a level above, and all that its digest rests on. Return: 0 or -EIO, with a message."""
    if tree.verified[level][block]:
        return 0
    base_ = tree.start if not level else tree.levels[level - 1][0]
    if level == len(tree.levels):
        want = tree.root
    else:
        err = tree_verify_block(tree, level + 1, block >> PER_BLOCK_BITS)
        if err:
            return err
        slot = block & (1 << PER_BLOCK_BITS) - 1
        want = mem_read(tree.levels[level][0] + (block >> PER_BLOCK_BITS << BLOCK_BITS) + slot * SHA256_DIGEST_SIZE,
                        SHA256_DIGEST_SIZE)
    if block_digest(tree.salt, base_ + (block << BLOCK_BITS), BLOCK) != want:
        pr_err("initrd: %s block %lu at offset %lu of its segment is corrupted\n", "hash" if level else "data", block,
               base_ + (block << BLOCK_BITS) - tree.start)
        return -EIO
    tree.verified[level][block] = 1
    return 0


def tree_verify(tree: hash_tree, pos: int, length: int) -> int:
    """Every block of [pos, pos + length) of the data. Return: 0; -EIO."""
    for block in range(pos >> BLOCK_BITS, DIV_ROUND_UP(pos + length, BLOCK)):
        if block >= tree.data_blocks:
            return -EIO
        err = tree_verify_block(tree, 0, block)
        if err:
            return err
    return 0


# ------------------------------------------------------------------------- the initrd

def refuse(i: int, seg: trusted, at: int, why: str) -> int:
    pr_err("initrd: segment %d (%lu bytes at offset %lu): %s: refused\n", i, seg.size, at, why)
    return -EINVAL


def verify_segments(start: int, end: int, trees: list[hash_tree] | None = None) -> int:
    """Verify [start, end) before anything of it is parsed.

    ``trees``: a list to which the stored trees are added, None if the design cannot read through one. Return: 0, or -EINVAL with
    a message.
    """
    if not g.segments:
        pr_err("initrd: initrd_segments= cannot be understood: refused\n")
        return -EINVAL
    at = start
    for i, seg in enumerate(g.segments):
        if seg.size > end - at:
            return refuse(i, seg, at - start, "more than there is")
        if seg.alg == "sha256" and sha256(at, seg.size) != seg.value:
            return refuse(i, seg, at - start, "sha256 mismatch")
        if seg.alg == "tree" and tree_root(at, seg.size, seg.salt) != seg.value:
            return refuse(i, seg, at - start, "hash tree mismatch")
        if seg.alg == "verity":
            blocks = data_blocks_of(seg.size >> BLOCK_BITS)
            if trees is None:
                return refuse(i, seg, at - start, "this design cannot verify as it reads")
            if seg.size & BLOCK - 1 or blocks < 0:
                return refuse(i, seg, at - start, "not an image with a hash tree behind it")
            tree = hash_tree(at, blocks, seg.value, seg.salt)
            if tree_verify_block(tree, len(tree.levels), 0):
                return refuse(i, seg, at - start, "hash tree mismatch")
            trees.append(tree)
        at += seg.size
    if at != end:
        pr_err("initrd: %lu bytes behind the last segment: refused\n", end - at)
        return -EINVAL
    return 0


def initrd_refused(trees: list[hash_tree] | None = None) -> bool:
    """Whether the initrd is not to be touched; ``trees`` as in verify_segments(). Context: before anything of it is parsed."""
    return g.segments is not None and verify_segments(initrd.initrd_start, initrd.initrd_end, trees) != 0


def segments_said() -> bool:
    """Whether the command line has initrd_segments=, before it is parsed for good."""
    said = "initrd_segments="
    return IS_ENABLED("CONFIG_INITRD_VERIFY") and any(parameqn(word.strip('"'), said, len(said))
                                                      for word in main.g.boot_command_line.split())


# a boot configuration behind the initrd is no segment of it: its end is not looked at
series.edits(main.get_boot_config_from_initrd, ("""\
    data = initrd.initrd_end - BOOTCONFIG_MAGIC_LEN
    # Since""", """\
    if segments_said():
        return None

    data = initrd.initrd_end - BOOTCONFIG_MAGIC_LEN
    # Since"""), names={"segments_said": segments_said})

# upstream: what is refused goes to done:
upstream = Series("initrd-verify-upstream", ("initramfs",), "do_populate_rootfs() asks")
upstream.edits(base.do_populate_rootfs, ("""\
    if initrd.initrd_start and not IS_ENABLED("CONFIG_INITRAMFS_FORCE"):
""", """\
    if initrd.initrd_start and not IS_ENABLED("CONFIG_INITRAMFS_FORCE") and not initrd_refused():
"""), names={"initrd_refused": initrd_refused})


def drop_refused() -> None:
    """For a design that looks at the initrd before do_populate_rootfs() does: there is none any more."""
    if not initrd.initrd_start or IS_ENABLED("CONFIG_INITRAMFS_FORCE") or not initrd_refused():
        return
    if not base.g.do_retain_initrd and not base.kexec_free_initrd():
        base.free_initrd_mem(initrd.initrd_start, initrd.initrd_end)
    initrd.initrd_start = 0
    initrd.initrd_end = 0
