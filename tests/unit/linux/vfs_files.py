# SPDX-License-Identifier: GPL-2.0-only
"""What the VFS tests share: a read-only file system over a Python tree, written as a port would be, and counts that must come
back to zero.
"""
from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kemu.check.state import GlobalState
from kemu.check.suite import all_detectors
from kemu.linux.cred import current_cred
from kemu.linux.dcache import d_make_root, d_splice_alias
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import ENAMETOOLONG, ENOMEM
from kemu.linux.fs import (
    FS_REQUIRES_DEV,
    SB_RDONLY,
    FileSystemType,
    Inode,
    SuperBlock,
    address_space_operations,
    dir_emit,
    dir_emit_dots,
    file_operations,
    generic_file_llseek,
    generic_file_read_iter,
    generic_read_dir,
    get_nr_files,
    get_tree_bdev,
    get_tree_nodev,
    iget_locked,
    init_special_inode,
    inode_nohighmem,
    inode_operations,
    kill_anon_super,
    kill_block_super,
    page_get_link,
    register_filesystem,
    set_nlink,
    simple_get_link,
    simple_statfs,
    super_operations,
    unlock_new_inode,
    unregister_filesystem,
)
from kemu.linux.fs.inode import g as inode_g
from kemu.linux.fs.namespace import current_mnt_ns
from kemu.linux.fs_context import FsContext, fs_context_operations
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.mm import folio_address
from kemu.linux.pagemap import folio_end_read
from kemu.linux.port import user as sys
from kemu.linux.port.ramdisk import ramdisk, ramdisk_remove
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.stat import S_IFDIR, S_IFLNK, S_IFREG
from kemu.linux.string import mem_write
from kemu.linux.task_work import task_work_run
from kemu.machine.current import this
from kemu.machine.machine import Machine


class Link:
    """A symbolic link. ``paged``: its text is in the page cache, not at i_link."""

    def __init__(self, target: bytes, paged: bool = False):
        self.target = target
        self.paged = paged


class Node:
    """Anything else: a mode with its type, and a device number."""

    def __init__(self, mode: int, dev: int = 0):
        self.mode = mode
        self.dev = dev


def nothing(*args: Any) -> None:
    """A hook that is not set."""


