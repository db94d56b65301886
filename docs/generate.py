# SPDX-License-Identifier: GPL-2.0-only
"""The pages of the reference that are made from the code: options, experiments, the API with its honesty, ported functions,
modules.

    python docs/generate.py FOLDER      writes them, and copies the written pages beside them: what sphinx-build reads
                                        (``make docs``)
"""
from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from kemu.cli.api import load as symbols
from kemu.cli.common import build_parser
from kemu.explore.experiment import load_entry_points, registry
from kemu.report import ports

TOP = Path(__file__).resolve().parents[1]
GROUPS = {
    "The emulated kernel's API": "kemu.linux", "The machine": "kemu.machine", "Detectors": "kemu.check",
    "Search and tokens": "kemu.explore",
    "Inputs": "kemu.forge", "The real kernel": "kemu.rung", "Reports": "kemu.report",
}


OUT = Path(sys.argv[1])


def write(page: str, text: str) -> None:
    """Write one page of the reference."""
    path = OUT / "reference" / page
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def cell(text: object) -> str:
    """Text for a table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def options() -> None:
    """``--help`` of every command and verb."""
    os.environ["COLUMNS"] = "110"
    out = ["# Options of every command", "", "Made from the commands themselves: this is what `--help` prints.", ""]

    def add(parser: argparse.ArgumentParser, depth: int) -> None:
        out.extend([f"{'#' * depth} {parser.prog}", "", "```text", parser.format_help().rstrip(), "```", ""])
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for sub in dict.fromkeys(action.choices.values()):
                    add(sub, min(depth + 1, 4))

    for action in build_parser([], whole=True)._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                add(sub, 2)
    write("options.md", "\n".join(out))


def experiments() -> None:
    """The page of all experiments."""
    load_entry_points()
    out = ["# Experiments", "", "What `kemu fuzz` runs; `kemu fuzz NAME` runs one, `kemu review SERIES` those of a series.", "",
           "| name | series | rungs | what holds |", "|---|---|---|---|"]
    out += [f"| `{e.name}` | {e.series} | {', '.join(e.rungs)} | {cell(e.doc)} |" for _, e in sorted(registry.items())]
    write("experiments.md", "\n".join(out) + "\n")


def api() -> None:
    """The table of ``kemu api``."""
    out = ["# The emulated API and its honesty", "",
           "`dup`: as Linux. `stub`: does nothing. `custom`: changed, and says how. The same as `kemu api`.", "",
           "| symbol | module | | C file | how it differs |", "|---|---|---|---|---|"]
    out += [f"| `{s.name}` | {s.module.removeprefix('kemu.linux.')} | {s.honesty} | {s.path} | {cell(s.how)} |"
            for s in symbols()]
    write("api.md", "\n".join(out) + "\n")


def ported() -> None:
    """The page of all ported functions."""
    out = ["# Ported functions", "", "`kemu port diff FUNCTION` shows one beside its C.", "", "| C file | function | port |",
           "|---|---|---|"]
    out += [f"| {p.path} | `{p.c_name}` | {p.module}{' (as posted ' + p.posted + ')' if p.posted else ''} |"
            for p in ports.ported()]
    write("ports.md", "\n".join(out) + "\n")


def modules() -> None:
    """A page for each module, from its docstrings, and the page that lists them."""
    index = ["# Modules", "", "Made from the docstrings.", ""]
    for title, package in GROUPS.items():
        index += [f"## {title}", ""]
        for path in sorted((TOP / package.replace(".", "/")).rglob("*.py")):
            parts = path.relative_to(TOP).with_suffix("").parts
            if any(p.startswith("_") and p != "__init__" for p in parts):
                continue
            name = ".".join(p for p in parts if p != "__init__")
            first = next((line.strip('"').strip() for line in path.read_text().splitlines()[1:3] if line.startswith('"""')), "")
            write(f"modules/{name}.rst",
                  f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n   :members:\n   :undoc-members:\n   "
                  f":ignore-module-all:\n")
            index.append(f"- [{name}](modules/{name}.rst): {first}")
        index.append("")
    index += ["```{toctree}", ":hidden:", ":glob:", "", "modules/*", "```", ""]
    write("modules.md", "\n".join(index))


shutil.rmtree(OUT, ignore_errors=True)
shutil.copytree(TOP / "docs", OUT, ignore=shutil.ignore_patterns("*.py[co]", "__pycache__", "generate.py"))
options()
experiments()
api()
ported()
modules()
