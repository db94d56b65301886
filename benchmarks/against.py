# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.against REVISION [--runs N] [--examples N] [--most RATIO] [start | EXPERIMENT...]``

What commands cost now, as ratios to what they cost at an older revision of this clone: start-up, and fuzzing with all detectors.
Both sides run with this Python and its packages, one after the other, so that a busy machine is busy for both; the best processor
time (user and system) of each side counts. Experiments are names or globs (default: all that need no Linux); they run with the
same seed, from nothing. The exit code is 1 if a ratio is above ``--most``, or if the two sides' exit codes are not the same.
A search that finds something shrinks it for some seconds, whatever it costs: such a row says so, and is not judged.
"""
from __future__ import annotations

import argparse
import fnmatch
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import processor_time
from benchmarks.start import COMMANDS
from kemu.cli.common import EXIT_FAILED

HERE = Path(__file__).resolve().parents[1]


class Side:
    """A tree of sources, and how to run ``kemu`` from it."""

    def __init__(self, tree: Path, folder: Path):
        folder.mkdir()
        info = folder / "kemu-0.dist-info"                  # what installing it would have left: its entry points
        info.mkdir()
        project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kemu\nVersion: {project['version']}\n")
        (info / "entry_points.txt").write_text("".join(
            f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in points.items())
            for group, points in project.get("entry-points", {}).items()))
        self.folder = str(folder)
        self.env = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{tree}", "PYTHONHASHSEED": "0",
                    "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)

    def argv(self, command: str) -> list[str]:
        """``kemu COMMAND`` of this side."""
        return [sys.executable, "-c", "import sys; from kemu.start import main; sys.exit(main())", *command.split()]

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of ``kemu COMMAND``; makes the bytecode and the caches that later runs find."""
        done = subprocess.run(self.argv(command), env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout

    def seconds(self, command: str) -> float:
        """Processor time of ``kemu COMMAND``."""
        return processor_time(self.argv(command), self.env, self.folder)


@contextmanager
def sides(revision: str) -> Iterator[tuple[Side, Side]]:
    """The older one, taken out of git for as long as this lasts, and this one."""
    with tempfile.TemporaryDirectory(prefix="kemu-against.") as name:
        tree = Path(name) / "tree"
        subprocess.run(["git", "-C", str(HERE), "worktree", "add", "--detach", "-q", str(tree), revision], check=True)
        try:
            yield Side(tree, Path(name) / "old"), Side(HERE, Path(name) / "new")
        finally:
            subprocess.run(["git", "-C", str(HERE), "worktree", "remove", "--force", str(tree)], check=False)


def commands(old: Side, new: Side, wanted: list[str], examples: int) -> list[str]:
    """The command lines to compare: those that both sides have."""
    out = [command for command, _ in COMMANDS] if not wanted or "start" in wanted else []
    globs = [w for w in wanted if w != "start"] or ([] if wanted else ["*"])
    lists = [[line.split()[0] for line in side.run("fuzz --list")[1].splitlines()] for side in (old, new)] if globs else [[], []]
    for name in lists[1]:
        if name in lists[0] and any(fnmatch.fnmatchcase(name, g) for g in globs) and not name.endswith((".linux", ".c")):
            out.append(f"fuzz {name} --examples {examples} --seed 0 --fresh -q")
    return out


def main() -> int:
    """Compare and print; the exit code."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.against", description=(__doc__ or "").split("\n\n")[1])
    p.add_argument("revision", help="of this clone: what to compare with")
    p.add_argument("name", nargs="*", help="start, or an experiment (default: everything that needs no Linux)")
    p.add_argument("--runs", type=int, default=5, help="of each side (default 5)")
    p.add_argument("--examples", type=int, default=300, help="of each experiment (default 300)")
    p.add_argument("--most", type=float, default=1.05, help="a larger ratio is too slow (default 1.05)")
    args = p.parse_args()
    slow = 0
    with sides(args.revision) as (old, new):
        print(f"{'kemu ...':<64} {'old ms':>8} {'new ms':>8}  ratio", flush=True)
        for command in commands(old, new, args.name, args.examples):
            codes = [side.run(command)[0] for side in (old, new)]
            pairs = [(old.seconds(command), new.seconds(command)) for _ in range(args.runs)]
            before, now = (min(side) for side in zip(*pairs))
            bad = codes[0] != codes[1] or (now > args.most * before and codes[0] != EXIT_FAILED)
            slow += bad
            said = (f" (exit codes {codes[0]} and {codes[1]})" if codes[0] != codes[1]
                    else " (findings, which are shrunk for a time)" if codes[0] == EXIT_FAILED else "")
            print(f"{command:<64} {before * 1e3:>8.0f} {now * 1e3:>8.0f}  {now / before:.2f}{said}{'  <--' if bad else ''}",
                  flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
