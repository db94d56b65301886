# SPDX-License-Identifier: GPL-2.0-only
"""From a tree, a flavour and a series to a bootable kernel, at most once.

A finished kernel is kept under a key made of everything that went into it: the tree's identity, the configuration, the series,
the internal patch, the compiler. Asking again costs a dictionary look-up. Anything else is an incremental make in the copy of the
tree.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kemu.report.terminal import Wait
from kemu.rung.uml import config
from kemu.rung.uml.cache import cache_dir, lock, pin, remove_parts, unused, write_whole
from kemu.rung.uml.copy import Copy
from kemu.rung.uml.errors import BuildError, ConfigError
from kemu.rung.uml.listing import BUILD_PREFIX, Listing
from kemu.rung.uml.make import Say, keep_warnings, make, nothing
from kemu.rung.uml.patches import Patch, apply_patches, internal_patch
from kemu.rung.uml.tree import Tree

KEEP_KERNELS = 24                      # a kernel is about 8 MB


@dataclass(frozen=True)
class Kernel:
    """A built kernel: the executable, its configuration, and where it was built (for gcov and modpost)."""

    path: Path
    flavour: str
    version: str
    key: str
    source: Path
    objects: Path
    warnings: tuple[str, ...] = ()

    def config(self) -> dict[str, str | None]:
        """Its ``.config``."""
        return config.settings((self.path.parent / "config").read_text())


@dataclass
class Recipe:
    """What to build. ``extra`` are configuration lines; ``patches`` a series, in order; ``slot`` names the copy that it is built
    in.
    """

    tree: Tree
    flavour: str = "fast"
    extra: Sequence[str] = ()
    patches: Sequence[Patch] = ()
    slot: str = "plain"
    agent: bool = True
    lenient: bool = False              # symbols of ``extra`` that Kconfig does not know are left out (part of a series)
    _identity: str = field(default="", repr=False)
    _listing: Listing | None = field(default=None, repr=False)

    def listing(self) -> Listing:
        """The tree's source files, read once."""
        if self._listing is None:
            self._listing = self.tree.listing()
        return self._listing

    def identity(self) -> str:
        """The tree's identity, read once."""
        if not self._identity:
            self._identity = self.tree.identity(None if self.tree.ours else self.listing())
        return self._identity

    def choices(self) -> str:
        """What the tree's configuration is made of."""
        return self.tree.choices(None if self.tree.ours else self.listing())

    def fragment(self) -> str:
        """All configuration lines."""
        return config.fragments(self.flavour, self.extra)

    def key(self) -> str:
        """Names everything that goes into the kernel."""
        h = hashlib.sha256()
        for part in (self.identity(), self.fragment(), compiler(), self.tree.version):
            h.update(part.encode() + b"\0")
        for patch in self.patches:
            h.update(patch.data + b"\0")
        if self.agent:
            h.update(internal_patch().digest())
        return h.hexdigest()[:16]


