# SPDX-License-Identifier: GPL-2.0-only
"""``kemu linux fetch``: Debian's linux-source package (Linux plus Debian's small patches), through the machine's own apt.

The mirror is the one that the machine's apt sources name; nothing is installed and apt's own state is not touched.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from kemu.rung.uml.cache import DEFAULT_VERSION, default_tree, lock, write_whole
from kemu.rung.uml.errors import ConfigError, UsageError
from kemu.rung.uml.tree import Tree

_SUITES = ("sid", "trixie-backports", "experimental")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def debian_mirror(etc: Path = Path("/etc/apt")) -> str:
    """The first archive that this machine's apt sources name (deb822 or one-line format)."""
    sources = [etc / "sources.list.d" / "debian.sources", etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for path in sources:
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        found = re.search(r"^URIs:\s*(\S+)", text, re.M) or re.search(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)", text, re.M)
        if found and "debian" in found[1]:
            return found[1]
    raise ConfigError(f"no Debian archive in {etc}: give your own kernel tree with --tree TREE")


def fetch(version: str = DEFAULT_VERSION, say: Callable[[str], None] = lambda line: None) -> Tree:
    """Unpack linux-source-``version`` into the cache, unless it is there; the tree."""
    if not re.fullmatch(r"\d+\.\d+", version):
        raise UsageError(f"{version!r}: not a version of linux-source ({DEFAULT_VERSION})")
    tree = default_tree(version)
    with lock(tree, say):
        for old in tree.parent.glob(".fetch-*"):       # of one that was killed; nobody else has the lock
            shutil.rmtree(old, True)
        if not (tree / "Makefile").is_file():
            _download(version, tree, say)
        if not (tree / ".kemu-fetched").exists():
            text = (tree / "Makefile").read_text(errors="replace")[:400]
            write_whole(tree / ".kemu-fetched", f"linux-source-{version}\n{text}")
    return Tree(tree.resolve())


def _download(version: str, tree: Path, say: Callable[[str], None]) -> None:
    missing = [tool for tool in ("apt-get", "dpkg", "tar", "xz") if not shutil.which(tool)]
    if missing:
        raise ConfigError(f"{missing[0]} not found: give your own kernel tree with --tree TREE")
    mirror = debian_mirror()
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=tree.parent) as name:
        work = Path(name)
        for sub in ("state/lists/partial", "cache/archives/partial"):
            (work / sub).mkdir(parents=True)
        (work / "status").touch()
        signed = f"[signed-by={_KEYRING}] " if os.path.exists(_KEYRING) else ""
        (work / "sources.list").write_text("".join(f"deb {signed}{mirror} {suite} main\n" for suite in _SUITES))
        opts = [f"-oDir::State={work}/state", f"-oDir::State::status={work}/status", f"-oDir::Cache={work}/cache",
                f"-oDir::Etc::sourcelist={work}/sources.list", "-oDir::Etc::sourceparts=/dev/null",
                "-oDir::Etc::preferencesparts=/dev/null", "-oAPT::Sandbox::User=root"]
        say("reading the package lists")
        _run(["apt-get", *opts, "-qq", "update"], work)
        say(f"downloading linux-source-{version}")
        _run(["apt-get", *opts, "-qq", "download", f"linux-source-{version}"], work)
        debs = sorted(work.glob("linux-source-*.deb"))
        if not debs:
            raise ConfigError(f"linux-source-{version}: no such package in {', '.join(_SUITES)}")
        say("unpacking")
        _run(["dpkg", "-x", str(debs[0]), str(work / "x")], work)
        archives = sorted((work / "x" / "usr" / "src").glob(f"linux-source-{version}.tar.*"))
        if not archives:
            raise ConfigError(f"{debs[0].name} holds no linux-source-{version}.tar")
        _run(["tar", "-C", str(work), "-xf", str(archives[0])], work)
        os.rename(work / f"linux-source-{version}", tree)


def _run(argv: list[str], cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise ConfigError(f"{argv[0]} failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
