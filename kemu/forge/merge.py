# SPDX-License-Identifier: GPL-2.0-only
"""The root that a row of archives and EROFS images must lead to: a reference that knows neither the kernel's code nor its file
systems.

It works on what the segments were made of (members of archives, trees of images), never on their bytes, and follows the rules of
docs/explanation/layered.md. Directories have no size and no link count here: those are the upper file system's affair.
"""
from __future__ import annotations

import copy
import struct
from collections.abc import Iterable
from typing import Any

from kemu.forge import tree as t
from kemu.forge.cpio import Member
from kemu.forge.cpio_model import CpioModel

OPAQUE = b"trusted.overlay.opaque"
PRIVATE = b"trusted.overlay."
CAPABILITY = b"security.capability"
ACCESS = b"system.posix_acl_access"
BOOTED = range(5_000_000_000, 5_000_003_600)        # what the clock may show during a boot
Time = tuple[int, int] | int | None


def is_whiteout(node: t.Node) -> bool:
    """A character device 0:0: what overlayfs takes for "nothing is here"."""
    return isinstance(node, t.Device) and not node.block and node.major == node.minor == 0


def acl_for_mode(acl: bytes, mode: int) -> bytes:
    """An access ACL after chmod(2): owner, mask (or group) and others are the mode's."""
    entries = [list(struct.unpack_from("<HHI", acl, at)) for at in range(4, len(acl), 8)]
    masked = any(tag == 0x10 for tag, _, _ in entries)
    for e in entries:
        if e[0] == 0x01:
            e[1] = mode >> 6 & 7
        elif e[0] == (0x10 if masked else 0x04):
            e[1] = mode >> 3 & 7
        elif e[0] == 0x20:
            e[1] = mode & 7
    return acl[:4] + b"".join(struct.pack("<HHI", *e) for e in entries)


