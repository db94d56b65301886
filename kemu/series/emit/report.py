# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series emit --ports``: how much of a package comes back as C that compiles, and does as the original does."""
from __future__ import annotations

import ast
import tempfile
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kemu.rung.c.build import build
from kemu.rung.c.flavours import FLAVOURS
from kemu.rung.c.objects import kernel_objects
from kemu.rung.uml import config
from kemu.rung.uml.build import Recipe, prepare, seed
from kemu.rung.uml.cache import cache_dir, lock
from kemu.rung.uml.listing import BUILD_PREFIX
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.tree import Tree
from kemu.series.emit.behave import Verdict, judge
from kemu.series.emit.cases import cases
from kemu.series.emit.finding import find
from kemu.series.emit.patchmail import diff, mail, name_of
from kemu.series.emit.ports import Bench, Result, check_all, modules
from kemu.series.emit.source import Module
from kemu.series.emit.switched import Switches, patch
from kemu.series.emit.whole import Outcome, Whole

SLOT = "emit"


@dataclass
class Report:
    """Of one package. ``outside``: ports whose C the configuration leaves out, which nothing compiles; ``verdict``: of those that
    compile, if that was asked.
    """

    results: list[Result]
    outside: list[Result] = field(default_factory=list)
    verdict: Verdict | None = None
    cases: int = 0

    @property
    def compiled(self) -> list[Result]:
        """Those that compile unaided."""
        return [r for r in self.results if r.compiles]

    def figures(self) -> dict[str, Any]:
        """The counts."""
        out: dict[str, Any] = {"ports": len(self.results), "compile": len(self.compiled), "outside": len(self.outside)}
        if self.verdict is not None:
            v = self.verdict
            out |= {"cases": self.cases, "equal": len(v.equal), "different": len(v.different), "unreached": len(v.unreached)}
        return out


def objects_of(tree: Tree, say: Say = nothing) -> Path:
    """A folder with the objects of the unchanged tree, and kbuild's commands; made if there is none."""
    recipe = Recipe(tree)
    work = cache_dir() / "work" / f"{tree.slot()}-{recipe.slot}"
    objects = work / f"{BUILD_PREFIX}c-plain"
    if not (objects / ".kemu-objects").exists():
        config.need_tools()
        with lock(work, say):
            prepare(recipe, work, say)
            seed(recipe, objects, say)
            kernel_objects(recipe, FLAVOURS["plain"], objects, say)
    return objects


def of_package(package: str, tree: Tree, names: Collection[str] = (), say: Say = nothing, jobs: int = 0) -> Report:
    """Every port of a package (or those of these names), emitted and compiled in the place of its original."""
    objects = objects_of(tree, say)
    ports = [p for m in modules(package) for p in m.ports if not names or p.name in names]
    with tempfile.TemporaryDirectory(prefix="kemu-emit-") as folder:
        bench = Bench(tree.path, objects, Path(folder))
        results = check_all(bench, ports, jobs, say)
        outside = [r for r in results if r.text and bench.declarations(r.path).type_of(r.name) is None]
    return Report([r for r in results if r not in outside], outside)


@dataclass
class Written:
    """A Series as a patch: the mail, what is only marked in it, what the compiler says, and what the C rung's build did."""

    subject: str
    text: str
    outcome: Outcome
    built: str = ""


def subject_of(title: str, area: str) -> str:
    """``erofs: read less ahead``, whether the title has its area or not."""
    title = title.removeprefix(f"{area}:").lstrip() or title
    first = title[0].lower() if title[1:2].islower() else title[:1]
    return f"{area}: {first}{title[1:]}"


def of_series(name: str, tree: Tree, build_it: bool = False, say: Say = nothing) -> Written:
    """A Series, found by its name, as a patch to the tree. ``build_it``: and the C rung is built with it: ``BuildError``."""
    series, module = find(name)
    objects = objects_of(tree, say)
    with tempfile.TemporaryDirectory(prefix="kemu-emit-") as folder:
        outcome = Whole(series, module, tree.path, objects, Path(folder)).write()
    subject = subject_of(series.title or series.name, Path(next(iter(outcome.files))).parent.name)
    text = mail(subject, _body_of(module), diff(tree.path, outcome.files))
    out = Written(subject, text, outcome)
    if build_it:
        change = Patch(name_of(subject), subject, text.encode())
        out.built = str(build(Recipe(tree, patches=(change,), slot=SLOT), "plain", say).path)
    return out


def _body_of(module: Module) -> str:
    """The docstring of the module, folded."""
    doc = ast.get_docstring(module.tree) or ""
    return "\n\n".join(textwrap.fill(" ".join(p.split()), 72) for p in doc.split("\n\n"))


def behaviour(report: Report, tree: Tree, folders: Sequence[Path], damaged: int = 300, seed_: int = 0,
              say: Say = nothing) -> None:
    """Ask the C rung of all that compile."""
    change, order = patch(tree.path, report.compiled)
    library = build(Recipe(tree, patches=(change,), slot=SLOT), "plain", say)
    asked = cases(folders, damaged, seed_)
    with tempfile.TemporaryDirectory(prefix="kemu-emit-") as folder:
        report.verdict = judge(Switches(library, Path(folder)), order, asked, say)
    report.cases = len(asked)
    report.verdict.unreached += [r for r in report.compiled if r not in order]
