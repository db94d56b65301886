# SPDX-License-Identifier: GPL-2.0-only
"""The ``kemu`` command: one module per subcommand, found by name in this package.

A subcommand module has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(args) -> int`` (the exit code). It prints results
on stdout and one line ``kemu: NAME: ...`` on stderr when it fails; see :mod:`kemu.cli.common`.
"""
from __future__ import annotations

import os
import sys

from kemu.cli import _stdio
from kemu.cli.common import build_parser, cache_home, guarded, run_command


def main(argv: list[str] | None = None) -> int:
    """Run one ``kemu`` command line and return its exit code."""
    _stdio.prepare()
    # what Hypothesis keeps is a cache: not in the folder that somebody happens to work in
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(cache_home(), "kemu", "hypothesis"))
    state = {"name": "", "verbose": False}

    def action() -> int:
        args = build_parser(argv).parse_args(argv)
        state.update(name=f"{args.command}: ", verbose=bool(getattr(args, "verbose", 0)))
        return run_command(args)

    return guarded(action, lambda: str(state["name"]), lambda: bool(state["verbose"]))


if __name__ == "__main__":
    sys.exit(main())