class MergedRoot(CpioModel):
    """A root that grows by segments: :meth:`archive`, :meth:`image`, in order; then :meth:`manifest`.

    layered    False: there is no image in the row, everything is unpacked into one file system, as ever
    whiteouts  paths that a directory listing may show although nothing is there (overlayfs lists a directory that nothing joins
    as it is)
    """

    def __init__(self, layered: bool = True) -> None:
        super().__init__()
        self.layered = layered
        self.layer = 0
        self.in_archives = True                     # the row began with the built-in archive, or will begin with one
        self.layer_of: dict[int, int] = {}
        self.links_of: dict[int, int] = {}          # names of a file in its own layer, once that is complete
        self.times: dict[int, Time] = self.mtimes   # type: ignore[assignment]
        self.whiteouts: set[bytes] = set()

    # ------------------------------------------------------------ segments

    def archive(self, members: Iterable[Member]) -> None:
        """One archive: unpacked over everything that is there. Its links end with it, and so does the order of its directories'
        times.
        """
        if not self.in_archives:
            self.layer += 1
            self.in_archives = True
        self.unpack(list(members))
        self.finish()

    def image(self, root: t.Dir, links: dict[int, int]) -> None:
        """One image, merged as a layer of an overlay. ``links``: id(node) -> st_nlink, as the image has it."""
        self._complete()
        self.in_archives = False
        self.layer += 1
        new: dict[int, t.Node] = {}
        self._join(self.root, root, b"", new, links)

    def _join(self, here: t.Dir, above: t.Dir, path: bytes, new: dict[int, t.Node], links: dict[int, int]) -> None:
        here.mode, here.uid, here.gid = above.mode, above.uid, above.gid
        here.xattrs = dict(above.xattrs)
        self.times[id(here)] = (above.mtime, above.mtime_nsec)
        for name, node in above.entries.items():
            place = path + b"/" + name
            if is_whiteout(node):
                here.entries.pop(name, None)
                self.whiteouts.add(place)
            elif isinstance(node, t.Dir):
                below = here.entries.get(name)
                if not isinstance(below, t.Dir) or node.xattrs.get(OPAQUE) == b"y":
                    below = here.entries[name] = t.Dir()
                    self.keep.append(below)
                self._join(below, node, place, new, links)
            else:
                mine = new.get(id(node))
                if mine is None:
                    mine = new[id(node)] = copy.copy(node)
                    mine.xattrs = dict(node.xattrs)
                    self.keep.append(mine)
                    self.layer_of[id(mine)] = self.layer
                    self.links_of[id(mine)] = links[id(node)]
                    self.times[id(mine)] = (node.mtime, node.mtime_nsec)
                here.entries[name] = mine

    def _complete(self) -> None:
        """The layer that archives were unpacked into is not written to any more."""
        if not self.in_archives:
            return
        names: dict[int, int] = {}
        for _, node in t.walk(self.root):
            names[id(node)] = names.get(id(node), 0) + 1
        for _, node in t.walk(self.root):
            if not isinstance(node, t.Dir) and self.layer_of.get(id(node), self.layer) == self.layer:
                self.layer_of[id(node)] = self.layer
                self.links_of[id(node)] = names[id(node)]
        # unpacked without an overlay: a device 0:0 could be made, and is a whiteout from now on
        if not self.layer and self.layered:
            for path, node in list(t.walk(self.root)):
                if isinstance(node, t.Dir):
                    for name in [n for n, c in node.entries.items() if is_whiteout(c)]:
                        del node.entries[name]
                        self.whiteouts.add((b"" if path == b"/" else path) + b"/" + name)

    # ------------------------------------------------------------ archives over layers

    def _change(self, name: bytes, node: t.Node) -> t.Node:
        """A file of a lower layer is copied before it changes, and then is a file of its own: its other names keep what was."""
        if isinstance(node, t.Dir) or self.layer_of.get(id(node), self.layer) == self.layer:
            return node
        place = self._parent(name)
        assert place is not None
        mine = place[0].entries[place[1]] = copy.copy(node)
        mine.xattrs = dict(node.xattrs)
        self.keep.append(mine)
        self.times[id(mine)] = self.times.get(id(node))
        return mine

    def _add(self, name: bytes, node: t.Node) -> t.Node | None:
        if self.layer and is_whiteout(node) and self._find(name) is None:
            return None                             # overlayfs makes no whiteout that is asked for
        return super()._add(name, node)

    def _chown(self, node: t.Node, m: Member) -> None:
        super()._chown(node, m)
        if not isinstance(node, t.Dir):
            node.xattrs.pop(CAPABILITY, None)

    def _own(self, node: t.Node | None, m: Member) -> None:
        super()._own(node, m)
        if node is not None and ACCESS in node.xattrs and not isinstance(node, t.Symlink):
            node.xattrs[ACCESS] = acl_for_mode(node.xattrs[ACCESS], node.mode)

    # ------------------------------------------------------------ truth

    def manifest(self) -> list[dict[str, Any]]:
        """The tree that PID 1 sees; of directories without size and link count."""
        self._complete()
        out = []
        for path, node in t.walk(self.root):
            entry = t.manifest_entry(path, node, self.links_of.get(id(node), 1))
            time = self.times.get(id(node))
            if isinstance(time, int):
                time = (time, 0)
            entry["mtime"] = None if node is self.root or time is None or time[0] in BOOTED else list(time)
            entry["xattrs"] = {k: v for k, v in entry["xattrs"].items() if not k.startswith(PRIVATE.decode())}
            if isinstance(node, t.Dir):
                entry["size"] = entry["nlink"] = None
            out.append(entry)
        return t.sort_manifest(out)

    def seen(self, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """An observed tree without what the reference says nothing of."""
        hidden = {t.manifest_path(p) for p in self.whiteouts}
        out = []
        for e in entries:
            if e["error"] == "ENOENT" and e["path"] in hidden:
                continue
            if e["type"] == "dir":
                e = {**e, "size": None, "nlink": None}
            out.append(e)
        return out