def compiler() -> str:
    """First line of ``gcc --version``; empty without gcc."""
    try:
        return subprocess.run(["gcc", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    except OSError:
        return ""


def build(recipe: Recipe, say: Say = nothing, jobs: int = 0) -> Kernel:
    """The kernel of a recipe, from the cache or built now.

    ``ConfigError`` (a tool is missing, Kconfig refuses a symbol), ``PatchError`` (a patch does not apply), ``BuildError`` (the
    compiler's message).
    """
    key = recipe.key()
    store = cache_dir() / "kernels" / key
    found = cached(recipe)
    if found:
        with suppress(OSError):
            os.utime(store)
        return found
    config.need_tools()
    apply_patches(recipe.tree, recipe.patches)          # what does not apply is told before anybody is waited for
    work = cache_dir() / "work" / f"{recipe.tree.slot()}-{recipe.slot}"
    with lock(work, say):
        found = _stored(store)
        if found:
            return found
        _make_in(recipe, work, key, store, say, jobs)
        kernel = _stored(store)
    _forget_old(store.parent)
    assert kernel is not None
    return kernel


def _make_in(recipe: Recipe, work: Path, key: str, store: Path, say: Say, jobs: int) -> None:
    copy = prepare(recipe, work, say)
    objects = work / f"{BUILD_PREFIX}{recipe.flavour}"
    seed(recipe, objects, say)
    configure(recipe, objects, say)
    forget_half_made(objects)
    making = objects / _MAKING
    write_whole(making, "")
    try:
        made = make(objects, ["vmlinux", _TOLD], say, jobs)
    except BuildError:
        making.unlink(missing_ok=True)                 # make itself removes what it could not finish
        raise
    warnings = keep_warnings(objects, made)
    making.unlink()
    _store(recipe, key, store, objects, copy.path, warnings)


_MAKING = ".kemu-making"
_TOLD = "CONFIG_SECTION_MISMATCH_WARN_ONLY=y"         # they are told (Kernel.warnings), and what is behind them is looked at, too


def forget_half_made(objects: Path) -> None:
    """Remove what was made since a make that never came back began: its last objects may be halves, and make would take them for
    whole.
    """
    making = objects / _MAKING
    if not making.exists():
        return
    since = making.stat().st_mtime
    for path in objects.rglob("*"):
        if path.suffix in (".o", ".a", ".so", ".cmd") or path.name == "vmlinux":
            with suppress(OSError):
                if path.lstat().st_mtime >= since and not path.is_dir():
                    path.unlink()


@contextmanager
def held_objects(recipe: Recipe, say: Say = nothing, jobs: int = 0) -> Iterator[Kernel]:
    """As :func:`build`, with the recipe's own files in ``source`` and ``objects``, and nobody else's until the end of the block.
    """
    config.need_tools()
    key = recipe.key()
    store = cache_dir() / "kernels" / key
    work = cache_dir() / "work" / f"{recipe.tree.slot()}-{recipe.slot}"
    with lock(work, say):
        _make_in(recipe, work, key, store, say, jobs)
        kernel = _stored(store)
        assert kernel is not None
        yield kernel


def with_objects(recipe: Recipe, say: Say = nothing, jobs: int = 0) -> Kernel:
    """The kernel of :func:`held_objects`: of one from the cache the files may be a later one's."""
    with held_objects(recipe, say, jobs) as kernel:
        return kernel


def cached(recipe: Recipe) -> Kernel | None:
    """The kernel of a recipe if it is built already."""
    return _stored(cache_dir() / "kernels" / recipe.key())


def prepare(recipe: Recipe, work: Path, say: Say = nothing) -> Copy:
    """Bring the recipe's copy of the tree up to date: series and internal patch applied."""
    copy = Copy(recipe.tree, work)
    changed = apply_patches(recipe.tree, recipe.patches)
    if recipe.agent:
        changed.update(internal_patch().files(recipe.tree, changed))
    if not work.exists():
        say(f"linking a copy of {recipe.tree.path}")
    copy.update(recipe.identity(), changed, None if recipe.tree.ours else recipe.listing())
    return copy


def configure(recipe: Recipe, objects: Path, say: Say = nothing) -> Path:
    """Write ``.config`` in the build directory, unless it is the recipe's already; its path."""
    text = config.merged(recipe.fragment())
    stamp = objects / ".kemu-config"
    kconfigs = sorted(p.data for p in recipe.patches if b"Kconfig" in p.data)
    want = hashlib.sha256((text + recipe.choices()).encode() + b"".join(kconfigs)).hexdigest()
    dot = objects / ".config"
    if dot.exists() and stamp.exists() and stamp.read_text() == want:
        return dot
    objects.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    fragment = objects / ".kemu-fragment"
    fragment.write_text(text)
    say(f"configuring {recipe.flavour}")
    make(objects, ["allnoconfig"], nothing, 1, {"KCONFIG_ALLCONFIG": str(fragment)}, top=objects.parent)
    got = dot.read_text()
    door = config.open_door(got)
    if door:
        raise ConfigError(f"{door} would let what is booted reach the host: no kernel is built so")
    base = set(config.settings((config.CONFIGS / "base.config").read_text()))
    bad = config.refused(text, got)
    fatal = [line for line in bad if not any(line.startswith((f"{s}=", f"# {s} ")) for s in base)]
    if recipe.lenient:
        fatal = []
    if fatal:
        raise ConfigError(f"Kconfig does not take {fatal[0]}: no such symbol in Linux {recipe.tree.version}, or a dependency is "
                          f"missing")
    for line in bad:
        say(f"note: Linux {recipe.tree.version} does not take {line}")
    write_whole(stamp, want)
    return dot


# ---- objects and kernels that are there already ----

def seed(recipe: Recipe, objects: Path, say: Say) -> None:
    """A series starts from the objects of the plain tree, so that only what it touches is compiled."""
    if recipe.slot != "plain":
        plain = cache_dir() / "work" / f"{recipe.tree.slot()}-plain"
        if startable(plain / objects.name, objects):
            Copy(recipe.tree, objects.parent).renew(Copy(recipe.tree, plain))
        start_from(plain / objects.name, objects, say)


def startable(plain: Path, objects: Path) -> bool:
    """Whether there are no objects, and others that they can begin as."""
    return not objects.exists() and ((plain / "vmlinux.o").exists() or (plain / ".kemu-objects").exists())


def start_from(plain: Path, objects: Path, say: Say) -> None:
    """``objects``, if there are none, begin as a copy of others, if those are there."""
    if startable(plain, objects):
        say("starting from the objects of the plain tree")
        partial = objects.with_name(objects.name + ".part")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            shutil.copytree(plain, partial, symlinks=True)
            forget_half_made(partial)
            partial.rename(objects)
        except (OSError, shutil.Error):                # a full disk, or a build that runs there: from nothing, then
            shutil.rmtree(partial, ignore_errors=True)


def _store(recipe: Recipe, key: str, store: Path, objects: Path, source: Path, warnings: list[str]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    partial = store.with_name(f"{key}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        kernel = partial / "linux"
        # where switches are told by their lines, those are kept
        lines = config.settings((objects / ".config").read_text()).get("CONFIG_KEMU_SCHED") == "y"
        if lines or subprocess.run(["strip", "-o", str(kernel), str(objects / "vmlinux")], capture_output=True).returncode:
            shutil.copy2(objects / "vmlinux", kernel)
        kernel.chmod(0o755)
        shutil.copy2(objects / ".config", partial / "config")
        meta = {"flavour": recipe.flavour, "version": recipe.tree.version, "source": str(source), "objects": str(objects),
                "size": kernel.stat().st_size,
                "warnings": warnings, "tree": str(recipe.tree.path), "slot": recipe.slot}
        (partial / "meta.json").write_text(json.dumps(meta, indent=1))
        if not _whole(store):
            shutil.rmtree(store, ignore_errors=True)
            partial.rename(store)
    except OSError as e:
        raise BuildError(f"{store.parent}: {os.strerror(e.errno or 0)}: the kernel is built and cannot be kept") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _whole(store: Path) -> dict[str, Any] | None:
    """What a finished kernel is described by; None for one that is not there, or not all of it."""
    try:
        meta: dict[str, Any] = json.loads((store / "meta.json").read_text())
        whole = (store / "linux").stat().st_size == meta["size"] and (store / "config").stat().st_size > 0
        return meta if whole and {"flavour", "version", "source", "objects", "warnings"} <= meta.keys() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


_pins: dict[Path, int] = {}


def _stored(store: Path) -> Kernel | None:
    """A kernel of the cache; from now on it is kept there for as long as this process lives."""
    meta = _whole(store)
    if meta is None:
        return None
    kernel = store / "linux"
    try:
        held = _pins.get(kernel)
        if held is None or os.fstat(held).st_ino != kernel.stat().st_ino:
            _pins[kernel] = pin(kernel)
    except OSError:
        return None                    # thrown away a moment ago
    return Kernel(kernel, meta["flavour"], meta["version"], store.name, Path(meta["source"]), Path(meta["objects"]),
                  tuple(meta["warnings"]))


def _forget_old(kernels: Path) -> None:
    """Keep the most recently used kernels, and those that a process has in use."""
    remove_parts(kernels)
    by_age = []
    for p in kernels.iterdir():
        with suppress(OSError):                        # another process forgets, too
            if p.is_dir() and re.fullmatch(r"[0-9a-f]{16}", p.name):
                by_age.append((p.stat().st_mtime, p))
    for _, old in sorted(by_age, reverse=True)[KEEP_KERNELS:]:
        with unused(old / "linux") as free:
            if free:
                shutil.rmtree(old, ignore_errors=True)


def progress() -> Callable[[str], None]:
    """A ``say`` for the command line: a step (text that begins with a carriage return) is a line that is rewritten on a terminal,
    and one every ten seconds elsewhere, which an empty step takes away; other texts are lines.
    """
    wait = Wait()

    def say(text: str) -> None:
        step = text.removeprefix("\r")
        if text != step and step:
            wait(step)
            return
        wait.clear()
        if text != step:
            return
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    return say


__all__ = ["BuildError", "Kernel", "Recipe", "build", "cached", "compiler", "configure", "held_objects", "prepare", "progress",
           "with_objects"]
