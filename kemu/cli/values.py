# SPDX-License-Identifier: GPL-2.0-only
"""What the options of every command take: one argparse type for each kind of value, and the checks of files that are read or
written.

A type says in one line what is wrong with a value (argparse makes it a usage error, exit code 2); what is wrong with a file is an
operation that failed (exit code 1, with the errno); what is wrong with a kernel option is a configuration error (3).
"""
from __future__ import annotations

import argparse
import functools
import os
import re
import stat
from collections.abc import Callable, Iterable
from typing import Any

from kemu.cli.common import EXIT_CONFIG, EXIT_USAGE, CommandError, errno_text
from kemu.plugins import ported_packages
from kemu.samples import sample, shown

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,32}|0|[1-9][0-9]{0,39}", re.ASCII)
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
U64_MAX = (1 << 64) - 1


def number(text: str) -> int:
    """``12`` or ``0xc``; ValueError for everything else, signs, spaces, underscores and leading zeros among it."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text, 16 if text[:2] in ("0x", "0X") else 10)


def _bytes(text: str) -> int:
    unit = text[-1:].upper() if text[-1:].upper() in _UNITS else ""
    return number(text[:len(text) - len(unit)]) << _UNITS[unit]


def _ranged(read: Callable[[str], int], what: str, low: int, high: int) -> Callable[[str], int]:
    limits = f"from {low} to {high}" if high < 1 << 32 else f"from {low} on"

    def convert(text: str) -> int:
        try:
            n = read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} {limits}") from None
        if not low <= n <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} {limits}"
                                             + ("" if n < low or high < 1 << 32 else f" and at most {high}"))
        return n
    return convert


def count(low: int = 1, high: int = 1 << 32) -> Callable[[str], int]:
    """An argparse type: how many, ``low`` to ``high``; 0x... too."""
    return _ranged(number, "a number", low, high)


def byte_size(low: int = 1, high: int = U64_MAX) -> Callable[[str], int]:
    """An argparse type: bytes; K, M, G and T behind a number are powers of 1024, 0x... is taken too."""
    return _ranged(_bytes, "a number of bytes", low, high)


byte_offset = byte_size(0, (1 << 63) - 1)
"""An argparse type: an offset in bytes; see :func:`check_at` for those into a machine's memory."""

page_offset = byte_size(0, 4095)
"""An argparse type: an offset within a page."""

seed = _ranged(number, "a number", 0, U64_MAX)
"""An argparse type: where a generator begins."""


def seconds(text: str) -> float:
    """An argparse type: a time in seconds, above 0."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}", text, re.ASCII) or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds above 0")
    return float(text)


def page_size(text: str) -> int:
    """An argparse type: PAGE_SIZE of an emulated kernel; 4096, 16384, 65536, or 4K, 16K, 64K."""
    try:
        n = _bytes(text)
    except ValueError:
        n = 0
    if n not in (4096, 16384, 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a page size: 4096, 16384 or 65536")
    return n


def name_of_file(text: str) -> str:
    """An argparse type: a path (``sample:NAME`` is one of the inputs that come with kemu)."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    if text.startswith("sample:") and not os.path.lexists(text):
        try:
            return os.fspath(sample(text[7:]))
        except KeyError as e:
            raise argparse.ArgumentTypeError(e.args[0]) from None
    return text


