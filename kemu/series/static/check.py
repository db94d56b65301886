# SPDX-License-Identifier: GPL-2.0-only
"""A series built for looking at it: its files through the kernel's tools, and whether it links in other configurations."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from kemu.rung.uml import links
from kemu.rung.uml.build import Recipe, held_objects
from kemu.rung.uml.errors import BuildError
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.series import Finding, Series
from kemu.rung.uml.tree import Tree
from kemu.series.static.exported import not_exported
from kemu.series.static.remark import Remark
from kemu.series.static.tools import missing, new_remarks


def objects_of(objects: Path, touched: Iterable[str]) -> tuple[list[str], list[str]]:
    """The objects that are made of files of a diff, a header's where it is included; and the C files of which there is none in
    this configuration.
    """
    names: list[str] = []
    without: list[str] = []
    headers = []
    for path in touched:
        folder, _, base = path.rpartition("/")
        if path.endswith(".c"):
            name = f"{path[:-2]}.o"
            (names if (objects / folder / f".{base[:-2]}.o.cmd").exists() else without).append(name)
        elif path.endswith(".h"):
            headers.append(path)
    for path in headers:
        for cmd in sorted((objects / path.rpartition("/")[0]).glob(".*.o.cmd")):
            if f"../{path} " in cmd.read_text(errors="replace"):
                names.append(f"{path.rpartition('/')[0]}/{cmd.name[1:-4]}")
    return list(dict.fromkeys(names)), [name[:-2] + ".c" for name in without]


def built(series: Series, tree: Tree, say: Say = nothing, jobs: int = 0) -> Iterator[Finding]:
    """What the compiler with W=1, sparse, kernel-doc and modpost say of it and not of its base, whether it links as a
    module, without what its Kconfig does not ask for, and on 32 bits. Of one that does not build only that is said.
    """
    touched = list(dict.fromkeys(path for patch in series.patches for path in patch.touched()))
    recipe = series.recipe(tree)
    try:
        with held_objects(recipe, say, jobs) as own, held_objects(Recipe(tree), say, jobs) as base:
            yield from (Finding("modpost", "fail", line) if "modpost" in line else Finding("build", "warning", line)
                        for line in own.warnings)
            names, without = objects_of(own.objects, touched)
            for path in without:
                yield Finding("build", "warning", f"{path}: not compiled in this configuration (config= of series.toml): no tool "
                                                  "has looked at it")
            found = new_remarks(base.objects, own.objects, names)
            yield from map(as_finding, found)
            for tool in missing(own.objects):
                yield Finding(tool, "warning", "not run: it is not here")
            if names and not found:
                who = ["W=1", *sorted({"sparse", "kernel-doc"} - set(missing(own.objects)))]
                yield Finding("build", "success", f"{', '.join(who)}: nothing new of {', '.join(names)}")
            yield from (Finding("modpost", "fail", line) for line in not_exported(series, own, base.objects))
            for tool, lines in (("kconfig", links.without(series, own, recipe, say, jobs)),
                                ("32-bit", links.on_32_bits(series, own, recipe, say, jobs))):
                yield from (Finding(tool, "fail", line) for line in lines)
                if not lines:
                    yield Finding(tool, "success", "it links")
    except BuildError as e:
        yield Finding("build", "fail", str(e), details=e.output or "")


def as_finding(remark: Remark) -> Finding:
    """A remark as a line of the list."""
    return Finding(remark.tool, "fail" if remark.kind == "error" else "warning", str(remark))
