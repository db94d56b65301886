# SPDX-License-Identifier: GPL-2.0-only
"""One boot on a machine: the initrd and the built-in archive in memory, the tasks of the beginning, and how it ended.

The code that boots is given (``start_kernel`` of a port): the machine knows no port.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.machine.given import GivenBoot
from kemu.machine.machine import Machine
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.region import Region, image_size
from kemu.machine.splat import KernelPanic, Splat, Survived

# usr/default_cpio_list as gen_init_cpio makes it: /dev, /dev/console, /root; mtime 0
_DEFAULT_LIST = (("/dev", 0o040755, 2, 0, 0), ("/dev/console", 0o020600, 1, 5, 1), ("/root", 0o040700, 2, 0, 0))


class Boot:
    """What a machine is booted with: what a boot loader or a device tree says, and what is part of the kernel image. Addresses
    are physical.
    """

    __slots__ = ("builtin", "crashk_res", "initrd", "initrd_size", "initrd_start", "started")

    def __init__(self) -> None:
        self.started = False                                # a kernel runs, or has run, on this machine
        self.builtin: Region | None = None                  # the built-in archive
        self.initrd: Region | None = None
        self.initrd_start = 0
        self.initrd_size = 0
        self.crashk_res: tuple[int, int] | None = None      # the crash kernel's memory: first byte, byte behind the last


class InitMemory:
    """What was done to memory that the boot has reserved. Addresses are virtual, times nanoseconds."""

    __slots__ = ("events", "freed", "reserved")

    def __init__(self) -> None:
        self.freed: list[tuple[int, int, int, str, int]] = []           # start, end, pages, what, when
        self.reserved: list[tuple[int, int, str, int]] = []             # start, end, by whom, when
        self.events: list[tuple[str, int, int, str, int]] = []          # what, start, end, by whom, when


def newc_entry(name: str, mode: int, nlink: int, rmajor: int, rminor: int, ino: int) -> bytes:
    """One newc record without data."""
    raw = name.encode() + b"\0"
    fields = (ino, mode, 0, 0, nlink, 0, 0, 3, 1, rmajor, rminor, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields)
    return head + raw + bytes(-(len(head) + len(raw)) % 4)


def default_builtin() -> bytes:
    """The kernel's own archive when CONFIG_INITRAMFS_SOURCE is empty."""
    out = b"".join(newc_entry(*e, 721 + i) for i, e in enumerate(_DEFAULT_LIST))
    out += newc_entry("TRAILER!!!", 0, 1, 0, 0, 0)
    return out + bytes(-len(out) % 512)


class BootResult:
    """How a boot ended. ``ended``: "init" (a program runs as PID 1), "panic" or "splat"; ``error``: the exception, None after
    "init".

    ``splats``: detector reports, those that were logged and survived and the one that ended the boot. ``freed``: (start, end,
    pages, what, ns);
    ``reserved``: (start, end, by, ns); addresses are virtual.
    """

    def __init__(self, machine: Machine, ended: str, error: Splat | None):
        self.machine = machine
        self.ended = ended
        self.error = error
        self.tree: Any = None
        # the machine's parts end with it
        boot, memory = machine.part(Boot), machine.part(InitMemory)
        self.freed = list(memory.freed)
        self.reserved = list(memory.reserved)
        self.initrd = boot.initrd
        self.builtin = boot.builtin
        self.splats = list(machine.part(Survived).splats)
        if error is not None and ended == "splat":
            self.splats.append(error)

    @property
    def ok(self) -> bool:
        """Whether an init was run."""
        return self.ended == "init"

    @property
    def entries(self) -> list[tuple[int, int, str]]:
        """The kernel's log: (ns, level, text). What is told for debugging after ``Run ... as init process`` is left out: the
        arguments and the
        environment that the program gets (they are in ``machine.log``)."""
        out = list(self.machine.log.entries)
        while self.ok and out and out[-1][1] == 7:
            out.pop()
        return out

    @property
    def log(self) -> list[str]:
        """The kernel's log, one line each."""
        return [text for _, _, text in self.entries]

    @property
    def unpack_error(self) -> str | None:
        """What follows ``Initramfs unpacking failed:``, or None."""
        for line in self.log:
            if line.startswith("Initramfs unpacking failed: "):
                return line.partition(": ")[2]
        return None


def memory_for(size: int) -> int:
    """RAM for an initrd of ``size`` bytes: generous, for it costs nothing until it is touched."""
    return max(512 << 20, 8 * size + (256 << 20))


def load(m: Machine, initrd: bytes | str | None, builtin: bytes | str | None, at: int = 0) -> None:
    """What the boot loader does: the initrd ``at`` bytes behind a page boundary, the built-in archive as part of the kernel
    image.
    """
    boot = m.part(Boot)
    if builtin is not None and image_size(builtin):
        boot.builtin = m.place(builtin, 0, "linear", "built-in initramfs")
    if initrd is not None and image_size(initrd):
        # the initrd is ordinary memory: the kernel frees, clears (crashkernel) and may write it
        region = boot.initrd = m.place(initrd, at, "linear", "initrd", True)
        boot.initrd_start, boot.initrd_size = region.addr - PAGE_OFFSET, region.size
    m.given.append(GivenBoot(boot.initrd.given if boot.initrd is not None else None, builtin, m.cmdline,
                             tuple(s.name for s in m.series), m.mem.page_size, m.config.chosen()))


def run(m: Machine, start_kernel: Callable[[], Any]) -> BootResult:
    """Boot: the machine's first task becomes the idle task, PID 0; PID 1 and kthreadd are made by the code. ``m`` is the current
    machine.
    """
    # no time stamp of the boot is a whole second, as those of an archive are
    m.clock.now_ns = max(m.clock.now_ns, 40_000_000)
    m.part(Boot).started = True
    idle = m.sched.main
    idle.comm, idle.pid = "swapper", 0
    m.sched.next_pid = 1
    try:
        start_kernel()
    except Splat as e:
        import traceback  # noqa: PLC0415  (start-up)

        traceback.clear_frames(e.__traceback__)         # they have views of the machine's memory
        return BootResult(m, "panic" if isinstance(e, KernelPanic) else "splat", e)
    return BootResult(m, "init", None)
