# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's objects, made by kbuild the first time, and by their own saved commands when a source has changed."""
from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kemu.rung.c.flavours import WATCH, WATCH_HERE, Flavour
from kemu.rung.c.sources import FOLDERS, OBJECTS, UNDER_TEST
from kemu.rung.uml.build import Recipe, configure, forget_half_made
from kemu.rung.uml.cache import write_whole
from kemu.rung.uml.errors import BuildError
from kemu.rung.uml.fence import fence_writes
from kemu.rung.uml.make import Say, compiler_message, make

_MAKING = ".kemu-making"
_BUILT = ("block", "crypto", "drivers", "fs", "init", "ipc", "kernel", "lib", "mm", "net", "security")   # of vmlinux
_COMMAND = re.compile(r"^savedcmd_\S+ := (.*)$", re.M)


def kernel_objects(recipe: Recipe, flavour: Flavour, objects: Path, say: Say, jobs: int = 0) -> list[Path]:
    """All objects of the kernel that are linked, up to date, in ``objects``. ``BuildError`` with the compiler's message."""
    dot = configure(recipe, objects, say)
    forget_half_made(objects)
    _copy_header(objects)
    stamp = objects / ".kemu-objects"
    parts = [dot.read_text(), *flavour.flags(), *flavour.tested, *OBJECTS, *FOLDERS, *flavour.objects, *flavour.folders,
             *_lists_of(recipe)]
    want = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    try:
        known = stamp.read_text().split("\n")
    except OSError:
        known = [""]
    if known[0] == want and all(_cmd_file(objects, name).exists() for name in known[1:]):
        names = known[1:]
        _refresh(objects, names, say, jobs)
    else:
        names = _make_all(objects, flavour, say, jobs)
        names += _of_series(objects, recipe, flavour, names, say, jobs)
        write_whole(stamp, "\n".join([want, *names]))
    _instrument(objects, names, flavour.tested, say, jobs)
    return [objects / name for name in names]


def _copy_header(objects: Path) -> None:
    """The header that tested objects include; one that has not changed keeps its time."""
    here, text = objects / WATCH_HERE, WATCH.read_text()
    try:
        if here.read_text() == text:
            return
    except OSError:
        pass
    write_whole(here, text)


def _lists_of(recipe: Recipe) -> list[str]:
    """What of a series says which objects there are: its changes of Makefiles."""
    return [patch.data.decode("latin-1") for patch in recipe.patches
            if any(path.rpartition("/")[2] in ("Makefile", "Kbuild") for path in patch.touched())]


def _make_all(objects: Path, flavour: Flavour, say: Say, jobs: int) -> list[str]:
    making = objects / _MAKING
    write_whole(making, "")
    try:
        make(objects, ["prepare"], say, jobs)
        make(objects, [f"KCFLAGS={' '.join(flavour.flags())}", *OBJECTS, *flavour.objects,
                       *(f"{folder}/" for folder in (*FOLDERS, *flavour.folders))], say, jobs)
    except BuildError:
        making.unlink(missing_ok=True)
        raise
    making.unlink()
    names = [*OBJECTS, *flavour.objects]
    for folder in (*FOLDERS, *flavour.folders):
        listed = subprocess.run(["ar", "t", f"{folder}/built-in.a"], cwd=objects, capture_output=True, text=True)
        names += listed.stdout.split()
    return names


def _of_series(objects: Path, recipe: Recipe, flavour: Flavour, have: Sequence[str], say: Say, jobs: int) -> list[str]:
    """What a series has in other folders, as far as the configuration has it."""
    touched = {f"{path.removesuffix('.c')}.o" for patch in recipe.patches for path in patch.touched() if path.endswith(".c")}
    found = []
    folders = {os.path.dirname(name) for name in touched - set(have)} - {*FOLDERS, *flavour.folders, ""}
    for folder in sorted(folder for folder in folders if folder.partition("/")[0] in _BUILT):
        make(objects, [f"KCFLAGS={' '.join(flavour.flags())}", f"{folder}/"], say, jobs)
        listed = subprocess.run(["ar", "t", f"{folder}/built-in.a"], cwd=objects, capture_output=True, text=True)
        found += sorted((touched - set(have)) & set(listed.stdout.split()))
    return found


