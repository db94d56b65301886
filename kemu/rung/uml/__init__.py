# SPDX-License-Identifier: GPL-2.0-only
"""The Linux rung: the kernel itself, built for ARCH=um, as the oracle of every other rung."""
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kemu.rung.uml.errors import BootError, BootTimeout, BuildError, ConfigError, PatchError, RungError
    from kemu.rung.uml.initrd import Boot, boot_initrd
    from kemu.rung.uml.oracle import CPIO_BOOT, Oracle, Result

# in which module each is: loaded when somebody asks for it
_WHERE = {**dict.fromkeys(("BootError", "BootTimeout", "BuildError", "ConfigError", "PatchError", "RungError"), "errors"),
          **dict.fromkeys(("Boot", "boot_initrd"), "initrd"), **dict.fromkeys(("CPIO_BOOT", "Oracle", "Result"), "oracle")}

__all__ = ["CPIO_BOOT", "Boot", "BootError", "BootTimeout", "BuildError", "ConfigError", "Oracle", "PatchError", "Result",
           "RungError",
           "boot_initrd"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
