# SPDX-License-Identifier: GPL-2.0-only
"""What the tree must be after the kernel has unpacked members one by one: the ground truth of a cpio archive.

Works on members, not on bytes: framing is the writer's business. It follows init/initramfs.c of 7.2 with
CONFIG_INITRAMFS_PRESERVE_MTIME=y, as PID 1 in an empty rootfs (mode 0755, owner 0).
"""
from __future__ import annotations

from typing import Any

from kemu.forge import tree as t
from kemu.forge.cpio import CRC, TRAILER, Member

PATH_MAX = 4096
MAXSYMLINKS = 40
S_IFMT = 0o170000
S_ISGID = 0o2000
NO_ID = 0xFFFFFFFF               # chown leaves the owner alone


class Undefined(Exception):
    """This member's effect is not modelled: a name that ends in a slash or in dots, a header that contradicts its member, or a
    body
    that goes into a device or a FIFO (where 7.2 blocks for ever)."""


class CpioModel:
    """An empty rootfs; :meth:`unpack` applies members; :meth:`manifest` says what is there then."""

    def __init__(self) -> None:
        self.root = t.Dir(mode=0o755)
        self.mtimes: dict[int, int | None] = {id(self.root): None}
        self.links: dict[tuple[int, int, int, int], bytes] = {}
        self.dirs: list[tuple[bytes, int]] = []
        self.messages: list[str] = []
        self.keep: list[t.Node] = []
        self.settled = False

    # what a model of more than one layer does otherwise

    def _change(self, name: bytes, node: t.Node) -> t.Node:
        """Something of the file ``name`` is about to change: what stands for it from now on."""
        return node

    def _stirred(self, place: t.Dir) -> None:
        """A name came or went: the directory's mtime is the clock's."""
        self.mtimes[id(place)] = None

    # paths

    def _parent(self, name: bytes) -> tuple[t.Dir, bytes] | None:
        """The directory that holds ``name`` and the last component (b"" for the root itself), or None where the kernel gets
        ENOENT.
        """
        parts = [p for p in name.split(b"/") if p not in (b"", b".")]
        if not name or len(name) >= PATH_MAX or any(len(p) > 255 for p in parts):
            return None
        if parts and name.rstrip(b".").endswith(b"/"):
            raise Undefined("a name that ends in a slash")
        if parts and parts[-1] == b"..":
            raise Undefined("a name that ends in ..")
        here = [self.root]
        todo = parts[:-1]
        followed = 0
        while todo:
            part = todo.pop(0)
            if part == b"..":
                here = here[:-1] or here
                continue
            child = here[-1].entries.get(part)
            if isinstance(child, t.Symlink):
                followed += 1
                if followed > MAXSYMLINKS:
                    return None                # an empty target stands for the directory that it is in, as pick_link() has it
                if child.target.startswith(b"/"):
                    here = here[:1]
                todo = [p for p in child.target.split(b"/") if p not in (b"", b".")] + todo
            elif isinstance(child, t.Dir):
                here.append(child)
            else:
                return None
        return here[-1], parts[-1] if parts else b""

    def _find(self, name: bytes) -> t.Node | None:
        place = self._parent(name)
        if place is None:
            return None
        return place[0].entries.get(place[1]) if place[1] else place[0]

    def _clean_path(self, name: bytes, ifmt: int) -> None:
        node = self._find(name)
        if node is None or node.IFMT == ifmt:
            return
        place = self._parent(name)
        assert place is not None
        if isinstance(node, t.Dir):
            if node is self.root or node.entries:
                return
        del place[0].entries[place[1]]
        self._stirred(place[0])

    def _add(self, name: bytes, node: t.Node) -> t.Node | None:
        """Create ``name``; returns what is there afterwards (maybe something older), None if there is no parent."""
        place = self._parent(name)
        if place is None:
            return None
        parent, last = place
        if not last:
            return parent
        self.keep.append(node)                 # ids must stay unique
        if last not in parent.entries:
            if parent.mode & S_ISGID:
                node.gid = parent.gid          # inode_init_owner()
            self._stirred(parent)
            parent.entries[last] = node
            return node
        return self._change(name, parent.entries[last])

    # members

    def unpack(self, members: list[Member]) -> None:
        """Apply ``members`` in order. Hard links are remembered until a trailer; after a message nothing more is unpacked."""
        for m in members:
            if self.messages:
                return
            self._member(m)

    def finish(self) -> None:
        """The end of the initramfs: directory times, the last one recorded first."""
        for name, mtime in reversed(self.dirs):
            node = self._find(name)
            if node is not None:
                self.mtimes[id(self._change(name, node))] = mtime
        self.dirs.clear()
        self.links.clear()

    def _member(self, m: Member) -> None:
        if m.raw or m.namesize is not None or m.filesize is not None or m.name_pad is not None or m.data_pad is not None:
            raise Undefined("a header that contradicts its member")
        name = m.name.split(b"\0")[0]
        ifmt = m.mode & S_IFMT
        if (len(m.name) + 1 > PATH_MAX or (ifmt == t.S_IFLNK and len(m.data) > PATH_MAX)
            or (m.data and ifmt not in (t.S_IFREG, t.S_IFLNK))):
            if not self.settled:
                # do_header() leaves next_state to whoever set it last: before the first complete member that is Start, not Reset
                raise Undefined("a member to skip before any other")
            return
        self.settled = True
        if ifmt == t.S_IFLNK:
            self._symlink(m, name)
            return
        if name == TRAILER:
            self.links.clear()
            return
        if ifmt == t.S_IFREG and m.nlink >= 2:
            old = self._find(self.links.get((m.major, m.minor, m.ino, ifmt), b""))
            if isinstance(old, t.Fifo | t.Device | t.Symlink):
                # its name was given to something else since: do_name() links to that and opens it for writing
                raise Undefined("a body written through a hard link to a " + t.kind_of(old))
        self._clean_path(name, ifmt)
        if ifmt == t.S_IFREG:
            self._regular(m, name)
        elif ifmt == t.S_IFDIR:
            node = self._add(name, t.Dir())
            self._own(node, m)
            self.dirs.append((name, m.mtime))
        elif ifmt in (t.S_IFBLK, t.S_IFCHR, t.S_IFIFO, t.S_IFSOCK) and self._maybe_link(m, name) == 0:
            new: t.Node
            if ifmt == t.S_IFIFO:
                new = t.Fifo()
            elif ifmt == t.S_IFSOCK:
                new = t.Socket()
            else:
                new = t.Device(block=ifmt == t.S_IFBLK, major=m.rmajor & 0xFFF, minor=m.rminor & 0xFFFFF)
            node = self._add(name, new)
            self._own(node, m)
            if node is not None:
                self.mtimes[id(node)] = m.mtime

    def _own(self, node: t.Node | None, m: Member) -> None:
        if node is None:
            return
        self._chown(node, m)
        if not isinstance(node, t.Symlink):
            node.mode = m.mode & 0o7777

    def _chown(self, node: t.Node, m: Member) -> None:
        node.uid = node.uid if m.uid == NO_ID else m.uid
        node.gid = node.gid if m.gid == NO_ID else m.gid

    def _maybe_link(self, m: Member, name: bytes) -> int:
        if m.nlink < 2:
            return 0
        key = (m.major, m.minor, m.ino, m.mode & S_IFMT)
        if key not in self.links:
            self.links[key] = name
            return 0
        self._clean_path(name, 0)
        old = self._find(self.links[key])
        place = self._parent(name)
        if old is None or isinstance(old, t.Dir) or place is None or not place[1] or place[1] in place[0].entries:
            return -1
        old = self._change(self.links[key], old)
        place[0].entries[place[1]] = old
        self._stirred(place[0])
        return 1

    def _regular(self, m: Member, name: bytes) -> None:
        linked = self._maybe_link(m, name)
        if linked < 0:
            return
        found = self._find(name)
        if isinstance(found, t.Symlink):
            raise Undefined("a body written through a symbolic link")
        if found is None or isinstance(found, t.File):
            node = self._add(name, t.File())
            if not isinstance(node, t.File):
                return
            if linked != 1:
                node.data = b""
            self._own(node, m)
            if m.data:
                node.data = m.data
            self.mtimes[id(node)] = m.mtime
            expected = m.checksum() if m.chksum is None else m.chksum
            if m.magic == CRC and expected != m.checksum():
                self.messages.append("bad data checksum")

    def _symlink(self, m: Member, name: bytes) -> None:
        self._clean_path(name, 0)
        target = m.data.split(b"\0")[0]
        node = self._find(name)
        if node is None and len(target) < PATH_MAX:
            node = self._add(name, t.Symlink(target=target))
        elif node is not None:
            node = self._change(name, node)
        if node is not None:
            self._chown(node, m)
            self.mtimes[id(node)] = m.mtime

    # truth

    def manifest(self) -> list[dict[str, Any]]:
        """The tree that PID 1 sees, as ``kemu boot --manifest`` prints it (directory sizes null)."""
        nlink = t.nlinks(self.root)
        out = []
        for path, node in t.walk(self.root):
            entry = t.manifest_entry(path, node, nlink[id(node)])
            if isinstance(node, t.Dir):
                entry["size"] = None
            mtime = None if node is self.root else self.mtimes.get(id(node))     # the boot itself makes entries in "/"
            entry["mtime"] = None if mtime is None else [mtime, 0]
            out.append(entry)
        return t.sort_manifest(out)
