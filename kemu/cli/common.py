# SPDX-License-Identifier: GPL-2.0-only
"""What every subcommand shares: finding the modules, exit codes, the one-line failure."""
from __future__ import annotations

import argparse
import errno
import importlib
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from kemu.cli._stdio import abandon_output, complain
from kemu.machine.hostmodule import MissingLibrary
from kemu.machine.hunks import SeriesError
from kemu.plugins import installed_modules, ported_packages

# exit codes (docs/reference/commands.md)
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_BUILD = 4
EXIT_TIMEOUT = 124
EXIT_NO_TESTS = 125
EXIT_INTERRUPTED = 130
# what an error in ported code is in Python
OOPSES = (AttributeError, TypeError, LookupError, ArithmeticError, NameError, RecursionError)
EXIT_PIPE = 128 + signal.SIGPIPE            # whoever read the output has gone
EXIT_PANIC = 255

SHELLS = ("bash", "zsh")
SHARED = ("common", "values", "views")         # modules of this package that are no command


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; ``--help`` has the rest. Options are not abbreviated."""

    def __init__(self, *args: Any, **kwargs: Any):
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """One line on stderr, and the exit code of a usage error."""
        name = self.prog.split(" ", 1)
        head = "kemu: " + (name[1] + ": " if len(name) > 1 else "")
        message = re.sub(r"^argument (\S+): (['\"])", r"\1 \2", message)       # --at 'here' is not a number ...
        message = re.sub(r"^argument (\S+): ", r"\1: ", message)
        complain(f"{head}{message} (see: {self.prog} --help)")
        self.exit(EXIT_USAGE)

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:                                     # argparse keeps quiet about a full disk
            (file or sys.stderr).write(message)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but what is left over is told by the command that it was given to."""
        got, rest = self.parse_known_args(args, namespace)
        if rest:
            words = [getattr(got, name, None) for name in ("command", "verb")]
            Parser(prog=" ".join([self.prog, *(w for w in words if w)]),
                   add_help=False).error(f"unrecognized arguments: {' '.join(rest)}")
        return got

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # --option=-- is a value, which argparse before 3.13 loses
        if action.option_strings and action.nargs is None and arg_strings == ["--"]:
            value = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)             # type: ignore[misc]


