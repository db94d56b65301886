# SPDX-License-Identifier: GPL-2.0-only
"""Patch series: a folder of patches/ (series.toml and format-patch files), any directory of patches, or an mbox."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kemu
from kemu import base
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.errors import ConfigError, PatchError
from kemu.rung.uml.misfit import ALREADY
from kemu.rung.uml.patches import Patch, apply_patches, read_patch
from kemu.rung.uml.tree import Tree

_SUFFIXES = (".patch", ".eml", ".mbox", ".mbx", ".diff")
_KEYS = {"title": str, "base": str, "config": list, "kunit": str, "link": str, "posted": str,
         "python": str, "backend": str}


@dataclass
class Series:
    """A series: ``config`` are the configuration lines that turn it on, ``kunit`` the suites that test it."""

    name: str
    path: Path
    patches: list[Patch]
    title: str = ""
    base: str = ""
    config: list[str] = field(default_factory=list)
    kunit: str = ""
    link: str = ""
    python: str = ""            # the same series for the ports: module:name, or a path from its folder
    backend: str = ""           # how it mounts from a region: a page of Python, or a C file, from its folder
    empty: list[str] = field(default_factory=list)      # files of it without a diff

    def slot(self) -> str:
        """The name of the copy of the tree that it is built in."""
        return "series-" + "".join(c if c.isalnum() or c in "-_." else "-" for c in self.name)

    def recipe(self, tree: Tree, flavour: str = "fast", extra: Iterable[str] = (), upto: int | None = None) -> Recipe:
        """How to build its first ``upto`` patches (all of them). A part of a series may not have its configuration symbols yet.
        """
        part = upto is not None and upto < len(self.patches)
        return Recipe(tree, flavour, (*self.config, *extra), tuple(self.patches[:upto]), self.slot(), lenient=part)


def places() -> list[Path]:
    """Where series are looked for by name: patches/ here, and the one of kemu's own checkout."""
    own = (Path(kemu.__file__).resolve().parent / "patches").resolve()          # in a clone a link to its patches/
    here = Path.cwd() / "patches"
    return [here] if here.resolve() == own else [here, own]


def all_series() -> list[Series]:
    """Every folder with a series.toml in :func:`places`, by name."""
    found: dict[str, Series] = {}
    for place in places():
        for toml in sorted(place.glob("*/series.toml")):
            found.setdefault(toml.parent.name, read_series(toml.parent))
    return [found[name] for name in sorted(found)]


def find_series(name: str) -> Series:
    """A series by its name or path. ``ConfigError`` names what there is."""
    if not name:
        raise ConfigError("an empty series name")
    for path in [*(place / name for place in places() if "/" not in name and name not in (".", "..")), Path(name)]:
        if path.exists():
            return read_series(path)
    known = [s.name for s in all_series()]
    raise ConfigError(f"no series {name!r}: neither a folder of patches/ ({', '.join(known) or 'there is none'}) nor a file or "
                      f"directory")


def together(series: Sequence[Series]) -> tuple[tuple[Patch, ...], tuple[str, ...], str]:
    """Of several on top of each other: the patches, the lines of configuration, and the slot that they are built in."""
    return tuple(p for s in series for p in s.patches), tuple(line for s in series for line in s.config), series[0].slot()


def read_series(path: Path) -> Series:
    """Read a folder or a file of patches."""
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES or (p.suffix == "" and p.name[:4].isdigit()))
        settings = _settings(path / "series.toml")
    else:
        files, settings = [path], {}
    read = {file: read_patch(file) for file in files}
    patches = [patch for found in read.values() for patch in found]
    if not patches and not (path / "series.toml").exists():
        raise PatchError(f"{path}: {_no_diff(path) if path.is_file() else 'no patch in it'}")
    empty = [f"{file.name}: {_no_diff(file)}" for file, found in read.items() if not found and not file.name.startswith("0000-")]
    return Series(path.resolve().name if path.is_dir() else path.stem, path, patches, **settings, empty=empty)


def _no_diff(file: Path) -> str:
    return "no patch in it: " + ("the file is empty" if not file.stat().st_size else "there is no diff, only text")


