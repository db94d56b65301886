# SPDX-License-Identifier: GPL-2.0-only
"""Booting an initrd on a new machine: what ``kemu boot`` and the tests share."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kemu.machine import boot as machine_boot
from kemu.machine.boot import BootResult
from kemu.machine.chooser import Chooser, Watch
from kemu.machine.machine import Machine
from kemu.machine.series import ShortForms
from kemu.report.manifest import Entry

if TYPE_CHECKING:
    from kemu.report.walk import ReadLimit

DESIGNS = ("upstream", "initerofs-rfc", "layered", "initoverlayfs")


def effective_cmdline(cmdline: str) -> str:
    """No root device and a rootfs that is a ramfs unless ``root=`` says otherwise: as the Linux rung boots."""
    return cmdline if any(w.startswith("root=") for w in cmdline.split()) else f"root=0:0 {cmdline}".rstrip()


def mem_limit(cmdline: str) -> int:
    """What ``mem=`` on the command line leaves of the memory, in bytes; 0 without one. What it does not understand it leaves out, as Linux does."""
    from kemu.linux.string_helpers import memparse

    sizes = [memparse(w[4:])[0] for w in cmdline.split() if w.startswith("mem=") and w[4:5].isdigit()]
    return min([n for n in sizes if n], default=0)


def boot_initrd(initrd: bytes | str | None, *, cmdline: str = "", builtin: bytes | str | None = "default", at: int = 0,
                config: dict[str, bool] | None = None, page_size: int = 4096, bits: int = 64, memory: int = 0, chooser: Chooser | None = None,
                watch: Watch | None = None, tree: bool = True, prepare: Callable[[Machine], Any] | None = None,
                after: Callable[[BootResult], Any] | None = None, initcalls: Sequence[Any] | None = None,
                machine: Callable[..., Machine] = Machine, limit: ReadLimit | None = None, short: Sequence[ShortForms] = ()) -> BootResult:
    """Boot ``initrd`` (bytes or a path) once, upstream's way.

    ``builtin``: "default", "none" (or None), or an archive (bytes or a path). ``tree``: put the manifest of the tree that PID 1 sees when it
    looks for init into the result; ``limit``: of what it reads. ``prepare`` and ``after`` are called with the machine current. ``initcalls``: another build's table.
    ``machine`` makes the machine (an experiment's own has detectors); ``short``: its short forms, where nobody looks into it.
    """
    import kemu.linux.brd_init
    import kemu.linux.overlayfs.super  # noqa: F401  (its initcall)
    from kemu.linux.init import initcalls as ported
    from kemu.linux.init import module_init, only_if
    from kemu.machine.region import image_size

    import initramfs.initramfs
    import initramfs.noinitramfs  # noqa: F401  (its initcall)
    from erofs_memback.super import erofs_module_init
    from initramfs.main import start_kernel

    if erofs_module_init.__name__ not in ported:
        only_if("CONFIG_EROFS_FS")(module_init(erofs_module_init))

    archive = machine_boot.default_builtin() if builtin == "default" else None if builtin == "none" else builtin
    ram = memory or machine_boot.memory_for(image_size(initrd) if initrd is not None else 0)
    ram = min(ram, mem_limit(cmdline) or ram)
    choices: dict[str, Any] = {"chooser": chooser, "watch": watch} if machine is Machine else {}
    if short:
        choices["short"] = short
    with machine(memory=ram, page_size=page_size, bits=bits, config=config, cmdline=effective_cmdline(cmdline), **choices) as m:
        machine_boot.load(m, initrd, archive, at)
        if initcalls is not None:
            m.parts["initcall_table"] = list(initcalls)
        found: list[Entry] = []
        if tree:
            m.parts["looks_for_init"] = lambda: found.extend(seen_tree(limit=limit)) if not found else None
        if prepare is not None:
            prepare(m)
        result = machine_boot.run(m, start_kernel)
        result.tree = found if tree else None
        if after is not None:
            after(result)
    return result


def seen_tree(cap: int | None = None, limit: ReadLimit | None = None) -> list[Entry]:
    """What PID 1 sees at / now. Files of more than ``cap`` bytes, and what is beyond ``limit``, are not read.

    As the Linux rung's agent has it: an mtime between the start of the boot and now, and the root's, is the clock's and null (the clock starts in
    2128, beyond what a cpio archive can say); so is a directory's size.
    """
    from kemu.linux.fs_struct import current_fs
    from kemu.linux.path import Path, path_get, path_put
    from kemu.machine.current import this
    from kemu.report.walk import CAP, WHOLE, walk

    root: Path = current_fs().root.copy()
    path_get(root)
    clock = this.machine.clock
    since = clock.boot_epoch
    until = since + clock.now_ns // 10**9
    out = []
    for e in walk(root, cap=cap if cap is not None else CAP if limit is None else WHOLE, limit=limit):
        if e["path"] == "/" or e["mtime"] is not None and since <= e["mtime"][0] <= until:
            e["mtime"] = None
        if e["type"] == "dir":
            e["size"] = None
        out.append(e)
    path_put(root)
    return out
