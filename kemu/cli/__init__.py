# SPDX-License-Identifier: GPL-2.0-only
"""The ``kemu`` command: one module per subcommand, found by name in this package.

A subcommand module has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(args) -> int`` (the exit code). It prints results on
stdout and one line ``kemu: NAME: ...`` on stderr when it fails; see :mod:`kemu.cli.common`.
"""
from __future__ import annotations

import sys

from kemu.cli.common import build_parser, run_command


def main(argv: list[str] | None = None) -> int:
    """Run one ``kemu`` command line and return its exit code."""
    parser = build_parser(argv)
    args = parser.parse_args(argv)
    return run_command(args)


if __name__ == "__main__":
    sys.exit(main())
