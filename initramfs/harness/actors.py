# SPDX-License-Identifier: GPL-2.0-only
"""Who else is there while a kernel boots: a driver that asks for firmware, usermode helpers that somebody starts. Each says what
it got and saw.

They are work that an initcall queues, as drivers and subsystems do it, so that they run beside PID 1 and the worker that unpacks.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from kemu.explore.chooser import Choices
from kemu.forge.cpio import Member
from kemu.linux.binfmts import Programs
from kemu.linux.firmware import request_firmware
from kemu.linux.init import initcalls, wait_for_initramfs
from kemu.linux.port import user as sys
from kemu.linux.umh import UMH_NO_WAIT, UMH_WAIT_PROC, call_usermodehelper
from kemu.linux.workqueue import INIT_WORK, schedule_work, work_struct
from kemu.machine.current import this
from kemu.machine.initcalls import functions
from kemu.machine.machine import Machine

from initramfs.harness.observed import ELF

__role__ = "harness"
FIRMWARE = bytes(range(256)) * 40
LEVELS = ("fs", "device", "late")               # rootfs initcalls are the end of "fs"


def firmware_members(first_ino: int = 800) -> list[Member]:
    """A directory of firmware, for an archive."""
    dirs = [Member(n, 0o040755, nlink=2, ino=first_ino + i) for i, n in enumerate((b"lib", b"lib/firmware"))]
    return [*dirs, Member(b"lib/firmware/card.bin", 0o100644, FIRMWARE, ino=first_ino + 9)]


def helper_member(name: bytes, ino: int) -> Member:
    """A program."""
    return Member(name, 0o100755, ELF, ino=ino)


@dataclass
class Actors:
    """Which of them there are, from which level of initcalls on, and what they report.

    marks     files of which a program looks whether they are there
    got       name of an actor -> what its call returned
    saw       (program, or "driver"; the marks that it saw)
    """

    marks: Sequence[str]
    helpers: Sequence[str] = ()
    detached: Sequence[str] = ()                # helpers for whom nobody waits
    firmware: bool = True                       # a driver asks for its firmware
    driver: bool = True                         # another waits for the initramfs and looks for itself
    level: str = LEVELS[0]
    got: dict[str, Any] = field(default_factory=dict)
    saw: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def install(self, m: Machine) -> None:
        """An initcall at the end of the level that sets them all going."""
        work: list[Callable[[], None]] = []
        programs = m.part(Programs).at
        for path in (*self.helpers, *self.detached):
            programs[path] = lambda argv, envp, p=path: self.saw.append((p, self._look()))      # type: ignore[misc]
        for path in self.helpers:
            work.append(lambda p=path: self.got.__setitem__(p,
                                                            call_usermodehelper(p, [p], [],
                                                                                UMH_WAIT_PROC)))     # type: ignore[misc]
        for path in self.detached:
            work.append(lambda p=path: self.got.__setitem__(p,
                                                            call_usermodehelper(p, [p], [],
                                                                                UMH_NO_WAIT)))       # type: ignore[misc]
        if self.firmware:
            work.append(lambda: self.got.__setitem__("firmware", request_firmware("card.bin")))

        if self.driver:
            work.append(self._driver)

        def actors_init() -> int:
            for do in work:
                w = work_struct()
                INIT_WORK(w, lambda _, fn=do: fn())         # type: ignore[misc]
                schedule_work(w)
            return 0

        functions(m, initcalls)[self.level].append(actors_init)

    def _driver(self) -> None:
        wait_for_initramfs()
        self.saw.append(("driver", self._look()))

    def _look(self) -> tuple[str, ...]:
        """At one moment: the root may be another one in the next."""
        chooser = this.chooser
        with chooser.paused() if isinstance(chooser, Choices) else nullcontext():
            return tuple(p for p in self.marks if not isinstance(sys.sys_lstat(p), int))


__all__ = ["FIRMWARE", "LEVELS", "Actors", "firmware_members", "helper_member"]
