# SPDX-License-Identifier: GPL-2.0-only
"""The Linux rung: the kernel itself, built for ARCH=um, as the oracle of every other rung."""
from kemu.rung.uml.errors import BootError, BootTimeout, BuildError, ConfigError, PatchError, RungError
from kemu.rung.uml.initrd import Boot, boot_initrd
from kemu.rung.uml.oracle import CPIO_BOOT, Oracle, Result

__all__ = ["CPIO_BOOT", "Boot", "BootError", "BootTimeout", "BuildError", "ConfigError", "Oracle", "PatchError", "Result",
           "RungError",
           "boot_initrd"]
