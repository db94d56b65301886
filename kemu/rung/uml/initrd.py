# SPDX-License-Identifier: GPL-2.0-only
"""One boot per initrd: the tree that PID 1 finds at "/", the console, and how the boot ended."""
from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kemu.report.manifest import Entry
from kemu.rung.entries import check_entries, parse_entries
from kemu.rung.uml import wire
from kemu.rung.uml.agentbin import NO_BUILTIN, WALK, initrd_with_agent
from kemu.rung.uml.build import Kernel, Recipe, build
from kemu.rung.uml.cache import cache_dir, write_whole
from kemu.rung.uml.errors import BootError, UsageError
from kemu.rung.uml.inputs import read_input
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.process import Process, find_splat
from kemu.rung.uml.tree import find_tree

_RUN = re.compile(r"^(?:<\d>)?(?:\[ *[\d.]+\] )?Run (\S+) as init process$", re.M)
_AGENT = re.compile(r"kemu agent: (.*)$|kemu: (agent: error .*)$", re.M)
_LOADED = re.compile(r"kemu: (\S+) is loaded and not executed$", re.M)
# Words that UML takes for itself and looks up on the host, wherever they stand, and those of the bench's own
_HOST_WORD = re.compile(r"(?:initrd|dtb|uml_dir|umid|hostfs|xterm|dsp|mixer|mconsole|kemu|kemu_share|seccomp|virtio_uml\.\w+)="
                        r"|(?:con|ssl|vec|eth)\d*=|(?:ubd|udb)\w*="
                        r"|time-travel|--(?:showconfig|version|help)$")


@dataclass
class Boot:
    """One boot.

    ``entries``: the tree at "/" when the initramfs was in place, before the kernel looked for its init program; None if the boot
    did not come so far. ``end``: ``"init"`` (then ``init`` is the program; it was loaded, and not executed), ``"panic"``
    (``panic`` its message), ``"hang"``, ``"exit"``.
    ``console``: the kernel's log, up to and with the line that says how the boot ended; ``trace``: what followed. ``splat``:
    first KASAN, WARNING, ... line.
    """

    entries: list[Entry] | None = None
    console: str = ""
    end: str = "exit"
    init: str | None = None
    panic: str | None = None
    splat: str | None = None
    seconds: float = 0.0
    kmsg: list[str] = field(default_factory=list)
    trace: str = ""
    full: bool = False

    @property
    def no_tree(self) -> str | None:
        """Why there is no tree, or only a part of one; None if ``entries`` is all of it."""
        if self.full:
            return f"the tree is larger than an answer can be: these are its first {len(self.entries or [])} inodes"
        if self.entries is not None:
            return f"only the first {wire.MOST} inodes of the tree were looked at" if len(self.entries) >= wire.MOST else None
        said = _AGENT.search(self.console + self.trace)
        return (f"the tree was not walked: {said[1] or said[2]}" if said
                else "the tree was not walked: the boot did not come so far")

    @property
    def exit_code(self) -> int:
        """As the command line has it: 0 (init was run), 255 (panic, or the boot ended otherwise), 124 (hang)."""
        return {"init": 0, "hang": 124}.get(self.end, 255)

    @property
    def unpack_error(self) -> str | None:
        """What follows ``Initramfs unpacking failed:``."""
        m = re.search(r"Initramfs unpacking failed: (.*)", self.console)
        return m[1] if m else None


def boot_initrd(initrd: bytes | str | os.PathLike[str] | None, cmdline: str = "", at: int | None = None, builtin: str = "default",
                flavour: str = "fast", tree: str | os.PathLike[str] | None = None, config: Sequence[str] = (),
                patches: Sequence[Any] = (), slot: str = "plain", kernel: Kernel | Path | None = None, timeout: float = 30.0,
                memory: str | None = None, cpu: int | None = None, on_console: Callable[[str], None] | None = None,
                say: Say = nothing) -> Boot:
    """Boot once with ``initrd``.

    ``at``: byte offset from a page boundary where the initrd begins in memory; None: where UML puts it. ``builtin``: the kernel's
    built-in archive: ``default``, ``none`` or a file (then the kernel is linked again with it). ``timeout``: seconds for the
    whole boot.
    ``memory``: RAM, as for ``mem=``; by default 512 MiB, or more for a large initrd.
    The other arguments are those of :class:`kemu.rung.uml.oracle.Oracle`.
    """
    words = cmdline_words(cmdline)
    data = initrd if isinstance(initrd, bytes) else read_initrd(initrd)
    if at is not None and not 0 <= at < 4096:
        raise UsageError(f"at={at}: a byte offset within a page (0..4095)")
    if kernel is None:
        extra = [*config, *([] if builtin in ("default", "none") else [builtin_config(Path(builtin))])]
        kernel = build(Recipe(find_tree(tree), flavour, tuple(extra), tuple(patches), slot), say)
    path = kernel.path if isinstance(kernel, Kernel) else Path(kernel)
    flags = WALK | (NO_BUILTIN if builtin == "none" else 0)
    if not any(w.startswith("root=") for w in words):
        # No root device, and a rootfs that is a ramfs. UML's own default is a disk, 98:0; an empty one makes rootfs a tmpfs
        # (01777 at "/").
        words = ["root=0:0", *words]
    started = time.monotonic()
    ram = memory or f"{max(512, 256 + 4 * (len(data) >> 20))}M"
    process = Process(path, initrd_with_agent(data, at, flags), ["kunit.enable=0", *words], ram, cpu)
    try:
        return watch(process, started, timeout, on_console)
    finally:
        process.close()


