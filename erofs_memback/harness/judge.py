# SPDX-License-Identifier: GPL-2.0-only
"""The port as a kernel that is asked case by case, with the same answers as the C rung and the Linux rung: a new machine a case.
Not a port.
"""
from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from kemu.explore.chooser import Choices
from kemu.machine.region import KINDS
from kemu.machine.splat import KernelPanic, Splat
from kemu.report.manifest import ordered
from kemu.report.walk import walk
from kemu.rung.protocol import Answer, Image
from kemu.rung.py.failing import failing

from erofs_memback.harness.mount import EROFS, MountError

__role__ = "harness"
BACKENDS = {"disk": "bdev", "file": "fileio"}
MEMORY = dict(zip(("linear", "vmalloc", "slab"), KINDS))


def _plain(image: Image) -> str | bytes | os.PathLike[str]:
    return image if isinstance(image, (str, os.PathLike)) else bytes(image)


class Emulated:
    """``erofs()`` as of :class:`kemu.rung.protocol.Judge`; archives are the business of ``initramfs``."""

    def erofs(self, image: Image, at: int = 0, options: str = "", devices: Sequence[Image] = (), backend: str = "disk",
              memory: str = "linear", cap: int = 1 << 26, max_entries: int = 1 << 20, fail_nth: int = 0,
              facts: bool = False) -> Answer:
        """Mount an EROFS image and walk it. ``fail_nth`` counts the calls that can fail in the port: others than in the C."""
        answer = Answer()
        choices: list[Choices] = []
        machine = EROFS.machine_for(_plain(image), [_plain(d) for d in devices], backend=BACKENDS[backend])

        def ready() -> None:
            if fail_nth:
                choices.append(failing(fail_nth, machine))

        def told() -> None:
            """Of the faults; from here on nothing fails."""
            for c in choices:
                answer.fired, answer.points = bool(c.faults), c.fault_points
                c.disarm_faults()

        try:
            with machine:
                m = EROFS.mount_in(machine, _plain(image), backend=BACKENDS[backend], at=at, kind=MEMORY[memory],
                                   devices=[_plain(d) for d in devices], options=options, ready=ready)
                answer.entries = ordered(walk(m.path, cap=cap, most=max_entries, facts=answer.facts if facts else None))
                told()
                answer.kmsg = machine.log.lines()
                m.umount()
        except MountError as e:
            answer.mount_error = errno.errorcode.get(e.errno, str(e.errno))
            answer.kmsg = e.log
        except Splat as e:
            answer.crash, answer.message, answer.console = "panic" if isinstance(e, KernelPanic) else "splat", e.title, str(e)
        told()
        return answer

    def close(self) -> None:
        """Nothing stays behind."""
