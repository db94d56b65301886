# SPDX-License-Identifier: GPL-2.0-only
"""Images from choices: what is odd about a cramfs image, one decision each; the simplest choice is the plainest image."""

from __future__ import annotations

import struct

from kemu.forge.content import content
from kemu.forge.pick import Pick

from cramfs.harness.writer import EXT_POINTERS, FORMS, HOLES, SHIFTED_ROOT, SORTED, VERSION_2, Image, Node, Plan, build

NAMES = (b"a", b"file", b"name", b"names", b"b" * 251, b"c" * 252, b"\xff\xfe", b"caf\xc3\xa9", b"Z", b"two words", b".hidden")


def choose_data(pick: Pick, block: int) -> bytes:
    """Contents around the ends of blocks, of zeros, text and noise."""
    edge = block * pick.int("whole blocks", 0, 3)
    size = max(0, edge + pick.one_of("beside the edge", (7, 0, 1, -1, block // 2, 2, -2)))
    out = b""
    seed = pick.int("seed", 1, 255)
    while len(out) < size:
        kind = pick.one_of("block of", ("text", "zeros", "noise"))
        n = min(block, size - len(out))
        out += bytes(n) if kind == "zeros" else content(kind, seed + len(out), n)
    return out


def choose_forms(pick: Pick, data: bytes, plan: Plan) -> list[str]:
    """How each block is kept: the forms that the image's flags allow."""
    forms = []
    for i in range(0, len(data), plan.block):
        allowed = list(FORMS if plan.flags & EXT_POINTERS else FORMS[:1])
        if plan.flags & HOLES and not any(data[i : i + plan.block]):
            allowed.append("hole")
        forms.append(pick.one_of("form", allowed))
    return forms


def choose_node(pick: Pick, plan: Plan, depth: int) -> Node:
    kind = pick.one_of("type", ("file", "symlink", "char", "block", "fifo", "socket", "dir") if depth else ("file", "dir"))
    node = Node(
        kind, pick.one_of("mode", (0o644, 0o755, 0, 0o7777)), pick.one_of("uid", (0, 1, 65535)), pick.one_of("gid", (0, 1, 255))
    )
    if kind == "file":
        node.data = choose_data(pick, plan.block)
        node.forms = choose_forms(pick, node.data, plan)
    elif kind == "symlink":
        node.data = b"t" * pick.one_of("target", (1, 6, 59, 60, 255, 1024, 4095))
        node.forms = choose_forms(pick, node.data, plan)
    elif kind in ("char", "block"):
        node.rdev = pick.one_of("rdev", ((1, 3), (0, 0), (255, 255), (8, 0)))
        node.stray = 4 * pick.int("stray offset", 0, 1000)
    elif kind == "dir":
        fill(pick, node, plan, depth + 1)
    return node


def fill(pick: Pick, node: Node, plan: Plan, depth: int) -> None:
    names = list(NAMES)
    for child in pick.several("entries", 0, 4 if depth < 3 else 0, lambda: choose_node(pick, plan, depth)):
        node.entries[names.pop(pick.int("name", 0, len(names) - 1))] = child


def choose_image(pick: Pick, block: int = 4096, ext: bool = False) -> Image:
    """One image. ``ext``: with the block pointers that say more than where a block ends."""
    plan = Plan(block)
    plan.flags = pick.one_of("flags", (VERSION_2 | SORTED, VERSION_2, 0, VERSION_2 | SORTED | HOLES, HOLES)) | (
        EXT_POINTERS if ext else 0
    )
    plan.at = pick.one_of("superblock", (0, 512))
    plan.shift = pick.one_of("root shifted", (0, 1, 100))
    plan.flags |= SHIFTED_ROOT if plan.shift else 0
    plan.gap = pick.one_of("gap", (0, 1, 1021))
    plan.level = pick.one_of("level", (9, 1, 0))
    root = Node("dir", pick.one_of("mode", (0o755, 0o700, 0)))
    fill(pick, root, plan, 0)
    return build(root, plan)


REFUSALS = ("wrong endianness", "wrong magic", "unsupported filesystem features", "root is not a directory", "bad root offset")


def refused(image: Image, how: str) -> bytes:
    """The same image with a superblock for which Linux gives EINVAL and this message."""
    data = bytearray(image.data)
    at = image.plan.at
    if how == "wrong endianness":
        data[at : at + 4] = data[at : at + 4][::-1]
    elif how == "wrong magic":
        data[at] ^= 1
    elif how == "unsupported filesystem features":
        data[at + 9] ^= 0x10
    elif how == "root is not a directory":
        data[at + 65] = data[at + 65] & 0x0F | 0x80
    else:
        data[at + 9] &= ~4  # not SHIFTED_ROOT
        struct.pack_into("<I", data, at + 72, (at + 80) << 4)
    return bytes(data)


def damage(pick: Pick, image: Image) -> tuple[bytes, list[str]]:
    """One to four things wrong with an image, and what they are."""
    data = bytearray(image.data)
    said = []
    for _ in range(pick.int("damages", 1, 4)):
        kind = pick.one_of("damage", ("word", "bit", "byte", "cut"))
        if kind == "word" and image.fields:
            name, at = image.fields[pick.int("field", 0, len(image.fields) - 1)]
            old = int.from_bytes(data[at : at + 4].ljust(4, b"\0"), "little")
            new = (
                pick.one_of(
                    "value",
                    (0, old ^ 1 << pick.int("bit of word", 0, 31), 0xFFFFFFFF, old + 1, old - 1, 1 << 30, 1 << 31, len(data)),
                )
                & 0xFFFFFFFF
            )
            data[at : at + 4] = struct.pack("<I", new)
            said.append(f"{name} at {at}: {new:#x} instead of {old:#x}")
        elif kind == "cut":
            n = pick.int("cut", 0, len(data) - 1)
            del data[len(data) - n :]
            said.append(f"cut to {len(data)} bytes")
        else:
            at = pick.int("at", 0, len(data) - 1)
            data[at] ^= 1 << pick.int("bit", 0, 7) if kind == "bit" else 0xFF
            said.append(f"byte {at}: {data[at]:#x}")
    return bytes(data), said
