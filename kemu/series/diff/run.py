# SPDX-License-Identifier: GPL-2.0-only
"""Function by function: each function of the Series, as C again, stands beside the patch's own in one library, with a switch.

The search is that of a review (:mod:`kemu.series.review`): inputs that reach the functions, calls that fail, changed inputs, and
everything that a trial shows: errnos, trees, what is logged, locks, what is left behind, the order of what is undone, and what
AddressSanitizer says. A difference is then shown by one function alone.
"""
from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kemu.machine.series import Series
from kemu.rung.c.build import Library, build
from kemu.rung.uml.build import Recipe, prepare
from kemu.rung.uml.cache import cache_dir, lock
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.patches import Patch, apply_patches
from kemu.rung.uml.tree import Tree
from kemu.series.diff import lines
from kemu.series.diff.pairs import Function, compared, functions
from kemu.series.emit import source
from kemu.series.emit.finding import home
from kemu.series.emit.ports import Bench, Result, check_all
from kemu.series.emit.report import objects_of
from kemu.series.emit.switched import Switches, patch
from kemu.series.review import inputs
from kemu.series.review.changed import Blocks, Changed, blocks, of_patches
from kemu.series.review.least import smaller
from kemu.series.review.search import Found, Search
from kemu.series.review.seen import Difference
from kemu.series.review.session import FLAVOUR
from kemu.series.review.trial import Trial
from kemu.series.review.watched import Watched

SLOT, COPY = "diff", "patched"          # of what is built, and of the tree with the patches alone
SHRINK = 2.0                           # seconds


@dataclass
class Place:
    """A line of one half: FILE:LINE and what it says; empty where the half has no such line."""

    where: str = ""
    text: str = ""


@dataclass
class Parted:
    """The first difference. ``what``: as the port does it, instead of the patch; ``names``: the functions that make it."""

    names: list[str]
    what: str
    kind: str = ""
    input: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    c: Place = field(default_factory=Place)
    python: Place = field(default_factory=Place)


@dataclass
class Functions:
    """What came of it. ``asked``: functions that both halves have, and that were compared; ``apart``: (name, why) of those that
    could not be; ``parted``: the first difference.
    """

    all: list[Function] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    apart: list[tuple[str, str]] = field(default_factory=list)
    parted: Parted | None = None
    trials: int = 0
    seconds: float = 0.0


