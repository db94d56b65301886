# SPDX-License-Identifier: GPL-2.0-only
"""Back ends: the ways in which an image gets to a file system. The list is what is installed: entry points of the group
``kemu.backends``.

    [project.entry-points."kemu.backends"]
    "erofs.bdev" = "erofs_memback.harness.backends:BDEV"        # FILE SYSTEM.NAME = module:object, a Backend

A back end of somebody else's package stands beside those of the port: ``erofs.mine`` is ``kemu mount --backend mine``.
"""
from __future__ import annotations

import abc
import os
from collections.abc import Mapping, Sequence
from typing import Any

from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import ENODEV
from kemu.linux.fs import SB_RDONLY, FileSystemType, get_fs_type, put_filesystem
from kemu.linux.fs.namespace import vfs_kern_mount
from kemu.linux.mount import VfsMount
from kemu.linux.port.series import Series
from kemu.linux.task_work import task_work_run
from kemu.linux.types import this
from kemu.machine.given import GivenImage, GivenMount
from kemu.machine.region import Region
from kemu.machine.series import ShortForms
from kemu.plugins import installed_objects, load_object

GROUP = "kemu.backends"
Image = str | bytes | memoryview | os.PathLike[str]


def settle() -> None:
    """The task returns to user mode and everything that was put off is done: delayed puts, RCU callbacks, kworkers."""
    task_work_run()
    this.machine.idle()


class Placed:
    """An image in memory. ``file``: the file that it was read from, "" if there is none."""

    __slots__ = ("file", "region")

    def __init__(self, region: Region, image: Image = b""):
        self.region = region
        self.file = "" if isinstance(image, (bytes, bytearray, memoryview)) else os.fspath(image)


class Medium:
    """What a caller may want of a disk: ``completion``, where bios end, and ``io_opt``, how much is read ahead; see
    ``ramdisk()``.
    """

    __slots__ = ("completion", "io_opt")

    def __init__(self, completion: str = "", io_opt: int = 0):
        self.completion = completion
        self.io_opt = io_opt


class Source:
    """Images behind a back end, ready to be mounted, any number of times: a back end derives its own.

    ``name``: what mount(2) is given as the source. ``options``: those that the back end needs. ``filesystem``: whose they are,
    ``images``, ``backend``: what they are; set by who opens the back end.
    """

    name = "none"
    options: Sequence[str] = ()
    filesystem = ""
    backend = ""
    images: tuple[GivenImage, ...] = ()

    def drop(self) -> None:
        """Nobody uses it any more: take down what :meth:`Backend.open` has set up. The images stay in memory."""

    def mount(self, options: str = "") -> VfsMount:
        """Mount, read-only. Return: the mount; ERR_PTR, when what the refused mount put off is done."""
        fstype = get_fs_type(self.filesystem)
        if fstype is None:
            return ERR_PTR(-ENODEV)
        m = this.machine
        given = GivenMount(self.filesystem, self.backend, self.images, options, 0, m.mem.page_size, m.config.chosen())
        m.given.append(given)
        mnt = self.mount_type(fstype, ",".join([o for o in (options, *self.options) if o]) or None)
        put_filesystem(fstype)
        if IS_ERR(mnt):
            given.error = PTR_ERR(mnt)
            settle()
        return mnt

    def mount_type(self, fstype: FileSystemType, options: str | None) -> VfsMount:
        """One mount, for a back end that tells the file system more than a source and options. Return: the mount, or ERR_PTR."""
        return vfs_kern_mount(fstype, SB_RDONLY, self.name, options)


class Backend(abc.ABC):
    """One way from an image in memory to a file system; an entry point names an instance.

    ``name``, ``help``: of ``--backend``, and one line. ``config``: what the kernel must be configured with. ``copies``: how many
    times the bytes of an image may be in memory. ``devices``: whether it takes extra devices. ``in_c``: the page of Python, from
    the folder of its module, that says how the C of its series mounts from memory (docs/how-to/own-back-end.md).
    """

    name = ""
    help = ""
    config: Mapping[str, bool] = {}
    copies = 1
    devices = True
    in_c = ""

    def series(self) -> list[Series]:
        """The series that the ported code needs for it; asked for before the machine is made."""
        return []

    def short(self) -> list[ShortForms]:
        """Short forms of functions that take long for it, for a machine that nobody looks into."""
        return []

    @abc.abstractmethod
    def open(self, images: Sequence[Placed], medium: Medium) -> Source | int:
        """Set up what mounts of these images come from, the first with the others as its extra devices. Return: a Source, or a
        negative errno.
        """


class UnknownBackend(LookupError):
    """No such back end is installed; the text says which are."""


def names_of(filesystem: str) -> list[str]:
    """The back ends of a file system that are installed, sorted by name. Nothing is imported."""
    return sorted(name.partition(".")[2] for name, _ in installed_objects(GROUP) if name.startswith(filesystem + "."))


def find(filesystem: str, name: str) -> Backend:
    """A back end by its name. Raises UnknownBackend, and what its import raises."""
    for full, where in installed_objects(GROUP):
        if full == f"{filesystem}.{name}":
            found: Any = load_object(where)
            if not isinstance(found, Backend):
                raise UnknownBackend(f"backend {name!r}: {where} is no Backend")
            return found
    known = names_of(filesystem)
    raise UnknownBackend(f"backend {name!r}: " + (f"one of {', '.join(known)}" if known
                                                  else f"{filesystem} has none that is installed "
                                                        "(pip install -e . in its folder)"))
