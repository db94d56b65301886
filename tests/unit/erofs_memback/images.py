# SPDX-License-Identifier: GPL-2.0-only
"""Small images for these tests, and ways to damage them."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kemu.check.suite import all_detectors
from kemu.forge import tree as t
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build, fix_checksum
from kemu.linux.include.sched import current_fs
from kemu.linux.namei import filename_lookup, getname
from kemu.linux.path import Path, path_put

from erofs_memback.erofs_fs import erofs_inode_compact, erofs_inode_extended, erofs_super_block
from erofs_memback.harness.mount import Mounted, machine_for, mount_in, settle, unload_module

SB = 1024


def tree_of(**files: bytes) -> t.Dir:
    """A root directory with regular files."""
    return t.Dir(entries={name.encode(): t.File(data=data) for name, data in files.items()})


def forge(root: t.Dir, /, plan: ImagePlan | None = None, **per_inode: dict[str, Any]) -> ErofsImage:
    """An image of ``root``; ``NAME={"data": "chunk", ...}`` plans the inode of that name in the root directory."""
    plan = plan or ImagePlan()
    for name, fields in per_inode.items():
        node = root if name == "root" else root.entries[name.encode()]
        p = plan.inode(node)
        for k, v in fields.items():
            setattr(p, k, v)
    return build(root, plan)


def _poke(image: bytearray, base: int, view: Any, fields: dict[str, int]) -> None:
    for name, value in fields.items():
        off, size = view.FIELDS[name]
        image[base + off:base + off + size] = value.to_bytes(size, "little")


def with_super(image: bytes, *, checksum: bool = True, **fields: int) -> bytes:
    """The image with superblock fields changed, its checksum made right again unless told otherwise."""
    out = bytearray(image)
    _poke(out, SB, erofs_super_block, fields)
    if checksum:
        fix_checksum(out)
    return bytes(out)


def with_inode(image: ErofsImage, node: t.Node, **fields: int) -> bytes:
    """The image with fields of one inode changed."""
    out = bytearray(image.data)
    truth = image.inodes[id(node)]
    _poke(out, truth.pos, erofs_inode_extended if truth.extended else erofs_inode_compact, fields)
    fix_checksum(out)
    return bytes(out)


def with_bytes(image: bytes, at: int, data: bytes) -> bytes:
    out = bytearray(image)
    out[at:at + len(data)] = data
    fix_checksum(out)
    return bytes(out)


@contextmanager
def mounted(image: bytes | ErofsImage, **kw: Any) -> Iterator[Mounted]:
    """Mounted with every detector attached: what is left behind, read uninitialised or unmapped out of turn is a failure of the
    test.
    """
    data = image.data if isinstance(image, ErofsImage) else image
    machine_options = {k: kw.pop(k) for k in ("page_size", "config", "series", "bits") if k in kw}
    watch = all_detectors()
    with machine_for(data, backend=kw.get("backend", "bdev"), watch=watch, **machine_options) as machine:
        watch.attach(machine)
        current_fs()
        watch.mark()
        m = mount_in(machine, data, **kw)
        yield m
        m.umount()
        unload_module(machine)
        settle()
        watch.finish()


@contextmanager
def looked_up(m: Mounted, name: bytes) -> Iterator[Any]:
    """The dentry of a path below the root, or a negative errno."""
    path = Path()
    err = filename_lookup(-100, getname(name), 0, path, m.path)
    yield err or path.dentry
    if not err:
        path_put(path)
