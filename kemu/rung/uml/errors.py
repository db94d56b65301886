# SPDX-License-Identifier: GPL-2.0-only
"""What can go wrong on the Linux rung; each error knows the exit code that the command line gives it."""
from __future__ import annotations


class RungError(Exception):
    """One line for the user: what was looked for or done, and what to do next."""

    exit_code = 1


class ConfigError(RungError):
    """A tree that is not one, a missing tool, a symbol that Kconfig refused."""

    exit_code = 3


class UsageError(RungError):
    """An argument that makes no sense."""

    exit_code = 2


class LockTimeout(RungError):
    """Another kemu works on the same thing, and did so for too long."""

    exit_code = 124


class BuildError(RungError):
    """The kernel did not build; ``output`` is what the compiler, the linker or make said."""

    exit_code = 4

    def __init__(self, message: str, output: str = ""):
        super().__init__(message)
        self.output = output


class PatchError(RungError):
    """A patch that does not apply; the message names the patch, the file and the line."""


class BootError(RungError):
    """A kernel that panicked or ended before it should; ``console`` is what it had said."""

    exit_code = 255

    def __init__(self, message: str, console: str = ""):
        super().__init__(message)
        self.console = console


class BootTimeout(BootError):
    """A kernel that said nothing for longer than the watchdog waits."""

    exit_code = 124