def _settings(toml: Path) -> dict[str, Any]:
    if not toml.exists():
        return {}
    try:
        data = tomllib.loads(toml.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{toml}: {e}") from None
    for key, value in data.items():
        if key not in _KEYS:
            raise ConfigError(f"{toml}: unknown key {key!r}; keys are {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]):
            raise ConfigError(f"{toml}: {key} is not a {_KEYS[key].__name__}")
    data.pop("posted", None)
    return data


def new_series(name: str, place: Path) -> Path:
    """Make ``place/name`` with a series.toml to fill in; its path. ``ConfigError`` if it is there already."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", name):
        raise ConfigError(f"{name!r}: not a name for a folder: letters, digits and . _ + - are")
    folder = place / name
    if folder.exists():
        raise ConfigError(f"{folder}: it is there already")
    folder.mkdir(parents=True)
    (folder / "series.toml").write_text(
        "# SPDX-License-Identifier: GPL-2.0-only\n"
        f'title = "{name}"\n'
        f'base = "{base.VERSION}"\n'
        'config = []          # what turns it on: "CONFIG_EROFS_FS_X=y"\n'
        'kunit = ""           # glob of the KUnit suites that test it\n')
    return folder


@dataclass(frozen=True)
class Finding:
    """One remark on a patch. ``status``: success, warning or fail."""

    tool: str
    status: str
    summary: str
    patch: str = ""
    details: str = ""

    def as_json(self) -> dict[str, str]:
        """``{tool, status, summary, url, details}``, as b4 wants it but for the status (:mod:`kemu.series.b4`)."""
        return {"tool": self.tool, "status": self.status, "summary": f"{self.patch}: {self.summary}" if self.patch
                else self.summary,
                "url": "", "details": self.details}


def check(series: Series, tree: Tree) -> Iterator[Finding]:
    """Does it apply, each patch on the ones before it, and what does the tree's checkpatch.pl --strict say?

    A patch that is in the tree already is left out for those behind it.
    """
    for text in series.empty or ([] if series.patches else [f"{series.path}: no patch in it"]):
        yield Finding("apply", "fail", text)
    below: list[Patch] = []
    for count, patch in enumerate(series.patches, 1):
        if patch.mended:
            yield Finding("apply", "warning", patch.mended, patch.name)
        if patch.crlf:
            yield Finding("apply", "warning", "its lines end in CR LF; they were taken for LF", patch.name)
        try:
            apply_patches(tree, [*below, patch])
        except PatchError as e:
            text = str(e).removeprefix(f"{patch.name} ({patch.subject}): ").removeprefix(f"{patch.name}: ")
            yield Finding("apply", "fail", text, patch.name)
            if text.startswith(ALREADY) and not text.startswith(f"{ALREADY} in part"):
                continue
            if count < len(series.patches):
                yield Finding("apply", "warning", f"the {len(series.patches) - count} behind it were not tried", patch.name)
            return
        below.append(patch)
        yield Finding("apply", "success", f"applies to Linux {tree.version}", patch.name)
    yield from checkpatch(series.patches, tree)


def checkpatch(patches: Sequence[Patch], tree: Tree) -> Iterator[Finding]:
    """What the tree's checkpatch.pl --strict says of each."""
    script = tree.path / "scripts" / "checkpatch.pl"
    if not shutil.which("perl") or not script.exists():
        yield Finding("checkpatch", "warning", "not run: perl or scripts/checkpatch.pl is missing")
        return
    for patch in patches:
        with tempfile.NamedTemporaryFile(suffix=".patch") as f:
            f.write(f"Subject: {patch.subject}\n\n".encode() + patch.data)
            f.flush()
            done = subprocess.run(["perl", str(script), "--strict", "--no-tree", "--no-summary", "--terse", "--show-types",
                                   "--ignore", "MISSING_SIGN_OFF,NO_AUTHOR_SIGN_OFF,FILE_PATH_CHANGES,BAD_SIGN_OFF", f.name],
                                  capture_output=True, text=True, errors="replace", env=os.environ | {"LC_ALL": "C"},
                                  cwd=tree.path)
            remarks = [line.replace(f.name, patch.name) for line in done.stdout.splitlines()
                       if any(w in line for w in ("ERROR:", "WARNING:", "CHECK:"))]
        for line in remarks:
            status = "fail" if "ERROR:" in line else "warning"
            yield Finding("checkpatch", status, line.partition(": ")[2] or line, patch.name)
        if not remarks:
            yield Finding("checkpatch", "success", "no remarks", patch.name)
