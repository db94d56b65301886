# SPDX-License-Identifier: GPL-2.0-only
"""A finding as a folder: input, what should come of it, configuration, README, and a KUnit case."""
from __future__ import annotations

import json
from dataclasses import dataclass

from kemu.explore.finding import Finding
from kemu.explore.run import Expected, Outcome
from kemu.machine.config import text as config_text
from kemu.machine.given import Given, GivenBoot, GivenMount
from kemu.report.takeaway.archive_case import ArchiveCase
from kemu.report.takeaway.case import KunitCase
from kemu.report.takeaway.erofs_case import ErofsCase
from kemu.report.takeaway.patch import patch, series_toml
from kemu.report.takeaway.readme import readme


@dataclass(frozen=True)
class Sources:
    """Of the kernel tree that a case is for: its version, and the Makefiles of folders that cases are for."""

    version: str
    makefiles: dict[str, str]


def files(out: Outcome, tree: Sources | None, token: str, folder: str) -> dict[str, bytes]:
    """Names, below ``folder``, and contents. Without a finding it is the input alone. ``OSError``: an image that was named is not
    there any more.
    """
    given = out.given[-1] if out.given else None
    made, names = _inputs(out, given)
    f = out.finding
    if f is None:
        return made
    expected = out.expected
    if expected is not None and isinstance(given, GivenMount) and not expected.error:
        made["expected.manifest"] = "".join(json.dumps(e) + "\n" for e in expected.entries).encode()
        made["expected.sha256"] = _sums(expected)
    made["config"] = _config(given, f)
    case = _kunit(f, given, expected, token)
    why = case if isinstance(case, str) else ""
    if isinstance(case, KunitCase) and tree is None:
        why = "it takes a kernel tree to make it (kemu linux fetch)"
    elif isinstance(case, KunitCase) and tree is not None:
        made["kunit/0001-kunit.patch"] = patch(case.folder, case.name, case.text(), tree.makefiles[case.folder], f.title).encode(
            "utf-8", "surrogateescape")
        made["kunit/series.toml"] = series_toml(case.name, f.title, tree.version, f.config).encode()
    made["README.md"] = readme(f, given, names, "expected.sha256" in made, why or f"{folder}/kunit", token).encode(
        "utf-8", "surrogateescape")
    return made


def kunit_lines(out: Outcome, token: str) -> list[str]:
    """The C of the case, or the line that says why there is none."""
    if out.finding is None or not out.given:
        return ["/* no KUnit case: nothing is found, or nothing mounted and booted, by this run */"]
    case = _kunit(out.finding, out.given[-1], out.expected, token)
    return [f"/* no KUnit case: {case} */"] if isinstance(case, str) else case.text().splitlines()


def _inputs(out: Outcome, given: Given | None) -> tuple[dict[str, bytes], list[str]]:
    """The files of the input, and the names of those that are mounted or booted."""
    made = dict(out.files)
    names: list[str] = []
    if isinstance(given, GivenMount):
        names = [f"{'image' if not i else f'device{i}'}.{given.filesystem}" for i in range(len(given.images))]
        made |= {name: image.read() for name, image in zip(names, given.images)}
    elif isinstance(given, GivenBoot):
        if given.initrd is not None:
            names.append("initrd")
            made["initrd"] = given.initrd.read()
        if given.builtin is not None and not isinstance(given.builtin, str):
            names.append("builtin.cpio")
            made["builtin.cpio"] = bytes(given.builtin)
        made["cmdline"] = given.cmdline.encode() + b"\n"
    return made, names


def _config(given: Given | None, f: Finding) -> bytes:
    lines = {line.partition("=")[0]: line for line in f.config}
    for option, value in (given.config if given is not None else {}).items():
        lines.setdefault(option, config_text(option, value))
    return "".join(f"# {option} is not set\n" if line.endswith("=n") else f"{line}\n" for option, line in sorted(lines.items())
                   ).encode()


def _sums(expected: Expected) -> bytes:
    rows = [(str(e["path"]), e["sha256"]) for e in expected.entries if e["type"] == "file" and e["sha256"]]
    return "".join(f"{digest}  .{path}\n" for path, digest in sorted(rows)).encode("utf-8", "surrogateescape")


def _kunit(f: Finding, given: Given | None, expected: Expected | None, token: str) -> KunitCase | str:
    """The case, or why there is none."""
    if given is None:
        return "this experiment mounts and boots nothing that a case could have"
    if f.choices:
        return "it takes a failing call or a switch of tasks, which a case does not have"
    if isinstance(given, GivenBoot):
        return _archive(f, given, expected, token)
    if given.backend not in ("bdev", "fileio"):
        return f"the back end {given.backend} is no part of the kernel that a case would be for"
    if given.page_size != 4096:
        return f"it takes pages of {given.page_size} bytes"
    if given.filesystem != "erofs":
        return f"cases are made for erofs, not for {given.filesystem}"
    case = ErofsCase(f.title, token, [i.read() for i in given.images], given.options)
    if expected is not None:
        case.error, case.entries, case.contents = expected.error, expected.entries, expected.contents
    return case.too_large() or case


def _archive(f: Finding, given: GivenBoot, expected: Expected | None, token: str) -> KunitCase | str:
    if given.initrd is None or given.series:
        return "a boot is no KUnit case"
    case = ArchiveCase(f.title, token, [given.initrd.read()])
    if expected is not None:
        case.error, case.entries, case.contents = expected.error, expected.entries, expected.contents
    return case.too_large() or case
