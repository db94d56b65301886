# SPDX-License-Identifier: GPL-2.0-only
"""Two kernels, the same inputs: what a series changes for images and archives that it does not concern.

The inputs are files, and what the forge makes of a seed: the same in every run. Of EROFS images not only the manifest is
compared, but everything that user space can see of an inode (agent/facts.c).
"""
from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import tee
from pathlib import Path

from kemu.forge.cpio_choose import break_cpio, choose_cpio
from kemu.forge.cpio_wild import choose_wild, damage
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.every import every_difference
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.mutate import mutate
from kemu.forge.erofs.streams import choose_streams
from kemu.forge.packed import choose_packed
from kemu.forge.pick import Pick, SeedValues
from kemu.machine.hostmodule import MissingLibrary
from kemu.report import manifest
from kemu.report.manifest import Entry
from kemu.report.store.folder import state_dir
from kemu.rung.uml.cache import write_whole
from kemu.rung.uml.cases import Case
from kemu.rung.uml.inputs import head, kind_of, read_input
from kemu.rung.uml.oracle import Oracle, Result

IMAGES = ErofsOptions(beyond_fsck=True, flaws=True, block_bits=(12, 9, 10, 11, 13))
MEMORY = ("linear", "vmalloc", "slab")
CAP = 1 << 22                          # bytes of a file that are read; damaged sizes make sparse ones of gigabytes
MOST = 2000                            # entries of a tree
ENOUGH = 20                            # differences after which no more are looked for


@dataclass(frozen=True)
class Sample:
    """One input. ``what``: its kind, in the plural; ``path``: where it is, if it is a file; ``label``: how it was made."""

    what: str
    data: bytes
    archive: bool = False
    path: Path | None = None
    label: str = ""
    devices: tuple[bytes, ...] = ()
    at: int = 0
    memory: str = "linear"

    def case(self, oracle: Oracle) -> Case:
        """What a kernel is asked about it."""
        if self.archive:
            return oracle.cpio_case(self.data, cap=CAP)
        return oracle.erofs_case(self.data, at=self.at, memory=self.memory, devices=self.devices, cap=CAP, max_entries=MOST,
                                 facts=True)

    def ask(self, oracle: Oracle) -> Result:
        """What a kernel makes of it."""
        return oracle.ask(self.case(oracle))


def from_files(paths: Iterable[Path]) -> Iterator[Sample]:
    """Samples of files."""
    for path in paths:
        yield Sample("files", read_input(path), kind_of(head(path, 1028)) != "erofs", path, str(path))


def _sound(pick: Pick) -> tuple[bytes, list[bytes], str]:
    image = choose_image(pick, IMAGES)
    return (*_apart(pick, image, image.data), image.describe())


def _damaged(pick: Pick) -> tuple[bytes, list[bytes], str]:
    image = choose_image(pick, IMAGES)
    bad = mutate(image, pick)
    return (*_apart(pick, image, bad.data), bad.describe())


def _cut_short(pick: Pick) -> tuple[bytes, list[bytes], str]:
    image = choose_image(pick, IMAGES)
    return image.data[:len(image.data) - pick.int("cut", 0, len(image.data) - 1)], [], f"cut short: {image.describe()}"


def _streams(pick: Pick) -> tuple[bytes, list[bytes], str]:
    image = choose_streams(pick)
    return image.data, [], image.describe()


def _apart(pick: Pick, image: ErofsImage, data: bytes) -> tuple[bytes, list[bytes]]:
    """The devices of an image that has some, each on its own, or all of them in one."""
    bs = image.block_size
    if not image.devices or pick.rare("in one", 2) or len(data) < bs:
        return data, []
    return data[:image.features["blocks"] * bs], [data[first * bs:(first + n) * bs] or bytes(512) for first, n in image.devices]


def _archive(pick: Pick) -> tuple[bytes, list[bytes], str]:
    made = choose_packed(pick) if pick.rare("packed", 4) else choose_cpio(pick)
    return made.data, [], made.describe()


def _broken_archive(pick: Pick) -> tuple[bytes, list[bytes], str]:
    kind = pick.int("kind", 0, 2)
    made = (break_cpio(choose_cpio(pick), pick, 3) if kind == 0 else choose_wild(pick, devices=False) if kind == 1
            else damage(choose_cpio(pick), pick))
    return made.data, [], made.describe()


# kind -> (of a hundred samples, how one is made, whether it is an archive)
FORGED: dict[str, tuple[int, Callable[[Pick], tuple[bytes, list[bytes], str]], bool]] = {
    "sound images": (30, _sound, False), "damaged images": (25, _damaged, False), "images cut short": (5, _cut_short, False),
    "images of odd streams": (15, _streams, False),
    "archives": (10, _archive, True), "broken archives": (15, _broken_archive, True)}


