# SPDX-License-Identifier: GPL-2.0-only
"""What KUnit cases have in common: images in the C file, and a table of what should be in the tree."""
from __future__ import annotations

import abc
import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kemu.forge.crc32c import crc32c
from kemu.report.manifest import Entry
from kemu.report.takeaway.ctext import array, comment, identifier, runs, string

_PARTS = Path(__file__).parent / "c"
MOST_BYTES = 1 << 18    # of images that are not zero
MOST_ENTRIES = 200
S_IFMT = {"file": "S_IFREG", "dir": "S_IFDIR", "symlink": "S_IFLNK", "char": "S_IFCHR", "block": "S_IFBLK", "fifo": "S_IFIFO",
          "socket": "S_IFSOCK"}


def part(name: str) -> str:
    """A piece of C that is the same in every case: ``c/NAME.c`` beside this file."""
    return (_PARTS / f"{name}.c").read_text().partition("\n")[2].rstrip("\n")


@dataclass
class KunitCase(abc.ABC):
    """Images, and what they should come to: ``error``, "" if all goes well. ``entries``: what should be in the tree; None:
    nothing is known. ``contents``: the bytes of the files, by path.
    """

    title: str
    token: str
    images: Sequence[bytes]
    options: str = ""
    error: str = ""
    entries: Sequence[Entry] | None = None
    contents: dict[str, bytes] = field(default_factory=dict)
    folder = ""             # of the tree, where its C file belongs

    @property
    def name(self) -> str:
        """Of the suite, and of its file."""
        return "kemu_" + identifier(self.token, 24)

    def too_large(self) -> str:
        """Why no case can be made of it; empty if one can."""
        used = sum(len(data) for image in self.images for _, data in runs(image))
        if used > MOST_BYTES:
            return f"{used} bytes of its input are not zero: a case takes {MOST_BYTES}"
        if self.entries is not None and len(self.entries) > MOST_ENTRIES:
            return f"{len(self.entries)} inodes: a case takes {MOST_ENTRIES}"
        return ""

    def text(self) -> str:
        """The C file."""
        lines = ["// SPDX-License-Identifier: GPL-2.0-only",
                 *comment([self.title, "", f"Made by kemu: kemu replay {self.token}"]), *self._head(), ""]
        for i, image in enumerate(self.images):
            found = list(runs(image))
            lines += [*array(f"t_bytes{i}", b"".join(data for _, data in found)), "",
                      f"static const struct t_run t_runs{i}[] __initconst = {{",
                      *(f"\t{{ {at:#x}, {len(data)} }}," for at, data in found), "};", ""]
        lines += self._body()
        return "\n".join([*lines, "", part("suite").replace("NAME", self.name), ""])

    @abc.abstractmethod
    def _head(self) -> list[str]:
        """What is included, and what is defined before the images."""

    @abc.abstractmethod
    def _body(self) -> list[str]:
        """What stands between the images and the suite."""

    def _table(self) -> list[str]:
        out: list[str] = []
        rows: list[str] = []
        for i, e in enumerate(self.entries or ()):
            xattrs = sorted((e["xattrs"] or {}).items())
            if any(value is not None for _, value in xattrs):
                for j, (_, value) in enumerate(xattrs):
                    out += [*array(f"t_xattr{i}_{j}", bytes.fromhex(value or "")), ""]
                out += [f"static const struct t_xattr t_xattrs{i}[] __initconst = {{",
                        *(f"\t{{ {string(name)}, t_xattr{i}_{j}, {len(value) // 2} }},"
                          for j, (name, value) in enumerate(xattrs) if value is not None), "\t{}", "};", ""]
            rows += self._row(i, e, bool(xattrs))
        return [*out, "static const struct t_entry t_entries[] __initconst = {", *rows, "};"]

    def _row(self, i: int, e: Entry, xattrs: bool) -> list[str]:
        path = str(e["path"])
        fields = [f".path = {string(path if path != '/' else '')}"]
        if e["error"]:
            fields.append(f".error = -{c_errno(str(e['error']))}")
        if e["mode"] is not None and e["type"] in S_IFMT:
            fields += [f".mode = {S_IFMT[str(e['type'])]} | {int(e['mode']):#o}".replace("0o", "0"), f".uid = {e['uid']}",
                       f".gid = {e['gid']}"]
            if e["type"] == "file" and e["size"] is not None:
                fields.append(f".size = {e['size']}")
        if e["target"] is not None:
            fields.append(f".target = {string(str(e['target']))}")
        data = self.contents.get(path)
        if e["type"] == "file" and not e["error"] and data is not None:
            fields += [".has_data = true", f".crc = 0x{crc32c(0xFFFFFFFF, data):08x}"]
        if xattrs and any(v is not None for v in (e["xattrs"] or {}).values()):
            fields.append(f".xattrs = t_xattrs{i}")
        rows, now = ["\t{"], ""
        for f in fields:
            if now and len(now) + len(f) > 84:
                rows.append(f"\t\t{now}")
                now = ""
            now += (" " if now else "") + f + ","
        return [*rows, f"\t\t{now}", "\t},"]


def c_errno(name: str) -> str:
    """An errno by the name that the kernel's headers have."""
    return "EOPNOTSUPP" if name == "ENOTSUP" else name if hasattr(errno, name) else "EIO"

