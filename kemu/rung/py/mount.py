# SPDX-License-Identifier: GPL-2.0-only
"""Mounting an image in a machine, for commands, tests and experiments: place it, put a back end under it, mount, take it down
again.

A port says what it is with a :class:`FileSystem`; ``with FS.mounted("image", backend="bdev") as m:`` gives a :class:`Mounted`,
whose ``path`` is where a walk begins. A mount that the kernel refuses raises :class:`MountError` with the errno and what the
kernel's log said.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kemu.linux.cred import current_cred
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.fs import SuperBlock
from kemu.linux.fs.file_table import __fput_sync
from kemu.linux.fs.namespace import mnt_init
from kemu.linux.fs.open import dentry_open
from kemu.linux.include.sched import current_fs
from kemu.linux.mount import VfsMount, mntput
from kemu.linux.path import Path
from kemu.linux.port.series import Series
from kemu.linux.types import NULL, this
from kemu.machine.machine import Machine
from kemu.machine.region import KINDS, Region, image_size
from kemu.rung.py.backend import Backend, Image, Medium, Placed, Source, find, settle

HEADROOM = 512 << 20            # for page cache and buffers; what is not touched costs nothing


class MountError(Exception):
    """The kernel refused: ``errno`` (positive), and ``message``, the last warning or error that it logged, or ""."""

    def __init__(self, errno: int, message: str, log: list[str]):
        super().__init__(message)
        self.errno = errno
        self.message = message
        self.log = log


class Mounted:
    """One mount: ``machine``, ``path`` (its root), ``region`` (the image in memory), ``backend``, ``source``."""

    __slots__ = ("backend", "logged", "machine", "mnt", "path", "region", "source")

    def __init__(self, machine: Machine, backend: Backend, region: Region, source: Source, mnt: VfsMount):
        self.machine = machine
        self.backend = backend
        self.region = region
        self.source = source
        self.mnt = mnt
        self.path = Path(mnt, mnt.mnt_root)
        self.logged = len(machine.log.entries)      # when the mount was complete

    @property
    def sb(self) -> SuperBlock:
        """The superblock that is mounted."""
        return self.mnt.mnt_sb

    def umount(self) -> None:
        """Unmount, and take the source away. The image stays in memory."""
        umount(self.mnt)
        self.mnt = NULL
        self.path = Path()
        self.source.drop()
        settle()


def umount(mnt: VfsMount) -> None:
    """The last reference of a mount that nobody sees: the superblock goes with it."""
    mntput(mnt)
    settle()


def start() -> None:
    """The kernel is up: a root file system is mounted, and what is made when it is first needed has been needed once."""
    mnt_init()
    __fput_sync(dentry_open(current_fs().root, O_RDONLY, current_cred()))


def last_message(machine: Machine, since: int = 0) -> str:
    """The last warning or error in the log from entry ``since`` on: what a refused operation is explained by; "" if there is
    none.
    """
    return next((text for _, level, text in reversed(machine.log.entries[since:]) if level <= 4), "")


def plain(image: Image) -> Any:
    """A path as text; bytes as they are."""
    return image if isinstance(image, (str, bytes, bytearray, memoryview)) else os.fspath(image)


class Loaded:
    """The modules that one machine has loaded, by name."""

    __slots__ = ("modules",)

    def __init__(self) -> None:
        self.modules: set[str] = set()


class FileSystem:
    """A ported file system: its name, its module, and what its kernel is configured with. Its back ends are those that are
    installed as ``NAME.BACKEND``;
    ``default`` is the one that is meant where none is named."""

    __slots__ = ("config", "default", "exit", "init", "name", "statics")

    def __init__(self, name: str, init: Callable[[], int], exit: Callable[[], None], default: Backend, *,
                 config: Mapping[str, bool] | None = None,
                 statics: Callable[[], object] | None = None):
        self.name = name
        self.init = init                # module_init()
        self.exit = exit                # module_exit()
        self.default = default
        self.config = dict(config or {})
        self.statics = statics          # makes what is static in the C and made here when it is first needed

    def backend(self, backend: str | Backend | None) -> Backend:
        """A back end by its name. Raises UnknownBackend."""
        if backend is None or backend == self.default.name:
            return self.default
        return find(self.name, backend) if isinstance(backend, str) else backend

    def machine_for(self, image: Image, devices: Sequence[Image] = (), *, backend: str | Backend | None = None,
                    config: Mapping[str, Any] | None = None,
                    series: Sequence[Series] = (), memory: int = 0, **options: Any) -> Machine:
        """A machine with room for the images, built with what ``backend`` needs. ``memory`` 0: as much as seems right."""
        backend = self.backend(backend)
        extra = backend.series()
        config = {**self.config, **backend.config, **(config or {})}
        if not memory:
            memory = sum(image_size(plain(i)) for i in (image, *devices)) * backend.copies + HEADROOM
        return Machine(memory=memory, config=config or None, series=[*extra, *(s for s in series if s not in extra)], **options)

    def load(self, machine: Machine) -> int:
        """``modprobe``, once a machine. Return: 0 or a negative errno."""
        loaded = machine.part(Loaded).modules
        if self.name in loaded:
            return 0
        err = self.init()
        if not err:
            loaded.add(self.name)
        return err

    def unload(self, machine: Machine) -> None:
        """``rmmod``: nothing may be mounted."""
        loaded = machine.part(Loaded).modules
        if self.name in loaded:
            loaded.remove(self.name)
            self.exit()

    def open(self, backend: str | Backend | None, *images: Placed, completion: str = "", io_opt: int = 0) -> Source:
        """Images in memory behind a back end. Raises MountError."""
        since = len(this.machine.log.entries)
        source = self.backend(backend).open(images, Medium(completion, io_opt))
        if isinstance(source, int):
            raise MountError(-source, last_message(this.machine, since), this.machine.log.lines())
        source.filesystem = self.name
        source.images = tuple(p.region.given for p in images)
        source.backend = self.backend(backend).name
        return source

    def mount_in(self, machine: Machine, image: Image, *, backend: str | Backend | None = None, at: int = 0, kind: str = "linear",
                 devices: Sequence[Image] = (), options: str = "", completion: str = "", io_opt: int = 0,
                 ready: Callable[[], object] | None = None) -> Mounted:
        """Mount ``image`` in a running machine (inside its ``with``). ``completion``: where bios end, ``io_opt``: how much is
        read ahead, see ``ramdisk()``. ``ready`` is called when everything is placed, before the mount itself. Raises MountError.
        """
        if kind not in KINDS:
            raise ValueError(f"memory kind {kind!r}: one of {', '.join(KINDS)}")
        backend = self.backend(backend)
        since = len(machine.log.entries)
        err = self.load(machine)
        if err:
            raise MountError(-err, last_message(machine, since), machine.log.lines())
        placed = [Placed(machine.place(plain(image), at, kind), image)]
        placed += [Placed(machine.place(plain(d), at, kind, f"device {i}"), d) for i, d in enumerate(devices)]
        source = self.open(backend, *placed, completion=completion, io_opt=io_opt)
        since = len(machine.log.entries)            # what comes now is about this mount
        if ready is not None:
            ready()
        mnt = source.mount(options)
        if IS_ERR(mnt):
            message = last_message(machine, since)
            source.drop()
            settle()
            raise MountError(-PTR_ERR(mnt), message, machine.log.lines())
        return Mounted(machine, backend, placed[0].region, source, mnt)

    @contextmanager
    def mounted(self, image: Image, *, backend: str | Backend | None = None, at: int = 0, kind: str = "linear",
                devices: Sequence[Image] = (), options: str = "",
                completion: str = "", io_opt: int = 0, **machine_options: Any) -> Iterator[Mounted]:
        """A machine of its own with the image mounted; everything is gone afterwards. Raises MountError."""
        with self.machine_for(image, devices, backend=backend, **machine_options) as machine:
            m = self.mount_in(machine, image, backend=backend, at=at, kind=kind, devices=devices, options=options,
                              completion=completion, io_opt=io_opt)
            yield m
            m.umount()
