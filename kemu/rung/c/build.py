# SPDX-License-Identifier: GPL-2.0-only
"""From a tree, a flavour and a series to a shared object with the kernel's C in it, at most once.

A finished one is kept under a key made of everything that went into it. A changed source costs the compilation of the objects
that include it, and a link.
"""
from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kemu.rung.c import sparse, stubs
from kemu.rung.c.flavours import FLAVOURS, Flavour
from kemu.rung.c.objects import command, kernel_objects
from kemu.rung.c.sources import UNDER_TEST
from kemu.rung.c.watched import redirected
from kemu.rung.uml import config
from kemu.rung.uml.build import Recipe, prepare, seed, start_from
from kemu.rung.uml.cache import cache_dir, lock, pin, remove_parts, unused, write_whole
from kemu.rung.uml.errors import BuildError, UsageError
from kemu.rung.uml.listing import BUILD_PREFIX
from kemu.rung.uml.make import Say, compiler_message, nothing

RUNTIME = Path(__file__).parent / "runtime"
AGENT = Path(__file__).parent.parent / "uml" / "agent"
MODULE = Path(__file__).parent.parent / "uml" / "module"
KEEP = 24                              # one is 10 MB
_pins: dict[Path, int] = {}
NOTES = "notes"                        # beside a library of the gcov flavour: the compiler's notes on the objects under test
_HOST = ("host", "agent", "reading", "sha256")    # compiled with the host's headers
_KERNEL = ("trap", "faults", "slab", "pages", "reclaim", "tasks", "disks", "start", "calls", "arch", "misc", "erofs", "unpack",
           "doors", "mappings", "errands", "case", "look")
_BARE = ("slab", "pages", "tasks", "trap")
_LINK = ("gcc", "-shared", "-Wl,-z,notext", "-Wl,-Bsymbolic", "-Wl,--build-id=none")


@dataclass(frozen=True)
class Library:
    """A shared object: where it is, its flavour, the kernel's version, the copy of the tree it was made of, its traps, and of a
    series the byte orders that it mixes up, as far as sparse is there to see them.
    """

    path: Path
    flavour: str
    version: str
    source: Path
    traps: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()      # what is called by trampolines, by its number

    def used(self) -> None:
        """It is in use: the libraries that have not been for longest are forgotten first."""
        with suppress(OSError):
            os.utime(self.path.parent)


def build(recipe: Recipe, flavour: str = "plain", say: Say = nothing, jobs: int = 0) -> Library:
    """The shared object of a recipe, from the cache or built now.

    ``ConfigError`` (a tool is missing, Kconfig refuses a symbol), ``PatchError``, ``BuildError`` (the compiler's message),
    ``UsageError`` (no such flavour).
    """
    if flavour not in FLAVOURS:
        raise UsageError(f"no flavour {flavour!r} of the C rung: there are {', '.join(FLAVOURS)}")
    kind = FLAVOURS[flavour]
    key = _key(recipe, kind)
    store = cache_dir() / "c" / key
    found = _stored(store)
    if found:
        return found
    config.need_tools()
    work = cache_dir() / "work" / f"{recipe.tree.slot()}-{recipe.slot}"
    with lock(work, say):
        found = _stored(store)
        if found:
            return found
        copy = prepare(recipe, work, say)
        objects = work / f"{BUILD_PREFIX}c-{flavour}"
        seed(recipe, objects, say)
        for base in FLAVOURS.values():
            if not kind.plain and base.plain and base.flags() == kind.flags():
                start_from(work / f"{BUILD_PREFIX}c-{base.name}", objects, say)
        files = kernel_objects(recipe, kind, objects, say, jobs)
        say("linking")
        _link(recipe, kind, objects, files, copy.path, store)
    _forget_old(store.parent)
    found = _stored(store)
    if found is None:
        raise BuildError(f"{store}: it is built and cannot be kept")
    return found


