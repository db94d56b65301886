# SPDX-License-Identifier: GPL-2.0-only
"""Whether the kernel has a parameter of some name (init/main.c). The port of the file is initramfs/main.py."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine import parameters
from kemu.machine.current import this

C = "init/main.c"


@custom(C, "obsolete_checksetup", "the part of the handlers that are not ported: they take what is theirs and do nothing")
def parse_takes(line: str, ported: set[str]) -> bool:
    """Whether a ``__setup()`` or ``early_param()`` of the kernel that is not among ``ported`` takes ``line``."""
    return parameters.takes_setup(parameters.of(this.machine), line, ported)
