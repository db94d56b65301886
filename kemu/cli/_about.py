# SPDX-License-Identifier: GPL-2.0-only
"""``kemu --version`` and ``kemu --print-completion``."""
from __future__ import annotations

import argparse

from kemu.cli.common import build_parser
from kemu.machine.hostmodule import missing
from kemu.plugins import installed_version


def version() -> str:
    """``kemu 0.1.0``"""
    return f"kemu {installed_version('kemu') or '(not installed)'}"


def completion(shell: str) -> str:
    """The completion script for a shell, made by shtab from the parser; paths are completed where a file is meant."""
    try:
        import shtab  # start-up
    except ImportError as e:
        raise missing("shtab", "--print-completion", e) from None
    parser = build_parser([], whole=True)
    _complete_files(parser, shtab.FILE)
    return str(shtab.complete(parser, shell))


def _complete_files(parser: argparse.ArgumentParser, file: object) -> None:
    from kemu.cli.values import name_of_file  # start-up

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for p in action.choices.values():
                _complete_files(p, file)
        elif action.type is name_of_file:
            action.complete = file                                  # type: ignore[attr-defined]
