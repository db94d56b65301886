# SPDX-License-Identifier: GPL-2.0-only
"""KTAP in: what a kernel prints while it runs KUnit, read by the kernel tree's own tools/testing/kunit/kunit_parser.py."""
from __future__ import annotations

import importlib.util
import inspect
import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any


class NoParser(Exception):
    """The tree has no kunit_parser.py."""


@dataclass
class Case:
    """One test case: ``suite.case``, ``passed``, ``failed``, ``skipped``, ``crashed`` or ``errors``, and its log."""

    name: str
    status: str
    log: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """All cases of a run, kunit_parser's counts and its rendering (what kunit.py would show)."""

    cases: list[Case]
    passed: int
    failed: int
    crashed: int
    skipped: int
    errors: int
    text: str

    @property
    def total(self) -> int:
        """How many cases there were."""
        return self.passed + self.failed + self.crashed + self.skipped

    @property
    def ok(self) -> bool:
        """Whether something ran and nothing failed, crashed, or could not be parsed."""
        return self.total > 0 and not (self.failed or self.crashed or self.errors)

    @property
    def summary(self) -> str:
        """``"8 passed, 1 skipped"``."""
        counts = [("passed", self.passed), ("failed", self.failed), ("crashed", self.crashed), ("skipped", self.skipped),
                  ("errors", self.errors)]
        return ", ".join(f"{n} {what}" for what, n in counts if n) or "no test ran"


def _load(tree: Path) -> tuple[ModuleType, ModuleType]:
    folder = tree / "tools" / "testing" / "kunit"
    if not (folder / "kunit_parser.py").is_file():
        raise NoParser(f"{folder}/kunit_parser.py: not there; is {tree} a kernel tree?")
    modules = []
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True                     # the tree is the user's
    try:
        for name in ("kunit_printer", "kunit_parser"):
            spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module                 # kunit_parser imports kunit_printer by this name
            spec.loader.exec_module(module)
            modules.append(module)
    finally:
        sys.dont_write_bytecode = before
        for name in ("kunit_printer", "kunit_parser"):
            sys.modules.pop(name, None)
    return modules[0], modules[1]


def parse(lines: Iterable[str], tree: Path) -> Outcome:
    """Read a kernel's output with the parser of ``tree``. ``NoParser`` if that has none."""
    printer_module, parser = _load(tree)
    out = io.StringIO()
    made = inspect.signature(parser.parse_run_tests).parameters
    if "printer" in made:
        test = parser.parse_run_tests(list(lines), printer_module.Printer(output=out))
    else:                                              # before v6.14 it printed to stdout by itself
        saved, sys.stdout = sys.stdout, out
        try:
            test = parser.parse_run_tests(list(lines))
        finally:
            sys.stdout = saved
    counts = test.counts
    return Outcome(list(_cases(test, "")), counts.passed, counts.failed, counts.crashed, counts.skipped, counts.errors,
                   out.getvalue())


def _cases(test: Any, prefix: str) -> Iterator[Case]:
    name = f"{prefix}.{test.name}" if prefix and test.name else test.name or prefix
    if test.subtests:
        for sub in test.subtests:
            yield from _cases(sub, "" if name == "main" else name)
    elif test.name and test.name != "main":
        words = {"SUCCESS": "passed", "FAILURE": "failed", "SKIPPED": "skipped", "TEST_CRASHED": "crashed", "NO_TESTS": "skipped"}
        yield Case(name, words.get(test.status.name, "errors"), list(test.log))
