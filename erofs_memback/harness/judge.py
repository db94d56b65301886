# SPDX-License-Identifier: GPL-2.0-only
"""The port as a kernel that is asked case by case, with the same answers as the C rung and the Linux rung: a new machine a case.
Not a port.
"""
from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from kemu.machine.region import KINDS
from kemu.machine.splat import KernelPanic, Splat
from kemu.report.manifest import ordered
from kemu.report.walk import walk
from kemu.rung.protocol import Answer, Image
from kemu.rung.uml.errors import ConfigError

from erofs_memback.harness.mount import MountError, mounted

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
        """Mount an EROFS image and walk it. Of the facts, what is read through a mapping is missing: the emulated kernel maps
        nothing. ``ConfigError`` for what this rung is not asked so.
        """
        if fail_nth:
            raise ConfigError("the py rung fails calls in experiments, not case by case")
        answer = Answer()
        try:
            with mounted(_plain(image), backend=BACKENDS[backend], at=at, kind=MEMORY[memory],
                         devices=[_plain(d) for d in devices], options=options) as m:
                answer.entries = ordered(walk(m.path, cap=cap, most=max_entries,
                                              facts=answer.facts if facts else None))
                answer.kmsg = m.machine.log.lines()
        except MountError as e:
            answer.mount_error = errno.errorcode.get(e.errno, str(e.errno))
            answer.kmsg = e.log
        except Splat as e:
            answer.crash, answer.message, answer.console = "panic" if isinstance(e, KernelPanic) else "splat", e.title, str(e)
        return answer

    def close(self) -> None:
        """Nothing stays behind."""
