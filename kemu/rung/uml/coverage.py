# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of the C a campaign has reached: the gcov flavour's counters, read out of debugfs and judged by the host's gcov."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from kemu.rung.uml.build import Kernel
from kemu.rung.uml.errors import ConfigError, RungError
from kemu.rung.uml.oracle import Oracle

_PROFILED = ("fs/erofs/*.gcno", "init/initramfs.gcno")


@dataclass
class Lines:
    """One source file: line -> how often it ran; only lines that have code."""

    counts: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Lines with code."""
        return len(self.counts)

    @property
    def reached(self) -> int:
        """Lines that ran."""
        return sum(1 for n in self.counts.values() if n)


class Coverage:
    """Counters added up over the kernels of an oracle.

    A kernel that crashes takes its counters with it, so call :meth:`note` after every case, or every few: what is lost is what
    ran since.
    """

    def __init__(self, kernel: Kernel):
        if "CONFIG_GCOV_KERNEL" not in kernel.config():
            raise ConfigError(f"a kernel of the {kernel.flavour} flavour counts nothing: --flavour gcov")
        if not shutil.which("gcov"):
            raise ConfigError("gcov not found: apt-get install gcc")
        self.kernel = kernel
        self.files: dict[str, Lines] = defaultdict(Lines)
        self._units = sorted(p.relative_to(kernel.objects) for pattern in _PROFILED for p in kernel.objects.glob(pattern))
        self._boot = 0
        self._counters: dict[Path, bytes] = {}

    def note(self, oracle: Oracle) -> None:
        """Read the counters of the kernel that runs now."""
        counters = {}
        for unit in self._units:
            try:
                counters[unit] = oracle.read(f"debug/gcov{self.kernel.objects}/{unit.with_suffix('.gcda')}")
            except RungError:
                continue                               # an object that is not linked in
        if oracle.boots != self._boot:
            self.finish()
            self._boot = oracle.boots
        self._counters = counters

    def finish(self) -> None:
        """Add the counters that were read last to the sum."""
        counters, self._counters = self._counters, {}
        with tempfile.TemporaryDirectory(prefix="kemu-gcov-") as name:
            work = Path(name)
            for unit, data in counters.items():
                (work / unit).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.kernel.objects / unit, work / unit)
                (work / unit.with_suffix(".gcda")).write_bytes(data)
                self._add(work / unit.with_suffix(".gcda"))

    def _add(self, gcda: Path) -> None:
        done = subprocess.run(["gcov", "--json-format", "--stdout", str(gcda)], cwd=self.kernel.objects, capture_output=True,
                              text=True)
        if done.returncode:
            raise RungError(f"gcov {gcda.name}: {done.stderr.strip()}")
        for text in done.stdout.splitlines():
            for file in json.loads(text)["files"]:
                source = os.path.normpath(file["file"]).removeprefix("../")
                if not source.startswith(("fs/erofs/", "init/initramfs.c")):
                    continue
                counts = self.files[source].counts
                for line in file["lines"]:
                    number = int(line["line_number"])
                    counts[number] = counts.get(number, 0) + int(line["count"])

    def table(self) -> str:
        """One line per source file: percent, reached and total lines; the sum at the end."""
        rows = [(name, f.reached, f.total) for name, f in sorted(self.files.items()) if f.total]
        rows.append(("all", sum(r[1] for r in rows), sum(r[2] for r in rows)))
        return "".join(f"{100 * reached / max(total, 1):5.1f} %  {reached:5} of {total:5}  {name}\n"
                       for name, reached, total in rows)

    def unreached(self, source: str) -> str:
        """The lines of a source file that have code and never ran, with their text."""
        if source not in self.files:
            raise RungError(f"{source}: not counted; there are {', '.join(sorted(self.files))}")
        text = (self.kernel.source / source).read_text(errors="replace").splitlines()
        missed = [n for n, count in sorted(self.files[source].counts.items()) if not count]
        return "".join(f"{source}:{n}:{text[n - 1] if n <= len(text) else ''}\n" for n in missed)
