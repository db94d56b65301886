# SPDX-License-Identifier: GPL-2.0-only
"""The kernel parameters of a real build: what its code takes from the command line, so that it is not handed to init as unknown.

What is ported acts; of the rest it is known here that somebody takes it. The default is UML's of Linux 7.2; a table is read from
a vmlinux.
"""
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kemu.machine.initcalls import is_elf
from kemu.machine.vmlinux import Vmlinux

if TYPE_CHECKING:
    from kemu.machine.machine import Machine

_DEFAULT = Path(__file__).with_name("parameters-um-7.2.txt")


class Parameters(NamedTuple):
    """``setups``: (text, early) in link order. ``params``: name with dashes as underscores -> (level, type).

    A type is the end of ``param_ops_TYPE``; ``*`` behind it: a value is not needed.
    """

    setups: tuple[tuple[str, bool], ...]
    params: dict[str, tuple[int, str]]


def canonical(name: str) -> str:
    """Dashes and underscores are the same in a parameter's name."""
    return name.replace("-", "_")


def from_vmlinux(path: str) -> Parameters:
    """``ValueError`` if it has none."""
    v = Vmlinux(path)
    setups = tuple(v.setups())
    if not setups:
        raise ValueError("the ELF file has no __setup symbols")
    return Parameters(setups, {canonical(n): (level, kind) for n, level, kind in v.params()})


def dump(p: Parameters) -> str:
    """The text that :func:`parse` reads."""
    return "".join(f"{'early' if early else 'setup'} {text}\n" for text, early in p.setups) + "".join(
        f"param {name} {level} {kind}\n" for name, (level, kind) in p.params.items())


def parse(text: str) -> Parameters:
    """The table of :func:`dump`; lines that begin with # are comments."""
    setups: list[tuple[str, bool]] = []
    params: dict[str, tuple[int, str]] = {}
    for line in text.splitlines():
        words = line.split(" ")
        if words[0] in ("early", "setup"):
            setups.append((words[1], words[0] == "early"))
        elif words[0] == "param":
            params[words[1]] = int(words[2]), words[3]
    return Parameters(tuple(setups), params)


@cache
def _default() -> Parameters:
    return parse(_DEFAULT.read_text(encoding="utf-8"))


def load(path: str | None = None) -> Parameters:
    """The parameters of a vmlinux; the packaged ones without a path, and for a file that has only initcalls."""
    return _default() if path is None or not is_elf(path) else from_vmlinux(path)


class Build:
    """What the build of a machine's kernel takes from the command line; whoever makes the machine may set another's."""

    __slots__ = ("parameters",)

    def __init__(self) -> None:
        self.parameters: Parameters = _default()


def of(machine: Machine) -> Parameters:
    """The parameters of one machine's kernel."""
    return machine.part(Build).parameters


def takes_setup(p: Parameters, line: str, ported: set[str]) -> bool:
    """Whether a ``__setup()`` or ``early_param()`` that is not ported takes ``line`` (``name`` or ``name=value``).

    What a handler would say is not known: one whose text ends in ``=`` takes any value, one without takes its name alone or with
    ``=``.
    """
    had_early = False
    for text, early in p.setups:
        n = len(text)
        if text in ported or canonical(line[:n]) != canonical(text):
            continue
        exact = line[n:n + 1] in ("", "=")
        if early:
            had_early = had_early or exact
        elif text.endswith("=") or exact:
            return True
    return had_early


__all__ = ["Build", "Parameters", "canonical", "dump", "from_vmlinux", "load", "of", "parse", "takes_setup"]