def cmdline_words(cmdline: str) -> list[str]:
    """The words of a command line; UML puts them together again, quotes and all. ``UsageError`` for one that the kernel would not
    see.
    """
    words = cmdline.split()
    for word in words:
        if _HOST_WORD.match(word):
            raise UsageError(f"--cmdline {word}: UML takes this for a word about the host, and the kernel would not see it")
    return words


def read_initrd(path: str | os.PathLike[str] | None) -> bytes:
    """An initrd's bytes; none at all for None and /dev/null."""
    return b"" if path is None or os.path.realpath(path) == os.devnull else read_input(path)


def builtin_config(path: Path) -> str:
    """The configuration line that links an archive into the kernel; the archive is kept under its hash."""
    data = read_initrd(path)
    kept = cache_dir() / "builtin" / f"{hashlib.sha256(data).hexdigest()[:16]}.cpio"
    if not kept.exists():
        write_whole(kept, data)
    return f'CONFIG_INITRAMFS_SOURCE="{kept}"'


def watch(process: Process, started: float, timeout: float, on_console: Callable[[str], None] | None = None) -> Boot:
    """Wait for the end of a boot that has begun; what became of it."""
    boot = Boot()
    end = started + timeout
    shown = 0
    received = bytearray()
    while True:
        received += _read(process, 0.02)
        console = process.console()
        if on_console and len(console) > shown:
            on_console(console[shown:])
            shown = len(console)
        gone = process.popen.poll() is not None
        if process.panicked or gone:
            process.wait(5)
            received += _read(process, 0)
            console = process.console()
            break
        if time.monotonic() > end:
            boot.end = "hang"
            break
    if on_console and len(console) > shown:
        on_console(console[shown:])
    boot.entries, boot.full = _entries(bytes(received))
    boot.splat = find_splat(console)
    boot.seconds = time.monotonic() - started
    _judge(boot, console, process.panicked)
    return boot


def _judge(boot: Boot, console: str, panic: str | None) -> None:
    """How the boot ended, and the console up to there."""
    runs = list(_RUN.finditer(console))
    if boot.end == "hang":
        pass
    elif panic:
        boot.end, boot.panic = "panic", panic
        at = console.find("\n", console.find("Kernel panic - not syncing:")) + 1
        console, boot.trace = (console[:at], console[at:]) if at else (console, "")
    elif runs and _LOADED.search(console, runs[-1].end()):
        boot.end, boot.init = "init", runs[-1][1]
        console, boot.trace = console[:runs[-1].end()] + "\n", console[runs[-1].end() + 1:]
    boot.console = console
    boot.kmsg = console.splitlines()


def _read(process: Process, timeout: float) -> bytes:
    """What is in the channel now."""
    try:
        return process.receive_some(timeout)
    except BootError:
        return b""


def _entries(data: bytes) -> tuple[list[Entry] | None, bool]:
    """The tree, and whether it is a part of one."""
    if len(data) < wire.ANSWER_SIZE:
        return None, False
    try:
        head = wire.parse_answer(data[:wire.ANSWER_SIZE])
        body = data[wire.ANSWER_SIZE:wire.ANSWER_SIZE + head.entries_len]
        check_entries(body, head.entries)
    except ValueError:                                 # not all of it has come, or a kernel that has gone wrong wrote it
        return None, False
    return parse_entries(body, head.entries, dir_sizes=False), bool(head.full)