def stale(objects: Path, name: str, times: dict[str, int]) -> bool:
    """Whether one of the files that an object was made of is newer than it. ``times``: of files that have been looked at."""
    try:
        made = (objects / name).stat().st_mtime_ns
        text = _cmd_file(objects, name).read_text()
    except OSError:
        return True
    begin = text.find("\nsource_")
    made_of = set(text[begin:].split()) if begin >= 0 else set()
    for word in made_of - times.keys():
        times[word] = _time(objects, word)
    return max(map(times.__getitem__, made_of), default=0) > made


def _time(objects: Path, word: str) -> int:
    """When a file was changed that kbuild's list for an object names; never for the list's other words."""
    if word in ("\\", ":=") or word.startswith(("source_", "deps_", "$(")) or word.endswith((")", ":")):
        return 0
    try:
        return os.stat(os.path.join(objects, word)).st_mtime_ns
    except OSError:
        return 1 << 63


def _cmd_file(objects: Path, name: str) -> Path:
    folder, _, base = name.rpartition("/")
    return objects / folder / f".{base}.cmd"


def command(objects: Path, name: str) -> str:
    """The command that kbuild made an object with."""
    try:
        m = _COMMAND.search(_cmd_file(objects, name).read_text())
    except OSError:
        m = None
    if m is None:
        raise BuildError(f"{name}: kbuild kept no command")
    return m[1].strip()


def flags_of(saved: str) -> tuple[list[str], str]:
    """The flags and the source of a compile command that kbuild has saved; not where the object and its list go."""
    words = iter(shlex.split(saved.split(";")[0])[1:])
    flags: list[str] = []
    for word in words:
        if word == "-o":
            next(words, None)
        elif word != "-c" and not word.startswith("-Wp,"):
            flags.append(word)
    return flags[:-1], flags[-1]


def _refresh(objects: Path, names: Sequence[str], say: Say, jobs: int) -> None:
    times: dict[str, int] = {}
    todo = [name for name in names if stale(objects, name, times)]
    if not todo:
        return
    say(f"compiling {', '.join(todo[:4])}{f' and {len(todo) - 4} more' if len(todo) > 4 else ''}")
    with fence_writes(objects) as restrict, ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        list(pool.map(lambda name: _remake(objects, name, restrict), todo))


def _instrument(objects: Path, names: Sequence[str], flags: Sequence[str], say: Say, jobs: int) -> None:
    """The objects under test, made again with these flags unless they were made with them."""
    more = " ".join(flags)
    todo = [name for name in names if more and name.startswith(UNDER_TEST) and f" {more} -c -o " not in command(objects, name)]
    if not todo:
        return
    say(f"compiling {len(todo)} objects under test with {more}")
    with fence_writes(objects) as restrict, ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        list(pool.map(lambda name: _remake(objects, name, restrict, more), todo))


def _remake(objects: Path, name: str, restrict: Callable[[], None], more: str = "") -> None:
    cmd = command(objects, name)
    if more:
        cmd = cmd.replace(" -c -o ", f" {more} -c -o ", 1)
    folder, _, base = name.rpartition("/")
    deps = f"{folder}/.{base}.d"
    target = objects / name
    target.unlink(missing_ok=True)
    env = os.environ | {"LC_ALL": "C", "TMPDIR": str(objects / ".kemu-tmp")}
    (objects / ".kemu-tmp").mkdir(exist_ok=True)
    done = subprocess.run(["sh", "-c", cmd], cwd=objects, env=env, capture_output=True, text=True, errors="replace",
                          preexec_fn=restrict)
    if done.returncode:
        target.unlink(missing_ok=True)
        raise BuildError(f"{name}: the compiler refused it", compiler_message(done.stderr.splitlines()))
    fixed = subprocess.run([str(objects / "scripts/basic/fixdep"), deps, name, cmd], cwd=objects, capture_output=True, text=True)
    if fixed.returncode == 0:
        write_whole(_cmd_file(objects, name), fixed.stdout)
