# SPDX-License-Identifier: GPL-2.0-only
"""What a series adds to Kconfig, switched on: a mail does not say with which configuration it is to be looked at, and what it
brings is off by default.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kemu.rung.uml import config
from kemu.rung.uml.build import Recipe, configure, prepare, seed
from kemu.rung.uml.cache import cache_dir, lock
from kemu.rung.uml.listing import BUILD_PREFIX
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.series import Series
from kemu.rung.uml.tree import Tree

_ENTRY = re.compile(r"\s*(?:menu)?config (\w+)\s*$")
_PROMPT = re.compile(r'\s+(?:bool|tristate|prompt) +"')
_DEPENDS = re.compile(r"\s+depends on (.+)$")
_TERM = re.compile(r"(\w+)(?:\s*=\s*y)?")
_END = re.compile(r"\S")


@dataclass(frozen=True)
class Switches:
    """Lines of configuration that switch on what a series adds, and the symbols that Kconfig does not let be switched on."""

    lines: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """What is to be said of them."""
        out = [f"{', '.join(line.partition('=')[0] for line in self.lines)}: switched on, as the series adds it (config = in "
               f"series.toml says otherwise)"] if self.lines else []
        return out + [f"{name}, which the series adds, cannot be switched on here: a dependency of it is missing"
                      for name in self.refused]


def added(patches: Iterable[Patch]) -> dict[str, list[str]]:
    """The symbols with a prompt that diffs of Kconfig files add, each with the symbols that have to be set for it."""
    out: dict[str, list[str]] = {}
    gone: set[str] = set()
    for patch in patches:
        name, prompt, needs, kconfig = "", False, list[str](), False
        for line in [*patch.data.decode("utf-8", "replace").splitlines(), "+x"]:
            if line.startswith("+++ "):
                kconfig = line.split("\t")[0].rpartition("/")[2].startswith("Kconfig")
                continue
            text, entry = line[1:], _ENTRY.match(line[1:])
            if name and (not line.startswith("+") or _END.match(text)):
                if prompt:
                    out[name] = needs
                name = ""
            if not kconfig or (entry is None and not name):
                continue
            if entry and line.startswith("-"):
                gone.add(entry[1])
            elif entry and line.startswith("+"):
                name, prompt, needs = entry[1], False, []
            elif name and _PROMPT.match(text):
                prompt = True
            elif name and (m := _DEPENDS.match(text)) and "||" not in m[1]:
                needs += [t[1] for term in m[1].split("&&") if (t := _TERM.fullmatch(term.strip()))]
    return {name: needs for name, needs in out.items() if name not in gone}


def switched_on(series: Series, tree: Tree, below: Sequence[Patch] = (), more: Sequence[str] = (),
                say: Say = nothing) -> Switches:
    """Those of a series that says nothing of its configuration, as far as Kconfig takes them. ``more``: the configuration of
    ``below``. ``PatchError`` if it does not apply.
    """
    if series.config:
        return Switches()
    names = added(series.patches)
    if not names:
        return Switches()
    have = config.settings(config.fragments("fast", more))
    needed = dict.fromkeys(n for needs in names.values() for n in needs if f"CONFIG_{n}" not in have and n not in names)
    wanted = [f"CONFIG_{n}=y" for n in (*needed, *names)]
    recipe = Recipe(tree, "fast", (*more, *wanted), (*below, *series.patches), series.slot(), lenient=True)
    work = cache_dir() / "work" / f"{tree.slot()}-{recipe.slot}"
    with lock(work, say):
        prepare(recipe, work, say)
        objects = work / f"{BUILD_PREFIX}{recipe.flavour}"
        seed(recipe, objects, say)
        got = config.settings(configure(recipe, objects, nothing).read_text())
    return Switches(tuple(line for line in wanted if got.get(line[:-2]) == "y"),
                    tuple(f"CONFIG_{n}" for n in names if got.get(f"CONFIG_{n}") != "y"))