def path_inside(text: str) -> str:
    """An argparse type: a path inside an image."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a path")
    return text


def check_file(path: str | os.PathLike[str], what: str = "", null: bool = False) -> str:
    """``path`` if it is a regular file that can be read (``null``: or /dev/null, an empty one), else one clear line. Never waits
    for a writer.
    """
    name = os.fspath(path)
    name, real = shown(name), name
    kind = f": {what} is a regular file" if what else ": not a regular file"
    st = os.stat(real)
    if stat.S_ISDIR(st.st_mode):
        raise CommandError(f"{name}: {errno_text(21)}{kind}")
    if not stat.S_ISREG(st.st_mode) and not (null and stat.S_ISCHR(st.st_mode) and os.path.realpath(real) == os.devnull):
        raise CommandError(f"{name}: {errno_text(22)}{kind}")
    with open(real, "rb"):
        pass
    return real


HOLES = 512 << 20           # bytes of a file that is mostly holes


def check_holes(path: str, memory_size: int, option: bool = True) -> None:
    """A file whose size is a number and nothing more is not to be filled with work: it may have 512M, or four bytes for each that
    is on disk.
    """
    st = os.stat(path)
    limit = max(HOLES, 4 * 512 * st.st_blocks)
    if st.st_size > (memory_size or limit):
        what = (f"--memory-size is {memory_size}" if memory_size
                else f"{st.st_blocks * 512} of them on disk, and the limit is then {limit}")
        raise CommandError(f"{shown(path)}: {errno_text(27)}: {st.st_size} bytes, {what}"
                           + (": --memory-size SIZE raises that" if option else ""))


def check_at(at: int, memory: int) -> int:
    """``--at`` if such a place is in ``memory`` bytes of RAM."""
    if at >= memory:
        raise CommandError(f"--at {at}: the machine's memory ends at {memory} ({memory >> 20}M)", EXIT_USAGE)
    return at


# kernel options that are no tristate
_TYPED: dict[str, type] = {"CONFIG_BLK_DEV_RAM_COUNT": int, "CONFIG_BLK_DEV_RAM_SIZE": int, "CONFIG_INIT_ENV_ARG_LIMIT": int,
                           "CONFIG_DEFAULT_INIT": str}


def config_value(text: str) -> tuple[str, Any]:
    """``CONFIG_X=y``, ``CONFIG_X=n``, ``CONFIG_X`` (y), ``CONFIG_X=12``, ``CONFIG_X=0xc``, ``CONFIG_X="text"``: name and value,
    as the emulated kernel has it.

    There are no modules here: m is refused. Exit code 3 for what no kernel configuration has.
    """
    name, eq, value = text.partition("=")
    if not re.fullmatch(r"CONFIG_[A-Za-z0-9_]+", name, re.ASCII):
        raise CommandError(f"--config {text}: CONFIG_X=VALUE is meant", EXIT_CONFIG)
    if value == "m":
        raise CommandError(f"--config {text}: there are no modules here", EXIT_CONFIG)
    kind = _TYPED.get(name)
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    got: Any = None
    if value in ("y", "n") or not eq:
        got = value != "n"
    elif _NUMBER.fullmatch(value):
        got = number(value)
    elif quoted or (value and kind is str and '"' not in value):
        got = value[1:-1] if quoted else value
    if kind is None and type(got) in (int, str) and not never_asked([name]):
        kind = bool                                 # what the code asks for and is not in the table is a switch
    if got is None or (kind is not None and type(got) is not kind):
        want = ("y or n" if kind is bool else "a number" if kind is int else "a text" if kind is str
                else 'y, n, a number or a "text"')
        raise CommandError(f"--config {text}: {name} is {want}", EXIT_CONFIG)
    return name, got


def parse_config(options: Iterable[str]) -> dict[str, Any]:
    """The options of ``--config``, and what they select. Giving one of them twice with different values is an error."""
    out: dict[str, Any] = {}
    for name, value in map(config_value, options):
        if out.setdefault(name, value) != value:
            raise CommandError(f"--config {name}: given twice, with different values", EXIT_CONFIG)
    for name in [n for n in out if n.startswith("CONFIG_RD_")]:             # what it selects
        out.setdefault("CONFIG_DECOMPRESS_" + name[10:], out[name])
    return out


def never_asked(options: Iterable[str]) -> list[str]:
    """Those of the options that no code here asks for, so that giving them changes nothing."""
    known = _asked()
    return [o for o in options if o not in known and not (o.startswith("CONFIG_RD_") and "CONFIG_DECOMPRESS_" + o[10:] in known)]


@functools.cache
def _asked() -> frozenset[str]:
    import importlib.util  # start-up
    from pathlib import Path  # start-up

    known: set[str] = set()
    for package in ("kemu.linux", "kemu.machine", *ported_packages()):
        spec = importlib.util.find_spec(package)
        for place in spec.submodule_search_locations or () if spec else ():
            for path in Path(place).rglob("*.py"):
                known.update(re.findall(r"CONFIG_[A-Z0-9_]+", path.read_text(encoding="utf-8")))
    return frozenset(known)


def write_new(path: str, data: bytes, force: bool = False) -> None:
    """Write a file as a whole or not at all: beside it first, then under its name. Never through a link, and never in the place
    of something else than a file.

    What exists is replaced with ``force`` only; a file that has these bytes already is left as it is. ``OSError`` names the file.
    """
    folder = os.path.dirname(path) or "."
    try:
        st: os.stat_result | None = os.lstat(path)
    except FileNotFoundError:
        st = None
    if st is not None:
        if not stat.S_ISREG(st.st_mode):
            kind = "a link" if stat.S_ISLNK(st.st_mode) else "a folder" if stat.S_ISDIR(st.st_mode) else "no regular file"
            raise CommandError(f"{path}: {errno_text(17)}: it is {kind}, which is neither followed nor replaced")
        if _is_file_with(path, data):
            return
        if not force:
            raise CommandError(f"{path}: {errno_text(17)}: --force replaces it")
    beside = os.path.join(folder, f".kemu-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(beside, "xb") as f:
            f.write(data)
    except BaseException as e:
        if isinstance(e, OSError):
            e.filename = path
        if not isinstance(e, FileExistsError) and os.path.lexists(beside):
            os.unlink(beside)
        raise
    try:
        if force:
            os.rename(beside, path)
        else:
            _rename_new(beside, path)
    except OSError as e:
        e.filename, e.filename2 = path, None
        raise
    finally:
        if os.path.lexists(beside):
            os.unlink(beside)


def _is_file_with(path: str, data: bytes) -> bool:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as f:
            return os.fstat(f.fileno()).st_size == len(data) and f.read() == data
    except OSError:
        return False


def _rename_new(beside: str, path: str) -> None:
    """Rename unless ``path`` exists by now; file systems without hard links have a moment between the two."""
    try:
        os.link(beside, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(17, os.strerror(17), path) from None
        os.rename(beside, path)