class Sides:
    """Both halves of a series, in one library."""

    def __init__(self, series: Series, patches: Sequence[Patch], config: Sequence[str], tree: Tree, say: Say = nothing):
        self.series, self.patches, self.config, self.tree, self.say = series, list(patches), tuple(config), tree, say
        touched = apply_patches(tree, self.patches)
        files = {p: (data or b"").decode("utf-8", "replace") for p, data in touched.items()}
        self.out = Functions(functions(series, tree.path, files))
        self.results: dict[str, Result] = {}
        self.before: dict[str, str] = {}       # what the port without the Series would be in C

    def translate(self) -> list[Result]:
        """The Python of each function as C; those that compile in the place of the patch's own."""
        objects = objects_of(self.tree, self.say)
        recipe = Recipe(self.tree, "fast", self.config, tuple(self.patches), COPY, agent=False)
        work = cache_dir() / "work" / f"{self.tree.slot()}-{COPY}"
        with lock(work, self.say), tempfile.TemporaryDirectory(prefix="kemu-diff-") as folder:
            self.copy = prepare(recipe, work, self.say).path
            bench = Bench(self.copy, objects, Path(folder))
            some = [replace(f.python, path=f.path) for f in compared(self.out.all) if f.python is not None]
            for r in check_all(bench, some, 1, self.say):
                self.results[r.name] = r
            base = Bench(self.tree.path, objects, Path(folder))
            for f in compared(self.out.all):
                if f.python_before is not None and f.c_before is not None:
                    self.before[f.name] = base.emit(f.python_before).text
        good = []
        for f in self.out.all:
            made = self.results.get(f.name)
            if f.c is None or f.python is None:
                half = "no C" if f.c is None else "no port: the Python of it is the emulated kernel's, or not there"
                if f.in_c or f.in_python:
                    self.out.apart.append((f.name, half))
            elif made is not None and made.compiles:
                good.append(made)
            elif made is not None:
                said = [f"not translated: {m}" for m in made.missing] + made.errors
                self.out.apart.append((f.name, made.refused or (said or ["not compiled"])[0]))
        return good

    def compare(self, seconds: float, seed: int = 0, files: Sequence[Path] = (),
                step: Callable[[int, float], None] = lambda n, at: None) -> Functions:
        """Search until the first difference, or for so long."""
        good = self.translate()
        if not good:
            return self.out
        change, order = patch(self.copy, good)
        every = (*self.patches, change)
        self.out.apart += [(r.name, "it has a variable number of arguments") for r in good if r not in order]
        library = build(Recipe(self.tree, "fast", self.config, every, SLOT), FLAVOUR, self.say)
        changed = of_patches(every, self.tree)
        where = blocks(library, changed)
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="kemu-diff-") as folder:
            switches = Switches(library, Path(folder))
            left = list(range(len(order)))
            while True:
                found, reached = self._search(switches.choose(()), switches.choose(left), changed, where, seconds, seed, files,
                                              step, start)
                who = self._who(switches, order, left, found, changed, where) if found is not None else []
                if not who or any(self._differs(order[n]) for n in who):
                    break
                # no line of the series makes it: the port's form of the function is another than C's without it, too
                why = "as C again it is another than the patch's, in lines that the Series leaves alone"
                self.out.apart += [(order[n].name, why) for n in who]
                left = [n for n in left if n not in who]
                if not left:
                    return self.out
            names = {order[n].name for n in left}
            self.out.asked = [n for n in sorted(names) if where.of.get(f"{n}__py", set()) & reached
                              or where.of.get(n, set()) & reached]
            self.out.unreached = sorted(names - set(self.out.asked))
            if found is not None:
                self.out.parted = self._told([order[n] for n in who], found.difference, found.trials)
        self.out.seconds = time.monotonic() - start
        return self.out

    def _search(self, c: Library, python: Library, changed: Changed, where: Blocks, seconds: float, seed: int,
                files: Sequence[Path], step: Callable[[int, float], None], start: float) -> tuple[Found | None, set[int]]:
        with Watched(c) as a, Watched(python) as b:
            a.around = b.around = where.ranges[:64]
            search = Search(a, b, changed, where, seed)

            def over() -> bool:
                step(search.stats.trials, time.monotonic() - start)
                return bool(search.found) or time.monotonic() - start >= seconds

            early = 0.4 * seconds
            names = {n.removesuffix("__py").removesuffix("__c") for n in changed.names}
            search.begin(inputs.reaching(names), over)
            search.begin(inputs.files(files), lambda: over() or time.monotonic() - start > early)
            search.begin(inputs.first(seed), lambda: over() or time.monotonic() - start > early)
            search.run(over)
            found = next(iter(search.found.values()), None)
            if found is not None:
                smaller(search, found, SHRINK)
            self.out.trials = search.stats.trials
            return found, search.reached

    def _who(self, switches: Switches, order: Sequence[Result], all_: Sequence[int], found: Found, changed: Changed,
             where: Blocks) -> list[int]:
        """The fewest functions whose Python makes the difference: one by itself, else halves of them all."""
        def shows(numbers: Sequence[int]) -> bool:
            with Watched(switches.choose(())) as a, Watched(switches.choose(numbers)) as b:
                a.around = b.around = where.ranges[:64]
                return Search(a, b, changed, where).shows(list(found.trials)) is not None

        likely = sorted(all_, key=lambda n: (not self._differs(order[n]), n))
        for n in likely:
            if shows([n]):
                return [n]
        left = list(all_)
        for n in list(left):                            # what is not needed for it goes
            rest = [m for m in left if m != n]
            if rest and shows(rest):
                left = rest
        return left

    def _differs(self, r: Result) -> bool:
        return self.lines_of(r) != (Place(), Place())

    def lines_of(self, r: Result) -> tuple[Place, Place]:
        """Where the texts of a function part."""
        f = next(f for f in self.out.all if f.name == r.name)
        assert f.c is not None and f.python is not None
        c, python = lines.first(f.c.text, r.text, f.c_before.text if f.c_before else "", self.before.get(f.name, ""))
        out = Place(), Place()
        if c is not None:
            out[0].where, out[0].text = f"{f.path}:{f.c.line + c.number}", c.text
        if python is not None:
            number, text = lines.in_python(f.python, python.text)
            out[1].where, out[1].text = self._place(f.python, number), text
        return out

    def _place(self, p: source.Ported, number: int) -> str:
        """FILE:LINE of a statement: in the Series' own file, where its text is there."""
        row = p.module.text.split("\n")[number - 1].strip()
        mine = home(self.series)
        if p.module.path != mine.path:
            hits = [n for n, line in enumerate(mine.text.split("\n"), 1) if line.strip() == row]
            names = [n for n, line in enumerate(mine.text.split("\n"), 1) if f".{p.node.name}" in line]
            if hits and names:
                behind = [n for n in hits if n > names[0]]
                return f"{mine.path.name}:{(behind or hits)[0]}"
            return f"{p.module.name}:{p.node.name}"
        return f"{mine.path.name}:{number}"

    def _told(self, who: Sequence[Result], difference: Difference, trials: Sequence[Trial]) -> Parted:
        out = Parted([r.name for r in who], difference.title, difference.kind, [str(t) for t in trials],
                     [re.sub(r"^(base|series): ", lambda m: {"base": "patch: ", "series": "port:  "}[m[1]], line)
                      for line in difference.details[:8]])
        if len(who) == 1:
            out.c, out.python = self.lines_of(who[0])
        return out
