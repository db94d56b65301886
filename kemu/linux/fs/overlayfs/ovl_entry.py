# SPDX-License-Identifier: GPL-2.0-only
"""Structures of fs/overlayfs/ovl_entry.h and overlayfs.h."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.types import Inode
from kemu.linux.include.mutex import mutex
from kemu.linux.include.path import Path
from kemu.linux.port.honesty import port_of
from kemu.linux.super_types import SuperBlock
from kemu.machine.current import NULL

C = "fs/overlayfs/ovl_entry.h"

# what this overlayfs leaves out
AS_A_BOOT = ("overlayfs as a boot uses it: no index, metacopy, origin, case folding or file attributes, and the layers' answers "
             "are not doubted")

OVL_MAX_STACK = 500

# enum ovl_path_type
__OVL_PATH_UPPER, __OVL_PATH_MERGE, __OVL_PATH_ORIGIN = 1, 2, 4

# enum ovl_inode_flag
OVL_IMPURE, OVL_WHITEOUTS, OVL_INDEX, OVL_UPPERDATA, OVL_CONST_INO = (1 << i for i in range(5))
# enum ovl_entry_flag: kept in dentry->d_fsdata
OVL_E_UPPER_ALIAS, OVL_E_OPAQUE, OVL_E_CONNECTED, OVL_E_XWHITEOUTS = (1 << i for i in range(4))
OVL_REDIRECT_OFF, OVL_REDIRECT_FOLLOW, OVL_REDIRECT_NOFOLLOW, OVL_REDIRECT_ON = range(4)
OVL_UUID_OFF, OVL_UUID_NULL, OVL_UUID_AUTO, OVL_UUID_ON = range(4)
OVL_XINO_OFF, OVL_XINO_AUTO, OVL_XINO_ON = range(3)
OVL_VERITY_OFF, OVL_VERITY_ON, OVL_VERITY_REQUIRE = range(3)
OVL_FSYNC_VOLATILE, OVL_FSYNC_AUTO, OVL_FSYNC_STRICT = range(3)

OVL_XATTR_TRUSTED_PREFIX, OVL_XATTR_USER_PREFIX, OVL_XATTR_ESCAPE_PREFIX = b"trusted.overlay.", b"user.overlay.", b"overlay."
(OVL_XATTR_OPAQUE, OVL_XATTR_REDIRECT, OVL_XATTR_ORIGIN, OVL_XATTR_IMPURE,
 OVL_XATTR_XWHITEOUT) = b"opaque", b"redirect", b"origin", b"impure", b"whiteout"


@port_of(C, "ovl_upper_mnt_idmap")
def ovl_upper_mnt_idmap(ofs: ovl_fs) -> Any:
    return ovl_upper_mnt(ofs).mnt_idmap


@port_of(C, "ovl_numlower")
def ovl_numlower(oe: ovl_entry | None) -> int:
    return len(oe.lowerstack) if oe else 0


def ovl_lowerstack(oe: ovl_entry | None) -> list[ovl_path]:
    return oe.lowerstack if oe is not None else []


@port_of(C, "ovl_lowerpath")
def ovl_lowerpath(oe: ovl_entry | None) -> Any:
    from kemu.linux.fs.overlayfs.ovl_entry import ovl_lowerstack  # noqa: PLC0415  (circle: fs/overlayfs/util.c needs this)

    return ovl_lowerstack(oe)[0] if ovl_numlower(oe) else NULL


class ovl_config:
    """``struct ovl_config``"""

    __slots__ = ("default_permissions", "fsync_mode", "index", "lowerdirs", "metacopy", "nfs_export", "redirect_mode", "upperdir",
                 "userxattr", "uuid", "verity_mode", "workdir", "xino")

    def __init__(self) -> None:
        self.upperdir: str | None = None
        self.workdir: str | None = None
        self.lowerdirs: list[str | None] | None = None
        self.default_permissions = self.index = self.nfs_export = self.metacopy = self.userxattr = False
        self.redirect_mode = self.verity_mode = self.uuid = self.xino = self.fsync_mode = 0


class ovl_sb:
    """``struct ovl_sb``"""

    __slots__ = ("bad_uuid", "is_lower", "pseudo_dev", "sb")

    def __init__(self) -> None:
        self.sb: SuperBlock | None = None
        self.pseudo_dev = 0
        self.bad_uuid = self.is_lower = False


class ovl_layer:
    """``struct ovl_layer``: layer 0 is the upper one."""

    __slots__ = ("fs", "fsid", "has_xwhiteouts", "idx", "mnt", "trap")

    def __init__(self) -> None:
        self.mnt: Any = None
        self.trap: Inode | None = None
        self.fs: ovl_sb | None = None
        self.idx = self.fsid = 0
        self.has_xwhiteouts = False


class ovl_path:
    """``struct ovl_path``"""

    __slots__ = ("dentry", "layer")

    def __init__(self, layer: ovl_layer, dentry: Any):
        self.layer = layer
        self.dentry = dentry


class ovl_entry:
    """``struct ovl_entry``: the lower layers of an object, topmost first."""

    __slots__ = ("lowerstack",)

    def __init__(self) -> None:
        self.lowerstack: list[ovl_path] = []


class ovl_fs:
    """``struct ovl_fs``"""

    __slots__ = ("config", "creator_cred", "fs", "last_ino", "layers", "namelen", "no_shared_whiteout", "nofh", "noxattr",
                 "numdatalayer", "numfs", "numlayer", "tmpfile", "upperdir_locked", "whiteout", "whiteout_lock", "workbasedir",
                 "workbasedir_trap", "workdir", "workdir_locked", "workdir_trap", "xino_mode")

    def __init__(self) -> None:
        self.numlayer = self.numfs = self.numdatalayer = self.namelen = self.xino_mode = self.last_ino = 0
        self.layers: list[ovl_layer] = []
        self.fs: list[ovl_sb] = []
        self.workbasedir: Any = None
        self.workdir: Any = None
        self.config = ovl_config()
        self.creator_cred: Any = None
        self.tmpfile = self.noxattr = self.nofh = self.upperdir_locked = self.workdir_locked = self.no_shared_whiteout = False
        self.workbasedir_trap: Inode | None = None
        self.workdir_trap: Inode | None = None
        self.whiteout: Any = None
        self.whiteout_lock = mutex("ovl_fs whiteout_lock")


class ovl_inode(Inode):
    """``struct ovl_inode``"""

    __slots__ = ("cache", "flags", "lock", "oe", "upperdentry", "version")

    def __init__(self) -> None:
        super().__init__()
        self.cache: Any = None
        self.version = 0
        self.flags = 0
        self.upperdentry: Any = None            # __upperdentry
        self.oe: ovl_entry | None = None
        self.lock = mutex("ovl_inode lock")


class ovl_inode_params:
    """``struct ovl_inode_params``"""

    __slots__ = ("newinode", "oe", "upperdentry")

    def __init__(self, upperdentry: Any = None, oe: ovl_entry | None = None, newinode: Any = None):
        self.newinode = newinode
        self.upperdentry = upperdentry
        self.oe = oe


class ovl_cattr:
    """``struct ovl_cattr``"""

    __slots__ = ("hardlink", "link", "mode", "rdev")

    def __init__(self, mode: int = 0, rdev: int = 0, link: bytes | None = None, hardlink: Any = None):
        self.rdev = rdev
        self.mode = mode
        self.link = link
        self.hardlink = hardlink


class ovl_fs_context_layer:
    """``struct ovl_fs_context_layer``"""

    __slots__ = ("name", "path")

    def __init__(self, name: str, path: Path):
        self.name: str | None = name
        self.path = path


class ovl_fs_context:
    """``struct ovl_fs_context``"""

    __slots__ = ("lower", "lowerdir_all", "nr_data", "set", "upper", "work")

    def __init__(self) -> None:
        self.upper = Path()
        self.work = Path()
        self.lower: list[ovl_fs_context_layer] = []
        self.nr_data = 0
        self.lowerdir_all: str | None = None
        self.set: set[str] = set()              # struct ovl_opt_set: metacopy, redirect, nfs_export, index


def OVL_FS(sb: SuperBlock) -> ovl_fs:
    return sb.s_fs_info             # type: ignore[no-any-return]


def OVL_I(inode: Any) -> ovl_inode:
    return inode                    # type: ignore[no-any-return]


def ovl_upper_mnt(ofs: ovl_fs) -> Any:
    return ofs.layers[0].mnt if ofs.layers else None


def OVL_E(dentry: Dentry) -> ovl_entry | None:
    return dentry.d_inode.oe if dentry.d_inode is not None else None