class _Tell(argparse.Action):
    """Prints what it is asked for, and that is all."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        from kemu.cli import _about  # start-up

        print(_about.version() if self.dest == "version" else _about.completion(values))
        parser.exit()


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


def cache_home() -> str:
    """``$XDG_CACHE_HOME``, ``~/.cache`` where that is unset or not absolute."""
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return xdg if xdg.startswith("/") else os.path.expanduser("~/.cache")


def subcommands() -> dict[str, str]:
    """Every command and its module, sorted by name: those of this package, and those that ports bring (entry points
    ``kemu.commands``).
    """
    names = (name.removesuffix(".py") for name in os.listdir(os.path.dirname(os.path.abspath(__file__))) if name.endswith(".py"))
    own = {name: f"kemu.cli.{name}" for name in names if name not in SHARED and not name.startswith("_")}
    return dict(sorted({**dict(installed_modules("kemu.commands")), **own}.items()))


def build_parser(argv: list[str] | None = None, whole: bool = False) -> argparse.ArgumentParser:
    """The parser of the whole command line; subcommand modules are imported only for the command that is given (``whole``: all of
    them).
    """
    glob = Parser(add_help=False)
    glob.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="say less")
    glob.add_argument("-v", "--verbose", action="count", default=argparse.SUPPRESS, help="say more")
    glob.add_argument("--no-color", action="store_true", default=argparse.SUPPRESS, help="plain text (also: NO_COLOR)")

    parser = Parser(prog="kemu", parents=[glob],
                    description="A workbench for Linux kernel patches: emulated, fuzzed, compared with the real kernel.")
    parser.add_argument("--version", action=_Tell, nargs=0, help="print the version")
    parser.add_argument("--print-completion", action=_Tell, choices=SHELLS, metavar="|".join(SHELLS),
                        help="print the completion script of a shell")
    sub = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, prog="kemu")
    words = sys.argv[1:] if argv is None else argv
    wanted = next((a for a in words if not a.startswith("-")), None)
    whole = whole or (wanted is None and not {"-h", "--help"}.isdisjoint(words))          # what each is for
    for name, where in subcommands().items():
        if name != wanted and not whole:
            sub.add_parser(name, add_help=False)
            continue
        module = importlib.import_module(where)
        p = sub.add_parser(name, help=module.HELP, description=module.HELP, parents=[glob])
        module.add_arguments(p)
    return parser


def run_command(args: argparse.Namespace) -> int:
    """Run the chosen subcommand."""
    args.quiet = getattr(args, "quiet", False)
    args.verbose = getattr(args, "verbose", 0)
    args.no_color = getattr(args, "no_color", False) or bool(os.environ.get("NO_COLOR"))
    module = importlib.import_module(subcommands()[args.command])
    try:
        code: int = module.run(args)
    except OOPSES as e:
        if not getattr(args, "series", None):
            raise
        raise CommandError(oops(e, bool(args.verbose))) from None
    return code


def guarded(action: Callable[[], int], name: Callable[[], str], verbose: Callable[[], bool] = lambda: False) -> int:
    """``action()``, its output written; bad input ends in one line on stderr, never in a traceback. The exit code."""
    def failed(message: object, code: int = EXIT_FAILED) -> int:
        try:
            sys.stdout.flush()
        except (OSError, ValueError):
            abandon_output()
        complain(f"kemu: {name()}{message}")
        return code

    try:
        code = action()
        sys.stdout.flush()
        return code
    except SystemExit as e:                         # argparse: --help, --version, or a usage error that has been told
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            abandon_output()
            return EXIT_PIPE
        except OSError as err:
            abandon_output()
            return failed(f"standard output: {errno_text(err.errno or 5)}")
        return e.code if isinstance(e.code, int) else EXIT_OK if e.code is None else failed(e.code, EXIT_USAGE)
    except CommandError as e:
        return failed(e, e.code)
    except BrokenPipeError:
        abandon_output()
        return EXIT_PIPE
    except KeyboardInterrupt:
        return failed("interrupted", EXIT_INTERRUPTED)
    except (MissingLibrary, SeriesError) as e:
        return failed(e if isinstance(e, MissingLibrary) else f"series {e}", EXIT_CONFIG)
    except ModuleNotFoundError as e:
        if not e.name or e.name.partition(".")[0] in ("kemu", *ported_packages()):
            return failed(internal_error(e, verbose()))
        return failed(f"the Python package {e.name} is missing: kemu doctor says how to get it", EXIT_CONFIG)
    except OSError as e:
        what = (f"{os.fsdecode(e.filename)}: " if isinstance(e.filename, (str, bytes)) else "standard output: "
                if e.filename is None and output_failed(e) else "")
        return failed(f"{what}{errno_text(e.errno or 5)}")
    except MemoryError as e:
        return failed(f"{errno_text(12)}" + (f": {e}" if str(e) else ""))
    except Exception as e:
        return failed(internal_error(e, verbose()))


def output_failed(e: OSError) -> bool:
    """Whether standard output takes nothing more; what is in its buffer is dropped then."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        abandon_output()
        return True
    return False


def oops(e: BaseException, verbose: bool) -> str:
    """What a kernel would report in the place of a Python error that a series of the user's leads to."""
    import traceback  # start-up

    from kemu.explore.finding import of_exception  # start-up

    if verbose:
        traceback.print_exc()
    splat = of_exception(e)
    where = os.path.basename(str(splat.facts.get("line", "")))
    return f"{splat.title}{f' ({where})' if where else ''}: {type(e).__name__}: {e}"


def internal_error(e: BaseException, verbose: bool) -> str:
    """A mistake of kemu's own, with its place."""
    import traceback  # start-up

    if verbose:
        traceback.print_exc()
    frames = traceback.extract_tb(e.__traceback__)
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"internal error: {type(e).__name__}: {e}{where}; this is a bug of kemu, with -v it shows where"
