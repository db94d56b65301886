# SPDX-License-Identifier: GPL-2.0-only
"""What a series is: C patches, a Python Series for the ports, or both; found by what is written on a command line.

    NAME                    a folder of patches/, or a series that an installed back end or design brings
    PATH                    a folder of patches, an mbox, a single patch
    -                       a mail, or several, on standard input
    MODULE[:NAME]           a Series in an installed module
    ./FILE.py[:NAME]        a Series in a file, or in a package's folder

``series.toml`` ties the Python half to a folder of patches (``python = "MODULE:NAME"`` or ``"FILE.py:NAME"``, from that folder);
``Series(..., c="FOLDER")`` ties the C half to a Python Series.
"""
from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from kemu.explore import modules
from kemu.machine.hunks import SeriesError, called
from kemu.machine.places import all_modules, holds
from kemu.machine.series import Series, ShortForms
from kemu.machine.stack import lifted
from kemu.plugins import installed_objects, load_object
from kemu.rung.uml import series as in_c
from kemu.rung.uml.errors import ConfigError, PatchError, RungError

MAIL = "-"
MOST = 64 << 20                         # bytes of mail on standard input


@dataclass(frozen=True)
class Whole:
    """A series. ``given``: what it was asked for by; one of ``c`` and ``python`` may be missing."""

    name: str
    given: str
    c: in_c.Series | None = None
    python: Series | None = None


def whole(given: str) -> Whole:
    """The series that ``given`` stands for. ``ConfigError`` says in one line what is wrong with it."""
    try:
        return _whole(given)
    except PatchError as e:
        raise ConfigError(str(e)) from None


def _whole(given: str) -> Whole:
    if given == MAIL:
        return _of_c(from_mail(sys.stdin.buffer.read(MOST + 1)), given)
    if not given:
        raise ConfigError("an empty series name")
    try:
        path = Path(given)
        there = path.exists() or ("/" not in given and given not in (".", "..")
                                  and any((place / given).exists() for place in in_c.places()))
        is_python = path.suffix == ".py" or (path / "__init__.py").is_file()
    except (OSError, ValueError) as e:
        raise ConfigError(f"{given!r}: {getattr(e, 'strerror', None) or e}") from None
    if there and not is_python:
        return _of_c(in_c.find_series(given), given)
    name, _, which = given.partition(":")
    by_name = None if which else installed(given)
    if by_name is not None:
        return _of_python(by_name, given)
    where, found = python_series(name)
    if found is None:
        raise ConfigError(_nothing(given))
    return _of_python(chosen(where, found, which), given)


def _nothing(given: str) -> str:
    name = given.partition(":")[0]
    if "/" in name or name.endswith(".py"):
        return f"{name}: no such file or folder"
    try:
        in_c.find_series(given)
    except ConfigError as e:
        return str(e) + f", nor is there a module {name!r}" + modules.hint(name)
    return f"no series {given!r}"


# ------------------------------------------------------------------------- the Python half

def python_series(name: str) -> tuple[str, dict[str, Series] | None]:
    """The Series of a module, by the names that they have there; None if there is no such module."""
    told = len(modules.files)
    try:
        with lifted():                  # its hunks are for the port as it is
            loaded = modules.load(name)
    except modules.ModuleProblem as e:
        raise ConfigError(str(e)) from None
    finally:
        del modules.files[told:]        # who names a module knows that it is imported
    if not loaded:
        return name, None
    module = sys.modules[min(loaded, key=len)]
    return name, series_in(module)


def series_in(module: ModuleType) -> dict[str, Series]:
    """The Series of a module by name, without short forms and without those that it imports, unless it has no others."""
    import ast  # noqa: PLC0415  (start-up)

    found = {name: s for name, s in vars(module).items() if isinstance(s, Series) and not isinstance(s, ShortForms)}
    if len(found) < 2 or not module.__file__:
        return found
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    taken = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return {name: s for name, s in found.items() if name not in taken} or found


def chosen(where: str, found: dict[str, Series], which: str) -> Series:
    """The one that is meant: by its name in the module, or its own; without one there has to be just one."""
    hits = {id(s): s for name, s in found.items() if not which or which in (name, s.name)}
    if len(hits) == 1:
        return next(iter(hits.values()))
    if not found:
        raise ConfigError(f"{where}: there is no Series in it (from kemu.linux.port.series import Series)")
    there = ", ".join(f"{name} ({s.name})" if name != s.name else name for name, s in found.items())
    raise ConfigError(f"{where}: " + (f"no Series {which!r} in it: there is {there}" if which
                                      else f"several Series are in it: give one of them as {where}:NAME; there are {there}"))


