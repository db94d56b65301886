# SPDX-License-Identifier: GPL-2.0-only
"""What every subcommand shares: finding the modules, exit codes, the one-line failure."""
from __future__ import annotations

import argparse
import errno
import importlib
import os
import pkgutil
import signal
import sys
from typing import NoReturn

# exit codes (docs/reference/commands.md)
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_BUILD = 4
EXIT_TIMEOUT = 124
EXIT_NO_TESTS = 125
EXIT_PANIC = 255


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; ``--help`` has the rest."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.split(" ", 1)
        head = "kemu: " + (name[1] + ": " if len(name) > 1 else "")
        self.exit(EXIT_USAGE, f"{head}{message} (see: {self.prog} --help)\n")


class CommandError(Exception):
    """An operation that failed: ``message`` becomes ``kemu: COMMAND: message`` and ``code`` the exit code."""

    def __init__(self, message: str, code: int = EXIT_FAILED):
        super().__init__(message)
        self.code = code


# the asm-generic text of each errno as glibc's strerror says it on Linux, for platforms where os.strerror differs
def errno_text(err: int) -> str:
    """``"EUCLEAN (Structure needs cleaning)"`` for 117 or -117."""
    err = abs(err)
    name = errno.errorcode.get(err, "ENOTSUPP" if err == 524 else f"errno {err}")
    return f"{name} ({os.strerror(err)})"


def subcommands() -> list[str]:
    """Names of the subcommand modules of this package, sorted."""
    import kemu.cli

    skip = {"common", "__main__"}
    return sorted(m.name for m in pkgutil.iter_modules(kemu.cli.__path__) if m.name not in skip and not m.name.startswith("_"))


def build_parser(argv: list[str] | None = None) -> argparse.ArgumentParser:
    """The parser of the whole command line; subcommand modules are imported only for the command that is given."""
    glob = Parser(add_help=False)
    glob.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="say less")
    glob.add_argument("-v", "--verbose", action="count", default=argparse.SUPPRESS, help="say more")
    glob.add_argument("--no-color", action="store_true", default=argparse.SUPPRESS, help="plain text (also: NO_COLOR)")

    parser = Parser(prog="kemu", parents=[glob],
                                     description="A workbench for Linux kernel patches: emulated, fuzzed, compared with the real kernel.")
    sub = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((a for a in (sys.argv[1:] if argv is None else argv) if not a.startswith("-")), None)
    names = subcommands()
    for name in names:
        if wanted in names and name != wanted:
            sub.add_parser(name, add_help=False)
            continue
        module = importlib.import_module(f"kemu.cli.{name}")
        p = sub.add_parser(name, help=module.HELP, description=module.HELP, parents=[glob])
        module.add_arguments(p)
    return parser


def run_command(args: argparse.Namespace) -> int:
    """Run the chosen subcommand; bad input ends in one line on stderr, never in a traceback."""
    args.quiet = getattr(args, "quiet", False)
    args.verbose = getattr(args, "verbose", 0)
    args.no_color = getattr(args, "no_color", False) or bool(os.environ.get("NO_COLOR"))
    module = importlib.import_module(f"kemu.cli.{args.command}")
    try:
        code: int = module.run(args)
        sys.stdout.flush()
        return code
    except CommandError as e:
        print(f"kemu: {args.command}: {e}", file=sys.stderr)
        return e.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print(f"kemu: {args.command}: interrupted", file=sys.stderr)
        return 130
    except OSError as e:
        what = f"{e.filename}: " if e.filename else ""
        print(f"kemu: {args.command}: {what}{errno_text(e.errno or 5)}", file=sys.stderr)
        return EXIT_FAILED
