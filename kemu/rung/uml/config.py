# SPDX-License-Identifier: GPL-2.0-only
"""Kernel configurations: a base fragment, one per flavour, and what a series or the user adds."""
from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from kemu.rung.uml.errors import ConfigError

CONFIGS = Path(__file__).parent / "configs"
_LINE = re.compile(r"^(?:(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set)$")

# What would let a program, a parameter or an archive reach the host: its files, terminals, devices, sockets and processes. No
# kernel is built with it.
DOORS: dict[str, str | None] = dict.fromkeys((
    "HOSTFS", "BLK_DEV_UBD", "MCONSOLE", "MAGIC_SYSRQ", "SSL", "PORT_CHAN", "PTY_CHAN", "TTY_CHAN", "XTERM_CHAN",
    "UML_NET_VECTOR", "UML_SOUND", "UML_WATCHDOG", "UML_RTC",
    "VIRTIO_UML", "UML_PCI_OVER_VIRTIO", "UML_PCI_OVER_VFIO", "OF", "MODULES", "BINFMT_MISC"))
# The kernel runs no program of the tree's: neither modprobe nor hotplug, core_pattern, request-key, poweroff, linuxrc.
DOORS |= {"STATIC_USERMODEHELPER": "y", "STATIC_USERMODEHELPER_PATH": '""'}

# tool -> the package that has it (Debian's names; elsewhere they are the same or obvious)
TOOLS = {"gcc": "gcc libc6-dev", "make": "make", "flex": "flex", "bison": "bison", "bc": "bc", "ld": "binutils"}


def flavours() -> list[str]:
    """Names of the flavours: the fragments other than base."""
    return sorted(p.stem for p in CONFIGS.glob("*.config") if p.stem != "base")


def missing_tools() -> list[str]:
    """Tools a kernel build needs that this machine lacks."""
    return [tool for tool in TOOLS if not shutil.which(tool)]


def need_tools() -> None:
    """``ConfigError`` with the remedy if a kernel cannot be built here."""
    missing = missing_tools()
    if missing:
        packages = " ".join(TOOLS[tool] for tool in missing)
        raise ConfigError(f"cannot build a kernel without {', '.join(missing)}: apt-get install {packages}")


def fragments(flavour: str, extra: Iterable[str] = ()) -> str:
    """The text of base, flavour and extra lines (``CONFIG_X=y`` or ``# CONFIG_X is not set``; ``X=y`` and ``X=n`` are taken too).
    """
    if flavour not in flavours():
        raise ConfigError(f"no flavour {flavour!r}: there are {', '.join(flavours())}")
    text = (CONFIGS / "base.config").read_text() + (CONFIGS / f"{flavour}.config").read_text()
    return text + "".join(f"{_normal(line)}\n" for line in extra)


def _normal(line: str) -> str:
    line = line.strip()
    if not line or (line.startswith("#") and not _LINE.match(line)):
        return line
    if not line.startswith(("CONFIG_", "#")):
        line = "CONFIG_" + line
    if re.fullmatch(r"CONFIG_\w+=n", line):
        line = f"# {line[:-2]} is not set"
    if not _LINE.match(line):
        raise ConfigError(f"{line!r}: not a configuration line (CONFIG_X=y)")
    return line


def open_door(got: str) -> str | None:
    """The first symbol of a ``.config`` with which an input could reach the host, or be run; None if there is none."""
    have = settings(got)
    return next((f"CONFIG_{name}" for name, value in DOORS.items() if have.get(f"CONFIG_{name}") != value), None)


def settings(text: str) -> dict[str, str | None]:
    """Symbol -> value of a fragment or ``.config``; None for "is not set". The last line wins."""
    out: dict[str, str | None] = {}
    for line in text.splitlines():
        m = _LINE.match(line.strip())
        if m:
            out[m[1] or m[3]] = m[2] if m[1] else None
    return out


def merged(text: str) -> str:
    """The fragment with each symbol once, as its last line says (Kconfig warns about overrides)."""
    return "".join(f"{name}={value}\n" if value is not None else f"# {name} is not set\n"
                   for name, value in settings(text).items())


def refused(wanted: str, got: str) -> list[str]:
    """Lines of ``wanted`` that the ``.config`` text ``got`` does not have."""
    have = settings(got)
    return [f"{name}={value}" if value is not None else f"# {name} is not set"
            for name, value in settings(wanted).items() if have.get(name) != value]