class TreeFs:
    """A file system over ``tree``: dicts are directories, bytes are files. One object serves one machine.

    ``hooks``: called in ->lookup, in ->fill_super, ... with what these are given; a number that a hook returns is their error.
    """

    def __init__(self, tree: dict[bytes, Any], *, name: str = "treefs", bdev: bool = False, parameters: Any = None):
        self.nodes: list[Any] = [None]
        self.parents: dict[int, int] = {}
        self.numbers: dict[int, dict[bytes, int]] = {}
        self.hooks: dict[str, Callable[..., Any]] = {}
        self.lookups: list[bytes] = []
        self.freed: list[int] = []
        self.put_supers = 0
        self.bdev = bdev
        self.add(tree, 1)
        self.dir_iops = inode_operations(lookup=self.lookup)
        self.file_iops = inode_operations()
        self.dir_fops = file_operations(iterate_shared=self.readdir, read=generic_read_dir, llseek=generic_file_llseek)
        self.file_fops = file_operations(read_iter=generic_file_read_iter, llseek=generic_file_llseek)
        self.aops = address_space_operations(read_folio=self.read_folio)
        self.sops = super_operations(statfs=simple_statfs, put_super=self.put_super, free_inode=self.free_inode)
        self.context_ops = fs_context_operations(get_tree=self.get_tree, parse_param=self.parse_param if parameters else None)
        self.type = FileSystemType(name=name, init_fs_context=self.init_fs_context,
                                   kill_sb=kill_block_super if bdev else kill_anon_super,
                                   fs_flags=FS_REQUIRES_DEV if bdev else 0, parameters=parameters)

    def add(self, node: Any, parent: int) -> int:
        ino = len(self.nodes)
        self.nodes.append(node)
        self.parents[ino] = parent
        if isinstance(node, dict):
            self.numbers[ino] = {name: self.add(child, ino) for name, child in node.items()}
        return ino

    def hook(self, name: str, *args: Any) -> int:
        return self.hooks.get(name, nothing)(*args) or 0

    # ------------------------------------------------------------ mounting

    def init_fs_context(self, fc: FsContext) -> int:
        fc.ops = self.context_ops
        return self.hook("init_fs_context", fc)

    def parse_param(self, fc: FsContext, param: Any) -> int:
        return self.hook("parse_param", fc, param)

    def get_tree(self, fc: FsContext) -> int:
        return get_tree_bdev(fc, self.fill_super) if self.bdev else get_tree_nodev(fc, self.fill_super)

    def fill_super(self, sb: SuperBlock, fc: FsContext) -> int:
        err = self.hook("fill_super", sb, fc)
        if err:
            return err
        sb.s_flags |= SB_RDONLY
        sb.s_op = self.sops
        sb.s_magic = 0x7EE
        sb.s_blocksize, sb.s_blocksize_bits = 4096, 12
        root = self.iget(sb, 1)
        if IS_ERR(root):
            return -ENOMEM
        sb.s_root = d_make_root(root)
        return self.hook("fill_super_late", sb, fc) if sb.s_root is not None else -ENOMEM

    def put_super(self, sb: SuperBlock) -> None:
        self.put_supers += 1
        self.hook("put_super", sb)

    def free_inode(self, inode: Inode) -> None:
        from kemu.linux.fs import free_inode_nonrcu

        self.freed.append(inode.i_ino)
        if isinstance(inode.i_link, int):
            kfree(inode.i_link)
        free_inode_nonrcu(inode)

    # ------------------------------------------------------------ inodes and names

    def iget(self, sb: SuperBlock, ino: int) -> Any:
        inode = iget_locked(sb, ino)
        if inode is None:
            return ERR_PTR(-ENOMEM)
        if not inode.i_state & 1:                       # I_NEW
            return inode
        err = self.hook("iget", inode)
        if err:
            from kemu.linux.fs import iget_failed

            iget_failed(inode)
            return ERR_PTR(err)
        node = self.nodes[ino]
        if isinstance(node, dict):
            inode.i_mode = S_IFDIR | 0o755
            inode.i_op, inode.i_fop = self.dir_iops, self.dir_fops
            set_nlink(inode, 2 + sum(isinstance(c, dict) for c in node.values()))
        elif isinstance(node, Link):
            inode.i_mode = S_IFLNK | 0o777
            inode.i_size = len(node.target)
            if node.paged:
                inode.i_op = inode_operations(get_link=page_get_link)
                inode_nohighmem(inode)
                inode.i_mapping.a_ops = self.aops
            else:
                inode.i_op = inode_operations(get_link=simple_get_link)
                inode.i_link = kmalloc(len(node.target) + 1, GFP_KERNEL)
                mem_write(inode.i_link, node.target + b"\0")
        elif isinstance(node, Node):
            inode.i_op = self.file_iops
            init_special_inode(inode, node.mode, node.dev)
        else:
            inode.i_mode = S_IFREG | 0o644
            inode.i_size = len(node)
            inode.i_op, inode.i_fop = self.file_iops, self.file_fops
            inode.i_mapping.a_ops = self.aops
        unlock_new_inode(inode)
        return inode

    def lookup(self, dir: Inode, dentry: Any, flags: int) -> Any:
        name = dentry.d_name.name
        self.lookups.append(name)
        if len(name) > 255:
            return ERR_PTR(-ENAMETOOLONG)
        err = self.hook("lookup", dir, dentry)
        if err:
            return ERR_PTR(err)
        ino = self.numbers[dir.i_ino].get(name)
        return d_splice_alias(None if ino is None else self.iget(dir.i_sb, ino), dentry)

    def readdir(self, file: Any, ctx: Any) -> int:
        if not dir_emit_dots(file, ctx):
            return 0
        err = self.hook("readdir", file, ctx)
        if err:
            return err
        for name, ino in list(self.numbers[file.f_inode.i_ino].items())[ctx.pos - 2:]:
            node = self.nodes[ino]
            kind = (4 if isinstance(node, dict) else 10 if isinstance(node, Link) else node.mode >> 12 if isinstance(node, Node)
                    else 8)
            if not dir_emit(ctx, name, len(name), ino, kind):
                return 0
            ctx.pos += 1
        return 0

    def read_folio(self, file: Any, folio: Any) -> int:
        inode = folio.mapping.host
        node = self.nodes[inode.i_ino]
        data = node.target if isinstance(node, Link) else node
        err = self.hook("read_folio", inode, folio)
        if not err:
            size = this.mem.page_size
            part = data[folio.index * size:(folio.index + 1) * size]
            mem_write(folio_address(folio), part + bytes(size - len(part)))
        folio_end_read(folio, not err)
        return err


def name_of(err: Any) -> Any:
    """``ENOENT`` for -2; anything but a negative number as it is."""
    return errno.errorcode.get(-err, err) if isinstance(err, int) and err < 0 else err


def ok(err: Any) -> Any:
    """A call that must succeed."""
    assert not (isinstance(err, int) and err < 0), name_of(err)
    return err


def disk(machine: Machine, name: str = "disk", size: int = 65536) -> str:
    """An empty disk, and its path: the node is there."""
    d = ramdisk(machine.place(bytes(size), 0, "linear", name), name=name, completion="sync")
    return sys.device_node(name, d.part0.bd_dev)


def mount(fs: TreeFs, where: str = "/mnt", source: str | None = "none", flags: int = 0, data: str | None = None) -> int:
    """Register (unless it is) and mount."""
    register_filesystem(fs.type)
    sys.sys_mkdir(where)
    return sys.sys_mount(source, where, fs.type.name, flags, data)


def counts() -> dict[str, int]:
    """Numbers that must be the same when all is given back."""
    ns = current_mnt_ns()
    return {"files": get_nr_files(), "inodes": inode_g.nr_inodes, "mounts": ns.nr_mounts,
            "users of the credentials": current_cred().usage,
            "writers": sum(m.mnt_writers for m in ns.mounts)}


@contextmanager
def balanced() -> Iterator[Machine]:
    """A machine whose VFS is up, with every detector: what the block makes it must take down again, to the last reference."""
    watch = all_detectors()
    with Machine(watch=watch) as m:
        watch.attach(m)
        sys.sys_mkdir("/mnt")
        sys.sys_mkdir("/mnt2")
        ramdisk_remove(ramdisk(m.place(bytes(4096), 0, "linear", "first"), name="first"))       # the block layer comes up
        m.idle()
        state = watch.get(GlobalState)
        assert state is not None
        before = counts()
        state.remember()
        watch.mark()
        yield m
        task_work_run()
        m.idle()
        watch.finish()
        state.compare()
        assert counts() == before


def unregister(fs: TreeFs) -> int:
    return unregister_filesystem(fs.type)