def forged(count: int, seed: int = 0) -> Iterator[Sample]:
    """The images of every kind of difference, and about ``count`` others of a seed, kind after kind."""
    if count <= 0:
        return
    for n, (label, image) in enumerate(every_difference()):
        yield Sample("of every difference", image.data, label=label, memory=MEMORY[n % 3], at=(0, 0, 512, 17)[n % 4])
    for k, (what, (share, make, archive)) in enumerate(FORGED.items()):
        for n in range(max(1, count * share // 100)):
            pick = Pick(SeedValues((seed << 40) + (k << 32) + n))
            try:
                data, devices, label = make(pick)
            except MissingLibrary:                     # a compressor that this host has not
                continue
            if data:
                where = {} if archive else {"at": (0, 0, 0, pick.int("at", 0, 4095))[n % 4], "memory": MEMORY[n // 2 % 3]}
                yield Sample(what, data, archive, None, f"seed {seed}, {what} {n}: {label.partition(chr(10))[0]}", tuple(devices),
                             **where)    # type: ignore[arg-type]


@dataclass
class Difference:
    """A sample for which the two kernels answer differently. ``cause``: one word for the kind of difference."""

    sample: Sample
    cause: str
    lines: list[str]
    kept: Path | None = None


@dataclass
class Compared:
    """What was compared: of each kind how many, what differed, and how many answers the plain kernel itself does not repeat."""

    counts: Counter[str] = field(default_factory=Counter)
    different: list[Difference] = field(default_factory=list)
    unstable: int = 0
    given_up: bool = False

    def summary(self) -> str:
        """``"17 files, 172 of every difference, 300 sound images, ..."``"""
        return ", ".join(f"{n} {what}" for what, n in self.counts.items())


def difference(a: Result, b: Result) -> tuple[str, list[str]] | None:
    """(cause, lines) of the first thing in which two answers differ; ``a`` is the plain tree's."""
    for name, x, y in (("end", a.crash, b.crash), ("mount", a.mount_error, b.mount_error), ("message", a.message, b.message)):
        if x != y:
            return name, [f"{name}: plain {x or 'none'}, series {y or 'none'}", *(f"series said: {line}" for line in b.kmsg[-3:])]
        if a.crash:
            return None                                # both, in the same way; what they say has addresses in it
    if text := manifest.diff(a.entries, b.entries, "plain", "series", lines=6):
        cause, line = _first(a.entries, b.entries)
        lines = text.splitlines()
        return cause, [*([line] if line and line not in lines else []), *lines]
    for x, y in zip(a.facts, b.facts):
        if x != y:
            path, *xs = x.split("\t")
            _, *ys = y.split("\t")
            p, q = next((p, q) for p, q in zip([*xs, ""], [*ys, ""]) if p != q)
            return p.partition("=")[0], [f"{path}: plain {p}, series {q}"]
    return ("inodes", ["one has more inodes than the other"]) if len(a.facts) != len(b.facts) else None


def _first(a: Sequence[Entry], b: Sequence[Entry]) -> tuple[str, str]:
    """The field in which the first different inode differs, its error before all others, and the line that says so."""
    for x, y in zip(manifest.ordered(a), manifest.ordered(b)):
        if x["path"] != y["path"]:
            return "names", ""
        if fields := manifest.entry_differences(x, y):
            name, p, q = next((f for f in fields if f[0] == "error"), fields[0])
            return str(name), f"{manifest.show(x['path'])}: {name}: plain {p}, series {q}"
    return "names", ""


def compare(plain: Oracle, series: Oracle, samples: Iterable[Sample], name: str) -> Compared:
    """Ask both about every sample. What differs is asked again of kernels that have seen nothing else, and kept under ``name``.
    """
    out = Compared()
    each, ones, others = tee(samples, 3)
    before, after = plain.many(s.case(plain) for s in ones), series.many(s.case(series) for s in others)
    for sample, a, b in zip(each, before, after):
        out.counts[sample.what] += 1
        if difference(a, b) is None:
            continue
        answers = [(_afresh(plain, sample), _afresh(series, sample)) for _ in range(3)]
        found = difference(*answers[0])
        steady = all(difference(x, answers[0][side]) is None for pair in answers for side, x in enumerate(pair))
        if found is None or not steady or difference(a, answers[0][0]) is not None:
            out.unstable += 1
            continue
        out.different.append(Difference(sample, *found))
        if len(out.different) >= ENOUGH:
            out.given_up = True
            break
    for first in firsts(out.different):
        first.kept = keep(first.sample, name)
    return out


def _afresh(oracle: Oracle, sample: Sample) -> Result:
    """The answer of a kernel that has seen nothing else."""
    oracle.close()
    return sample.ask(oracle)


def firsts(different: Sequence[Difference]) -> list[Difference]:
    """Of each cause the smallest."""
    best: dict[str, Difference] = {}
    for d in different:
        if d.cause not in best or len(d.sample.data) < len(best[d.cause].sample.data):
            best[d.cause] = d
    return list(best.values())


def keep(sample: Sample, name: str) -> Path:
    """Where the input is: its own place, or a file of the user's state folder."""
    if sample.path:
        return sample.path
    folder = state_dir() / "series" / "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    path = folder / f"{hashlib.sha256(sample.data).hexdigest()[:12]}.{'cpio' if sample.archive else 'erofs'}"
    write_whole(path, sample.data)
    for i, device in enumerate(sample.devices):
        write_whole(path.with_suffix(f".device{i}"), device)
    return path


def ask_words(d: Difference) -> str:
    """The command that shows it once more."""
    s = d.sample
    words = [f"kemu linux oracle {d.kept}", *(f"--device {d.kept.with_suffix(f'.device{i}')}" for i in range(len(s.devices))
                                              if d.kept)]
    if not s.archive:
        words += [f"--at {s.at}"] * bool(s.at) + [f"--memory {s.memory}"] * (s.memory != "linear")
    return " ".join(words)


__all__ = ["Compared", "Difference", "Sample", "ask_words", "compare", "difference", "firsts", "forged", "from_files"]