def _key(recipe: Recipe, flavour: Flavour) -> str:
    h = hashlib.sha256()
    for part in (recipe.key(), *flavour.flags(), *flavour.tested, *flavour.runtime, *flavour.objects, *flavour.folders):
        h.update(part.encode() + b"\0")
    for path in [*_files(RUNTIME, AGENT), *sorted(MODULE.glob("*.h"))]:
        h.update(path.name.encode() + b"\0" + path.read_bytes())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        h.update(path.read_bytes())
    return h.hexdigest()[:16]


def _files(*folders: Path) -> list[Path]:
    """The files of `folders`, in order; what lies in their own folders is not of this rung."""
    return sorted(path for folder in folders for path in folder.iterdir() if path.is_file())


def _stored(store: Path) -> Library | None:
    try:
        meta = json.loads((store / "meta.json").read_text())
        path = store / "kemu.so"
        if path.stat().st_size != meta["size"]:
            return None
        os.utime(store)
        held = _pins.get(path)
        if held is None or os.fstat(held).st_ino != path.stat().st_ino:
            _pins[path] = pin(path)
        return Library(path, meta["flavour"], meta["version"], Path(meta["source"]), tuple(meta["traps"]),
                       tuple(meta["warnings"]), tuple(meta["watched"]))
    except (OSError, ValueError, KeyError):
        return None


def newest() -> Library | None:
    """The library that was used last; None if there is none."""
    folder = cache_dir() / "c"
    by_age = sorted((p.parent for p in folder.glob("*/meta.json")), key=lambda p: p.stat().st_mtime)
    return _stored(by_age[-1]) if by_age else None


def _forget_old(folder: Path) -> None:
    """Keep those that were used last, and those that a process has in use."""
    remove_parts(folder)
    by_age = []
    for p in folder.iterdir():
        with suppress(OSError):                        # another process forgets, too
            if (p / "meta.json").exists():
                by_age.append((p.stat().st_mtime, p))
    for _, old in sorted(by_age)[:-KEEP]:
        with unused(old / "kemu.so") as free:
            if free:
                shutil.rmtree(old, ignore_errors=True)


# ---- the runtime ----

def kernel_flags(objects: Path) -> list[str]:
    """kbuild's flags for a file of the kernel: those of fs/erofs/data.c, without what is about that file."""
    out: list[str] = []
    words = iter(shlex.split(command(objects, "fs/erofs/data.o"))[1:])
    for word in words:
        if word == "-o":
            next(words)
        elif word != "-c" and not word.startswith(("-Wp,", "-DKBUILD_", "-D__KBUILD_")) and not word.endswith(".c"):
            out.append(word)
    return out


def _compile(objects: Path, flags: Sequence[str], source: Path, out: Path) -> Path:
    stamp = out.with_suffix(".key")
    h = hashlib.sha256("\0".join(flags).encode())
    for path in [*sorted([*RUNTIME.glob("*.h"), *MODULE.glob("*.h"), source]), *_files(AGENT)]:
        h.update(path.read_bytes())
    h.update((objects / ".config").read_bytes())
    if out.exists() and stamp.exists() and stamp.read_text() == h.hexdigest():
        return out
    done = subprocess.run(["gcc", *flags, "-c", "-o", str(out), str(source)], cwd=objects, capture_output=True, text=True,
                          errors="replace")
    if done.returncode:
        raise BuildError(f"{source.name} of the runtime does not compile with this tree",
                         compiler_message(done.stderr.splitlines()))
    write_whole(stamp, h.hexdigest())
    return out


