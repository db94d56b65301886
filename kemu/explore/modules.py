# SPDX-License-Identifier: GPL-2.0-only
"""Modules of experiments that are given by name or by path.

A name is an installed module's. A file of the working folder is meant only where that is said: ``./NAME.py``, ``dir/NAME.py``, or
:func:`load_here`. So a file that happens to be called like something installed is never run in its place.
"""
from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

given: dict[str, str] = {}          # module -> how it was given, for those of a folder
files: list[str] = []               # the files that were imported, in order


class ModuleProblem(ValueError):
    """The module is there and cannot be imported, or the path is no module's; the message says why."""


def load(name: str) -> set[str]:
    """Import what ``name`` stands for: a path to a .py file or a package's folder, or an installed module (its ``experiments``
    too).

    Return: names of the modules whose experiments are meant; empty if there is no such module.
    """
    if "/" in name or name.endswith(".py"):
        return _load_path(Path(name), name)
    if not all(part.isidentifier() for part in name.split(".")):
        return set()
    return _load_installed(name)


def known(name: str) -> bool:
    """Whether such a module is there: an installed one, or the file of a path."""
    told = len(files)
    try:
        return bool(load(name))
    except ModuleProblem:
        return True
    finally:
        del files[told:]


def load_here(name: str) -> set[str]:
    """Import a module of the working folder by its dotted name. ``ModuleProblem`` if there is none."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise ModuleProblem(f"{name!r} is not the name of a module")
    path = Path.cwd().joinpath(*name.split("."))
    for candidate in (path.with_name(path.name + ".py"), path):
        if candidate.is_file() or (candidate / "__init__.py").is_file():
            return _load_path(candidate, f"-m {name}")
    raise ModuleProblem(f"no module {name!r} in {Path.cwd()}")


def how_given(module: str) -> str:
    """What to write on a command line so that ``module`` is imported."""
    return given.get(module, module)


def hint(name: str) -> str:
    """What to write if a file of the working folder was meant."""
    try:
        path = Path(*name.split("."))
        if path.with_name(path.name + ".py").is_file():
            return f" is installed ({path}.py of this folder is given as ./{path}.py or with -m {name})"
    except (OSError, ValueError):
        pass
    return ""


def _load_installed(name: str) -> set[str]:
    kept = list(sys.path)
    sys.path[:] = [p for p in kept if p and not _is_here(p)]
    loaded = set()
    try:
        for candidate in (name, name + ".experiments"):
            try:
                found = importlib.util.find_spec(candidate)
            except (ImportError, ValueError):
                found = None
            if found is not None and found.loader is not None:
                _import(lambda candidate=candidate: importlib.import_module(candidate), candidate)     # type: ignore[misc]
                files.append(found.origin or candidate)
                loaded.add(candidate)
    finally:
        sys.path[:] = kept
    return loaded


def _is_here(entry: str) -> bool:
    """Whether a place of sys.path is the working folder, and the user did not put it there."""
    wanted = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return os.path.abspath(entry) == os.getcwd() and os.path.abspath(entry) not in wanted


def _load_path(path: Path, as_given: str) -> set[str]:
    path = Path(os.path.abspath(path))
    name, file, inside = path.stem, path, None
    if path.is_dir():
        file, inside, name = path / "__init__.py", [str(path)], path.name
    if not file.is_file():
        if path.suffix != ".py" and not path.exists():
            return set()
        raise ModuleProblem(f"{path}: {'no __init__.py in it' if path.is_dir() else 'no such file'}")
    if not name.isidentifier() or path.suffix not in (".py", ""):
        raise ModuleProblem(f"{file}: the name of a module has letters, digits and _ and ends in .py")
    known = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", None) == str(file):
            return _with_experiments(name, inside, as_given)
        raise ModuleProblem(f"{file}: a module {name!r} is imported already "
                            f"({getattr(known, '__file__', None) or 'of Python'}): give the file another name")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))               # what stands beside it, behind everything that is installed
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise ModuleProblem(f"{file}: not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        _import(lambda: spec.loader.exec_module(module), str(file), False)                 # type: ignore[union-attr]
    except ModuleProblem:
        del sys.modules[name]
        raise
    if as_given.startswith("-m "):                      # a path says itself which file it is
        files.append(str(file))
    return _with_experiments(name, inside, as_given)


def _with_experiments(name: str, inside: list[str] | None, as_given: str) -> set[str]:
    given[name] = as_given
    loaded = {name}
    if inside and Path(inside[0], "experiments.py").is_file():
        _import(lambda: importlib.import_module(name + ".experiments"), name + ".experiments", False)
        given[name + ".experiments"] = as_given
        loaded.add(name + ".experiments")
    return loaded


def _import(action: object, what: str, leave_bytecode: bool = True) -> None:
    wrote, sys.dont_write_bytecode = (sys.dont_write_bytecode,
                                      sys.dont_write_bytecode or (not leave_bytecode and not sys.pycache_prefix))
    try:
        action()                                        # type: ignore[operator]
    except Exception as e:
        at = ""
        tb = e.__traceback__
        while tb is not None:
            if not tb.tb_frame.f_code.co_filename.startswith("<frozen") and tb.tb_frame.f_code.co_filename != __file__:
                at = f" ({os.path.basename(tb.tb_frame.f_code.co_filename)}:{tb.tb_lineno})"
            tb = tb.tb_next
        raise ModuleProblem(f"{what}: {type(e).__name__}: {e}{at}") from e
    finally:
        sys.dont_write_bytecode = wrote
