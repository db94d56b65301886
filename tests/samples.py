# SPDX-License-Identifier: GPL-2.0-only
"""What the README and docs/ print, made from what the commands print: ``python -m tests.samples [--write] [PAGE...]``
(``make docs-samples``).

Two kinds of samples. An indented line ``$ command`` is run with its output in a pipe; a fenced block (```text, ```console) whose
lines begin with ``$ `` is run on a terminal of 130 columns. The lines below a command must appear in its output in this order,
one behind the other; a line ``...`` stands for any lines, ``...`` within a line for any text. A fenced block without a command
shows more of the output before it.

A comment behind a command, or an HTML comment above a fenced block, says ``exit N`` (0 if not said), ``slow`` (not part of `make
test`), ``linux`` (needs a kernel tree), ``both`` (run before those as well). What a page tells the reader to write is
written first:
```python file=NAME blocks are files, ```diff blocks change them.
"""
from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
COLUMNS = 130
MOST = 40               # lines of a sample that is made anew


@dataclass
class Sample:
    """A command of a page. ``lines``: the range of the page's lines that its output has; ``more``: of further blocks that show
    it.
    """

    page: Path
    command: str
    notes: set[str]
    code: int
    terminal: bool
    lines: range
    more: list[range] = field(default_factory=list)
    before: list[tuple[str, str]] = field(default_factory=list)        # files that are written first, and diffs (name "")


def notes_of(text: str) -> tuple[set[str], int]:
    m = re.search(r"exit (\d+)", text)
    return {n for n in ("slow", "linux", "both") if re.search(rf"\b{n}\b", text)}, int(m.group(1)) if m else 0


def _split(line: str) -> tuple[str, str]:
    """A command, and the comment behind it."""
    command, *note = re.split(r"\s+# ", line, maxsplit=1)
    return command, "".join(note)


def samples(page: Path) -> list[Sample]:
    """The samples of a page, in order."""
    text = page.read_text().splitlines()
    out: list[Sample] = []
    pending: list[tuple[str, str]] = []
    i = 0
    said = ""
    while i < len(text):
        line = text[i]
        if line.startswith("```"):
            end = next(j for j in range(i + 1, len(text)) if text[j].startswith("```"))
            head = line[3:].strip()
            if "file=" in head:
                pending.append((head.partition("file=")[2], "\n".join(text[i + 1:end]) + "\n"))
            elif head == "diff":
                pending.append(("", "\n".join(text[i + 1:end]) + "\n"))
            elif head in ("text", "console"):
                _fenced(out, page, text, i + 1, end, said, pending)
            i = end + 1
            said = ""
            continue
        if line.startswith("    $ "):
            command, note = _split(line[6:])
            end = i + 1
            while end < len(text) and text[end].startswith("    ") and not text[end].startswith("    $ "):
                end += 1
            out.append(Sample(page, command.strip(), *notes_of(note), False, range(i + 1, end), [], pending))
            pending = []
            i = end
            continue
        if line.startswith("<!--"):
            said = line
        i += 1
    return out


def _fenced(out: list[Sample], page: Path, text: list[str], first: int, end: int, said: str,
            pending: list[tuple[str, str]]) -> None:
    starts = [j for j in range(first, end) if text[j].startswith("$ ")]
    if not starts:
        if out:
            out[-1].more.append(range(first, end))
        return
    for a, b in zip(starts, [*starts[1:], end]):
        command, note = _split(text[a][2:])
        out.append(Sample(page, command.strip(), *notes_of(said + " " + note), True, range(a + 1, b), [], list(pending)))
        pending.clear()


def shown(sample: Sample, part: range) -> list[str]:
    """The lines of a page that show output, without what indents them."""
    text = sample.page.read_text().splitlines()
    return [text[j] if sample.terminal else text[j][4:] for j in part]


def matches(expected: list[str], got: str) -> bool:
    """Whether these lines are in ``got``. Empty lines do not count; behind a shown line's end there may be more of it."""
    lines = [line for line in got.splitlines() if line.strip()]
    at = 0
    for run in _runs(expected):
        places = range(at, len(lines) - len(run) + 1)
        found = next((i for i in places if all(_line_matches(a, b) for a, b in zip(run, lines[i:]))), None)
        if found is None:
            return False
        at = found + len(run)
    return True


def _runs(expected: list[str]) -> list[list[str]]:
    """Lines that stand one behind the other, between lines ``...``."""
    out: list[list[str]] = [[]]
    for line in expected:
        if line.strip() == "...":
            out.append([])
        elif line.strip():
            out[-1].append(line.rstrip())
    return [run for run in out if run]


def _line_matches(shown_line: str, line: str) -> bool:
    first, *rest = shown_line.split("...")
    if not line.startswith(first):
        return False
    at = len(first)
    for part in rest:
        found = line.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


