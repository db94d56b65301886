# SPDX-License-Identifier: GPL-2.0-only
"""Booting an initrd on a new machine: what ``kemu boot`` and the tests share."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kemu.linux.drivers.block.brd import brd_init  # noqa: F401 - an initcall
from kemu.linux.drivers.char.mem import chr_dev_init  # noqa: F401 - an initcall
from kemu.linux.fs.overlayfs.super import ovl_init  # noqa: F401 - an initcall
from kemu.linux.fs_struct import current_fs
from kemu.linux.init import initcalls as ported
from kemu.linux.init import module_init, only_if
from kemu.linux.init_syscalls import LooksForInit
from kemu.linux.path import Path, path_get, path_put
from kemu.linux.rodata import Rodata
from kemu.linux.string_helpers import memparse
from kemu.machine import boot as machine_boot
from kemu.machine.boot import BootResult
from kemu.machine.chooser import Chooser, Watch
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.region import image_size
from kemu.machine.series import Series, ShortForms
from kemu.report.manifest import Entry
from kemu.report.walk import CAP, WHOLE, walk

import initramfs.initramfs
import initramfs.noinitramfs  # noqa: F401 - its initcall
from erofs_memback.super import erofs_module_init
from initramfs.harness.designs import Design, find, for_cmdline
from initramfs.main import start_kernel

if TYPE_CHECKING:
    from kemu.report.walk import ReadLimit


def effective_cmdline(cmdline: str) -> str:
    """No root device and a rootfs that is a ramfs unless ``root=`` says otherwise: as the Linux rung boots."""
    return cmdline if any(w.startswith("root=") for w in cmdline.split()) else f"root=0:0 {cmdline}".rstrip()


def mem_limit(cmdline: str) -> int:
    """What ``mem=`` on the command line leaves of the memory, in bytes; 0 without one. What it does not understand it leaves out,
    as Linux does.
    """
    sizes = [memparse(w[4:])[0] for w in cmdline.split() if w.startswith("mem=") and w[4:5].isdigit()]
    return min([n for n in sizes if n], default=0)


def boot_initrd(initrd: bytes | str | None, *, design: str | Design = "upstream", cmdline: str = "",
                builtin: bytes | str | None = "default", at: int = 0,
                config: dict[str, bool] | None = None, page_size: int = 4096, bits: int = 64, memory: int = 0,
                initcalls: Iterable[Any] | None = None,
                second_image: bytes | str | None = None, rodata: str = "", machine: Callable[..., Machine] = Machine,
                chooser: Chooser | None = None,
                watch: Watch | None = None, prepare: Callable[[Machine], Any] | None = None,
                looks: Callable[[], Any] | None = None, tree: bool = True,
                limit: ReadLimit | None = None, after: Callable[[BootResult], Any] | None = None,
                short: Sequence[ShortForms] = (), series: Sequence[Series] = ()) -> BootResult:
    """Boot ``initrd`` (bytes or a path) once. This is where all boots of the port are made.

    ``design``: its name, or a Design (a name also gets what the command line asks for). ``builtin``: "default", "none" (or None),
    or an archive (bytes or a path). ``initcalls``: another build's table. ``second_image``: of a design that takes one.
    ``series``: on top of the design's. ``rodata``: what a write to constants is, see
    :mod:`kemu.linux.rodata`. ``machine`` makes the machine (an experiment's own has detectors and its chooser), or it gets
    ``chooser`` and ``watch``;
    ``short``: its short forms, where nobody looks into it.

    Called with the machine current: ``prepare`` when everything is in place, last of all before the first instruction; ``looks``
    when the kernel looks for the init program, once, and with nothing failing and nobody preempted meanwhile; ``after`` at the
    end. ``tree``: the manifest of the tree that PID 1 sees then is put into the result (unless there is a ``looks``); ``limit``:
    of what that reads.
    """
    register_initcalls()
    d = for_cmdline(find(design), cmdline) if isinstance(design, str) else design
    archive = machine_boot.default_builtin() if builtin == "default" else None if builtin == "none" else builtin
    ram = memory or machine_boot.memory_for(image_size(initrd) if initrd is not None else 0)
    ram = min(ram, mem_limit(cmdline) or ram)
    more: dict[str, Any] = {"chooser": chooser, "watch": watch} if machine is Machine else {}
    if d.series or series:              # else the machine may have series of its maker's
        more["series"] = [*d.series, *(s for s in series if s not in d.series)]
    if short:
        more["short"] = short
    with machine(memory=ram, page_size=page_size, bits=bits, config={**d.config, **(config or {})},
                 cmdline=effective_cmdline(cmdline), **more) as m:
        machine_boot.load(m, initrd, archive, at)
        if rodata:
            m.part(Rodata).kind = rodata
        if second_image is not None:
            from initramfs.initoverlayfs import SecondImage  # noqa: PLC0415  (only this design needs it)

            m.part(SecondImage).image = second_image
        found: list[Entry] = []
        look = looks if looks is not None else (lambda: found.extend(seen_tree(limit=limit))) if tree else None
        if look is not None:
            m.part(LooksForInit).look = _Once(m, look)
        d.build(m, initcalls)
        if prepare is not None:
            prepare(m)
        result = machine_boot.run(m, start_kernel)
        m.part(LooksForInit).look = None
        result.tree = found if tree else None
        if after is not None:
            after(result)
    return result


def register_initcalls() -> None:
    """EROFS's module_init() is an initcall of this kernel; those of the other modules are registered where they are imported."""
    if erofs_module_init.__name__ not in ported:
        only_if("CONFIG_EROFS_FS")(module_init(erofs_module_init))


class _Once:
    """Somebody looks at the kernel who is no part of the boot: once, and the machine's Chooser is not asked meanwhile."""

    __slots__ = ("look", "looked", "machine")

    def __init__(self, machine: Machine, look: Callable[[], Any]):
        self.machine = machine
        self.look = look
        self.looked = False

    def __call__(self) -> None:
        if self.looked:
            return
        self.looked = True
        m, chooser = self.machine, this.chooser
        m.chooser = this.chooser = None
        try:
            self.look()
        finally:
            m.chooser = this.chooser = chooser


def seen_tree(cap: int | None = None, limit: ReadLimit | None = None) -> list[Entry]:
    """What PID 1 sees at / now. Files of more than ``cap`` bytes, and what is beyond ``limit``, are not read.

    As the Linux rung's agent has it: an mtime between the start of the boot and now, and the root's, is the clock's and null (the
    clock starts in 2128, beyond what a cpio archive can say); so is a directory's size.
    """
    root: Path = current_fs().root.copy()
    path_get(root)
    clock = this.machine.clock
    since = clock.boot_epoch
    until = since + clock.now_ns // 10**9
    out = []
    for e in walk(root, cap=cap if cap is not None else CAP if limit is None else WHOLE, limit=limit):
        if e["path"] == "/" or (e["mtime"] is not None and since <= e["mtime"][0] <= until):
            e["mtime"] = None
        if e["type"] == "dir":
            e["size"] = None
        out.append(e)
    path_put(root)
    return out
