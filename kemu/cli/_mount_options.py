# SPDX-License-Identifier: GPL-2.0-only
"""``-o`` as mount(8) takes it: what is for the VFS, what is for mount(8) itself, and what is left for the file system (libmount's
maps).
"""
from __future__ import annotations

import re

from kemu.cli.common import EXIT_USAGE, CommandError

# flags of the mount or of the superblock: the file system never sees them
_VFS = frozenset("""ro rw exec noexec suid nosuid dev nodev sync async dirsync atime noatime diratime nodiratime
    relatime norelatime strictatime nostrictatime lazytime nolazytime symfollow nosymfollow mand nomand iversion
    noiversion silent loud defaults""".split())
# mount(8)'s and fstab's own
_OWN = frozenset("auto noauto user nouser users nousers owner noowner group nogroup _netdev nofail comment uhelper helper loop "
                 "encryption".split())
_PREFIXES = ("x-", "X-", "verity.")
# what changes a mount that exists
_NOT_A_MOUNT = frozenset("""remount bind rbind move private rprivate shared rshared slave rslave unbindable
    runbindable""".split())
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})(?:([KMGTPE])(iB|B)?)?", re.ASCII | re.IGNORECASE)


class MountOptions:
    """What ``-o`` says. ``data``: for the file system. ``offset``, ``size``: the part of the image that the loop device has
    (``size`` None: to its end).
    """

    __slots__ = ("data", "offset", "size")

    def __init__(self) -> None:
        self.data = ""
        self.offset = 0
        self.size: int | None = None


def split(text: str) -> list[str]:
    """The options of one ``-o``; a comma between double quotes is part of a value."""
    out, quoted = [""], False
    for c in text:
        quoted ^= c == '"'
        if c == "," and not quoted:
            out.append("")
        else:
            out[-1] += c
    if quoted:
        raise CommandError(f"-o {text}: a quote is not closed", EXIT_USAGE)
    return [o for o in out if o]


def parse(options: list[str]) -> MountOptions:
    """All ``-o`` of a command line; CommandError (usage) for what no first mount takes."""
    got = MountOptions()
    data = []
    for option in (o for text in options for o in split(text)):
        name, eq, value = option.partition("=")
        if name in ("offset", "sizelimit"):
            n = _bytes(option, value)
            if name == "offset":
                got.offset = n
            else:
                got.size = n or None            # 0 is losetup's "no limit"
        elif name in _NOT_A_MOUNT:
            raise CommandError(f"-o {option}: changes a mount that exists, and there is none", EXIT_USAGE)
        elif (name in _VFS and not eq) or name in _OWN or name.startswith(_PREFIXES):
            continue
        else:
            data.append(option)
    got.data = ",".join(data)
    return got


def _bytes(option: str, value: str) -> int:
    """A size as losetup takes it: K, KiB are 1024, KB is 1000."""
    m = _NUMBER.fullmatch(value)
    if not m:
        raise CommandError(f"-o {option}: not a number of bytes", EXIT_USAGE)
    n = int(m[1], 16 if m[1][:2] in ("0x", "0X") else 10)
    for _ in range("KMGTPE".index(m[2].upper()) + 1 if m[2] else 0):
        n *= 1000 if (m[3] or "").upper() == "B" else 1024
    if n >= 1 << 63:
        raise CommandError(f"-o {option}: more bytes than a file has", EXIT_USAGE)
    return n