class Shell:
    """Runs the samples of one page one after the other, in a scratch folder with the project's data."""

    def __init__(self, where: Path):
        self.where = where
        self.code = 0
        for name in ("tests", "LICENSE"):
            (where / name).symlink_to(TOP / name)
        self.env = {**os.environ, "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"], "NO_COLOR": "1",
                    "XDG_STATE_HOME": str(where.parent / f"{where.name}-state"), "PYTHONPATH": str(TOP)}
        self.env.pop("COLUMNS", None)

    def run(self, sample: Sample) -> tuple[int, str]:
        """Exit code and output (standard error behind standard output)."""
        self.prepare(sample)
        argv = ["bash", "-o", "pipefail", "-c", f"(exit {self.code}); {sample.command}"]
        if sample.terminal:
            from tests.integration.cli.terminal import ESCAPE, on_terminal

            self.code, out, err = on_terminal(argv, COLUMNS, self.where, self.env)
            return (self.code, ESCAPE.sub("", out) + "".join(line + "\n" for line in ESCAPE.sub("", err).split("\n")
                                                             if line.startswith("kemu: ")))
        p = subprocess.run(argv, cwd=self.where, env=self.env, capture_output=True, text=True, timeout=900,
                           stdin=subprocess.DEVNULL)
        self.code = p.returncode
        return p.returncode, p.stdout + p.stderr

    def prepare(self, sample: Sample) -> None:
        """Write what the reader writes before it."""
        for name, text in sample.before:
            if name:
                (self.where / name).write_text(text)
            else:
                self._change(text)

    def _change(self, diff: str) -> None:
        old = "".join(line[1:] + "\n" for line in diff.splitlines() if line[:1] in (" ", "-"))
        new = "".join(line[1:] + "\n" for line in diff.splitlines() if line[:1] in (" ", "+"))
        hits = [p for p in self.where.glob("*.py") if old in p.read_text()]
        if len(hits) != 1 or hits[0].read_text().count(old) != 1:
            raise AssertionError(f"this diff fits {len(hits)} files:\n{diff}")
        hits[0].write_text(hits[0].read_text().replace(old, new))


def problems(page: Path, where: Path, wanted: object) -> Iterator[str]:
    """What a page shows that is not so. ``wanted(sample)`` says which samples are run."""
    shell = Shell(where)
    for s in samples(page):
        if not wanted(s):                                   # type: ignore[operator]
            shell.prepare(s)
            continue
        code, got = shell.run(s)
        if code != s.code:
            yield f"{s.command}: exit code {code} instead of {s.code}\n{got[-2000:]}"
        if "Traceback" in got or "internal error" in got:
            yield f"{s.command}: {got[-2000:]}"
        for part in (s.lines, *s.more):
            if not matches(shown(s, part), got):
                yield f"{page.name}:{part.start}: {s.command} printed:\n{got[-3000:]}\ninstead of:\n" + "\n".join(shown(s, part))


def _likeness(start: str, line: str) -> float:
    return difflib.SequenceMatcher(None, start, line[:len(start) + 8]).ratio() if start else 0.0


def renewed(old: list[str], got: str) -> list[str]:
    """``old`` with its lines taken from ``got``: each from the line that is most like it behind the one before; what is left out
    stays so.
    """
    if matches(old, got):
        return old
    lines = [line.rstrip() for line in got.splitlines()]
    wanted = [line for line in old if line.strip() and line.strip() != "..."]
    if not wanted:
        return lines if len(lines) <= MOST else [*lines[:MOST], "..."]
    out: list[str] = []
    at = 0
    for line in old:
        if line.strip() == "..." or not line.strip():
            if not out or out[-1] != line:
                out.append(line)
            continue
        start = line.split("...")[0].rstrip()
        scores = [(_likeness(start, cand) - 0.02 * (k - at), k) for k, cand in enumerate(lines) if k >= at and cand.strip()]
        if not scores or max(scores)[0] < 0.6:
            continue
        k = max(scores)[1]
        if k > at and out and out[-1].strip() not in ("...", ""):
            out.append("...")
        keep = line.rstrip().endswith("...") and len(line.rstrip()) < len(lines[k])
        out.append(lines[k][:len(line.rstrip()) - 3] + "..." if keep else lines[k])
        at = k + 1
    return out if _runs(out) and matches(out, got) else (lines if len(lines) <= MOST else [*lines[:MOST], "..."])


def write(page: Path, where: Path, wanted: object) -> int:
    """Make the samples of a page anew; how many were changed."""
    shell = Shell(where)
    text = page.read_text().splitlines()
    changes: list[tuple[range, list[str]]] = []
    for s in samples(page):
        if wanted(s):                                       # type: ignore[operator]
            _, got = shell.run(s)
            for part in (s.lines, *s.more):
                old = shown(s, part)
                new = renewed(old, got) if old or not s.more else old
                if new != old:
                    changes.append((part, new if s.terminal else ["    " + line if line else "" for line in new]))
        else:
            shell.prepare(s)
    for part, new in reversed(changes):
        text[part.start:part.stop] = new
    if changes:
        page.write_text("\n".join(text) + "\n")
    return len(changes)


def main() -> int:
    """See the module's text."""
    p = argparse.ArgumentParser(prog="python -m tests.samples",
                                description="Compare what the pages show with what the commands print.")
    p.add_argument("--write", action="store_true", help="make what differs anew")
    p.add_argument("--slow", action="store_true", help="those that take long too")
    p.add_argument("--linux", action="store_true", help="those that need a kernel tree too")
    p.add_argument("page", nargs="*", type=Path, default=PAGES)
    args = p.parse_args()

    def wanted(s: Sample) -> bool:
        return (args.slow or "slow" not in s.notes) and (args.linux or "linux" not in s.notes)

    wrong = 0
    for page in args.page:
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder) / "here"
            where.mkdir()
            if args.write:
                print(f"{page}: {write(page.resolve(), where, wanted)} changed", flush=True)
            else:
                for text in problems(page.resolve(), where, wanted):
                    wrong += 1
                    print(text, end="\n\n", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