def installed(name: str) -> Series | None:
    """A series by its own name, where an installed back end brings it."""
    for _, where in installed_objects("kemu.backends"):
        try:
            found = load_object(where).series()
        except Exception:               # a broken package stops those who ask for it
            continue
        for s in found:
            if s.name == name:
                return s                # type: ignore[no-any-return]
    return None


def _of_python(s: Series, given: str) -> Whole:
    try:
        c = c_half(s)
    except RungError as e:
        raise ConfigError(f"{s.name}: its C half: {e}") from None
    return Whole(s.name, given, c, s)


# ------------------------------------------------------------------------- the C half

def c_half(s: Series) -> in_c.Series | None:
    """The C of a Python Series: what its ``c=`` names, else the folder of patches/ with its name."""
    if s.c:
        path = Path(s.c)
        homes = [] if path.is_absolute() else [m for m in all_modules() if holds(m, s)]
        beside = [Path(str(m.__file__)).parent / path for m in homes if getattr(m, "__file__", None)]
        found = next((p for p in [path, *beside] if p.exists()), None)
        if found is None:
            return in_c.find_series(s.c)
        s.c = str(found.resolve())          # for whoever asks from another folder
        return in_c.read_series(found)
    for place in in_c.places():
        if (place / s.name / "series.toml").is_file():
            return in_c.read_series(place / s.name)
    return None


def _of_c(c: in_c.Series, given: str) -> Whole:
    if not c.python:
        return Whole(c.name, given, c)
    name, _, which = c.python.partition(":")
    if name.endswith(".py") or "/" in name:
        name = str((c.path if c.path.is_dir() else c.path.parent) / name)
    elif not which and (by_name := installed(name)) is not None:
        return Whole(c.name, given, c, by_name)
    where, found = python_series(name)
    if found is None:
        raise ConfigError(f"{c.path}/series.toml: python = {c.python!r}: there is no such module")
    return Whole(c.name, given, c, chosen(where, found, which))


def from_mail(data: bytes, name: str = "stdin") -> in_c.Series:
    """The patches of a mail, or of several as an mbox."""
    if not data.strip():
        raise ConfigError("-: no mail on standard input")
    if len(data) > MOST:
        raise ConfigError(f"-: more than {MOST >> 20}M of mail on standard input")
    with tempfile.TemporaryDirectory(prefix="kemu-mail-") as folder:
        path = Path(folder) / f"{name}.mbox"
        path.write_bytes(data)
        try:
            return in_c.read_series(path)
        except RungError as e:
            raise ConfigError(str(e).replace(str(path), MAIL)) from None


def in_c_named(name: str) -> in_c.Series:
    """The C of a series, by its name, its path, ``-``, or that of the Python Series. ``RungError`` says what is wrong."""
    if name != MAIL and ":" not in name and not name.endswith(".py"):
        return in_c.find_series(name)
    found = whole(name)
    if found.c is None:
        raise ConfigError(f"{name}: it has no C patches")
    return found.c


# ------------------------------------------------------------------------- what a rung takes of a stack

def python_halves(stack: Iterable[Whole]) -> list[Series]:
    """The Python Series of a stack, in order. ``ConfigError`` for one that has none, or is there twice."""
    out: list[Series] = []
    for w in stack:
        if w.python is None:
            raise ConfigError(f"{w.given}: it has C patches only, and the port needs a Python Series: series.toml ties one to it "
                              f'(python = "MODULE:NAME"); --rung c and --rung linux take the C')
        if w.python in out:
            raise ConfigError(f"{w.given}: {w.name} is given twice")
        out.append(w.python)
    return out


def c_halves(stack: Iterable[Whole]) -> list[in_c.Series]:
    """The C series of a stack, in order. ``ConfigError`` for one that has none, or is there twice."""
    out: list[in_c.Series] = []
    for w in stack:
        if w.c is None:
            raise ConfigError(f"{w.given}: it has no C patches, which this rung needs: Series(..., c=\"FOLDER\") ties them to "
                              f"it, or a folder of patches/ called {w.name}; --rung py takes the Python")
        if any(w.c.path == c.path and w.c.patches == c.patches for c in out):
            raise ConfigError(f"{w.given}: {w.name} is given twice")
        if not w.c.patches:
            raise ConfigError(f"{w.given}: no patch in {w.c.path}")
        out.append(w.c)
    return out


def check_stack(python: Sequence[Series]) -> None:
    """Raises SeriesError for one that changes what a series outside of the stack brings."""
    for s in python:
        for change in s.changes:
            name = getattr(change.original, "__module__", "") or ""
            module = sys.modules.get(name)
            if module is None or not isinstance(module, ModuleType):
                continue
            brings = [v for v in vars(module).values() if isinstance(v, Series)]
            if brings and not any(b in python for b in brings):
                raise SeriesError(f"{s.name}: it changes {called(change.original)} of {brings[0].name}, which is "
                                  f"not there before it: --series {name} brings it")