def _runtime(flavour: Flavour, objects: Path, jobs: int = 0) -> list[Path]:
    folder = objects / "kemu-runtime"
    folder.mkdir(exist_ok=True)
    own = [f for f in kernel_flags(objects) if f not in flavour.tested]
    own += ["-DKBUILD_MODNAME=\"kemu\"", "-DKBUILD_MODFILE=\"kemu\"", "-D__KBUILD_MODNAME=kemu", "-Wno-missing-prototypes",
            "-Wno-missing-declarations", f"-I{RUNTIME}", *(f"-DKEMU_{name.upper()}" for name in flavour.name.split("-"))]
    # the allocator and the sanitizers' own side are not watched by them
    bare = [f for f in own if not f.startswith(("-fsanitize", "-fasan"))]
    host = ["-O2", "-fPIC", "-fno-omit-frame-pointer", "-fvisibility=hidden", "-Wall", "-g1",
            *(f"-I{folder}" for folder in (RUNTIME, AGENT, MODULE))]
    todo: list[tuple[list[str], Path]] = []
    for name in (*_HOST, *_KERNEL, *flavour.runtime):
        if name in _HOST:
            todo.append((host, (AGENT if name == "sha256" else RUNTIME) / f"{name}.c"))
        else:
            flags = bare if name in _BARE or name in flavour.runtime else own
            todo.append(([*flags, f"-DKBUILD_BASENAME=\"{name}\""], RUNTIME / f"{name}.c"))
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        return list(pool.map(lambda t: _compile(objects, t[0], t[1], folder / f"{t[1].stem}.o"), todo))


def _link(recipe: Recipe, flavour: Flavour, objects: Path, files: list[Path], source: Path, store: Path) -> None:
    runtime = _runtime(flavour, objects)
    folder = objects / "kemu-runtime"
    made, watched = files, list[str]()
    if flavour.watched:
        files, watched = redirected(objects, files, runtime)
    every = [*map(str, files), *map(str, runtime)]
    out = folder / "kemu.so"
    names = _traps(folder)
    link = [*_LINK, f"-Wl,-T,{RUNTIME / flavour.script}"] if flavour.script else [*_LINK]
    last = [*link, "-Wl,-z,defs", "-o", str(out), *every, str(folder / "stubs.o"), "-lc"]
    if names is None or subprocess.run(last, cwd=objects, capture_output=True).returncode:
        names = _make_stubs(link, objects, folder, [*files, *runtime])
        stubs.run(last, objects)
    _keep(recipe, flavour, source, store, out, names, _warnings(recipe, objects, made), watched)


def _traps(folder: Path) -> list[str] | None:
    """What the stubs stand for that are there; None if there are none."""
    try:
        return [str(n) for n in json.loads((folder / "stubs.json").read_text())] if (folder / "stubs.o").exists() else None
    except (OSError, ValueError):
        return None


def _make_stubs(link: Sequence[str], objects: Path, folder: Path, files: list[Path]) -> list[str]:
    every = [*map(str, files)]
    (folder / "stubs.json").unlink(missing_ok=True)
    probe = folder / "probe.so"
    stubs.run([*link, "-Wl,--no-warnings", "-Wl,-z,undefs", "-o", str(probe), *every], objects)
    names = stubs.missing(probe)
    functions = stubs.called(names, files, objects)
    data = [n for n in names if n not in functions]
    write_whole(folder / "stubs.c", stubs.source(sorted(functions), data))
    stubs.run(["gcc", "-O1", "-fPIC", "-fno-builtin", "-w", "-c", "-o", str(folder / "stubs.o"), str(folder / "stubs.c")],
              objects)
    write_whole(folder / "stubs.json", json.dumps(names))
    return names


def _warnings(recipe: Recipe, objects: Path, files: list[Path]) -> list[str]:
    touched = {path for patch in recipe.patches for path in patch.touched()}
    names = [str(f.relative_to(objects)) for f in files]
    return sparse.byte_orders(objects, [n for n in names if n.removesuffix(".o") + ".c" in touched])


def _keep(recipe: Recipe, flavour: Flavour, source: Path, store: Path, out: Path, names: list[str], warnings: list[str],
          watched: list[str]) -> None:
    partial = store.with_name(f"{store.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        shutil.move(out, partial / "kemu.so")
        for notes in sorted(note for name in UNDER_TEST for note in out.parent.parent.glob(f"{name}*.gcno")):
            kept = partial / NOTES / notes.relative_to(out.parent.parent)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(notes, kept)
        meta = {"flavour": flavour.name, "version": recipe.tree.version, "source": str(source), "traps": sorted(names),
                "warnings": warnings, "watched": watched,
                "size": (partial / "kemu.so").stat().st_size}
        (partial / "meta.json").write_text(json.dumps(meta))
        shutil.rmtree(store, ignore_errors=True)
        partial.rename(store)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
