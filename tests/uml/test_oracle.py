# SPDX-License-Identifier: GPL-2.0-only
"""The oracle against what an independent run of Linux said, and against itself."""
from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from kemu.report import manifest
from kemu.report.manifest import Entry
from kemu.rung.uml import Oracle, RungError
from kemu.rung.uml.build import Kernel
from tests.uml.conftest import CORPUS, UNINITIALISED, rows

pytestmark = pytest.mark.linux
EROFS, CPIO = CORPUS / "erofs", CORPUS / "cpio"
# the corpus's own walk went no deeper
DEEPEST = 25
SMALL = Path(__file__).parent.parent / "data" / "small.erofs"


def _devices(row: dict[str, Any]) -> list[Path]:
    return [EROFS / name for name in row["devices"]]


@pytest.mark.parametrize("backend", ["disk", "loop"])
def test_every_image_of_the_corpus(oracle: Oracle, backend: str) -> None:
    wrong = []
    for row in rows(EROFS / "index.jsonl"):
        r = oracle.erofs(EROFS / f"{row['name']}.erofs", options=row["mount_options"], devices=_devices(row), backend=backend)
        assert not r.crash, (row["name"], r.message)
        if r.mount_error != row["mount_error"]:
            wrong.append(f"{row['name']}: mount {r.mount_error}, not {row['mount_error']}")
        elif row["manifest"]:
            text = manifest.diff(manifest.load(EROFS / f"{row['name']}.jsonl"), r.entries, "corpus", "oracle", lines=4)
            wrong += [f"{row['name']}: {text}"] if text else []
    assert not wrong, "\n".join(wrong)


def test_every_corrupt_image_of_the_corpus(oracle: Oracle) -> None:
    index = {row["name"]: row for row in rows(EROFS / "index.jsonl")}
    bases: dict[str, list[Entry]] = {}
    wrong = []
    for case in rows(CORPUS / "corrupt.jsonl"):
        row = index[case["base"]]
        image = bytearray((EROFS / f"{case['base']}.erofs").read_bytes())
        for offset, text in case["diff"]:
            image[offset:offset + len(text) // 2] = bytes.fromhex(text)
        if case["truncate"] is not None:
            del image[case["truncate"]:]
        r = oracle.erofs(image, options=row["mount_options"], devices=_devices(row), cap=1 << 25)
        assert r.crash in (None, "splat"), (case["id"], r.message)
        if r.mount_error != case["mount_error"]:
            wrong.append(f"{case['id']}: mount {r.mount_error}, not {case['mount_error']}")
        elif not r.mount_error and case["id"] not in UNINITIALISED:
            base = bases.setdefault(case["base"], manifest.load(EROFS / f"{case['base']}.jsonl"))
            text = _compare(base, case, r.entries)
            wrong += [f"{case['id']}: {text}"] if text else []
    assert not wrong, "\n".join(wrong)


def _compare(base: list[Entry], case: dict[str, Any], entries: list[Entry]) -> str:
    shallow = [e for e in entries if e["path"].count("/") <= DEEPEST]
    base = [e for e in base if e["path"].count("/") <= DEEPEST]
    got = {e["path"] for e in shallow}
    missing = len({e["path"] for e in base} - got)
    if missing != case["missing"]:
        return f"{missing} paths are missing, not {case['missing']}"
    changed: dict[str, list[Entry]] = defaultdict(list)
    for e in case["changed"]:
        changed[e["path"]].append(e)
    # a file of 40 MiB was not read whole there
    ignore = ["sha256"] if case["base"] == "sparse-chunk48" else []
    want = [e for e in base if e["path"] not in changed and e["path"] in got] + case["changed"]
    return manifest.diff(want, shallow, "corpus", "oracle", ignore=ignore, lines=4)


def test_every_archive_of_the_corpus(kernel: Kernel) -> None:
    wrong, crashed, expected = [], 0, 0
    with Oracle(kernel=kernel) as oracle:
        for row in rows(CPIO / "index.jsonl"):
            r = oracle.cpio(CPIO / row["name"])
            expected += bool(row["crash"])
            crashed += r.crash == "panic"
            if bool(r.crash) != bool(row["crash"]):
                wrong.append(f"{row['name']}: {r.crash or 'no crash'}: {r.message}")
            if r.crash or row["crash"]:
                continue
            said = [f"Initramfs unpacking failed: {r.message}"] if r.message else []
            if said != row["kernel_message"]:
                wrong.append(f"{row['name']}: {said}, not {row['kernel_message']}")
            text = _compare_trees(manifest.load(CPIO / f"{row['name']}.jsonl"), r.entries)
            wrong += [f"{row['name']}: {text}"] if text else []
        assert oracle.boots == 1 + expected, "a crash costs one boot"
    assert not wrong, "\n".join(wrong)
    assert crashed == expected == 3


def _compare_trees(want: list[Entry], got: list[Entry]) -> str:
    """A time that is null in the corpus may be an archive's that was made on the day when the corpus was."""
    new = {e["path"] for e in want if e["mtime"] is None}
    got = [e | {"mtime": None} if e["path"] in new and e["mtime"] and e["mtime"][0] > 1_700_000_000 else e for e in got]
    return manifest.diff(want, [e for e in got if len(e["path"]) <= 3400], "corpus", "oracle", lines=4)


@pytest.mark.parametrize("memory", ["linear", "vmalloc", "slab"])
@pytest.mark.parametrize("at", [0, 1, 512, 2047, 4095])
def test_neither_offset_nor_kind_of_memory_changes_a_disk(oracle: Oracle, memory: str, at: int) -> None:
    for name in ("tiny-plain", "text-lz4", "xattr-plain"):
        rows(EROFS / "index.jsonl")
        r = oracle.erofs(EROFS / f"{name}.erofs", at=at, memory=memory)
        assert manifest.diff(manifest.load(EROFS / f"{name}.jsonl"), r.entries) == ""


@pytest.mark.parametrize("at", [0, 1, 63, 4095])
def test_the_offset_of_an_archive_does_not_change_the_tree(oracle: Oracle, at: int) -> None:
    rows(CPIO / "index.jsonl")
    r = oracle.cpio(CPIO / "gnu-newc", at=at)
    assert _compare_trees(manifest.load(CPIO / "gnu-newc.jsonl"), r.entries) == ""


def test_a_file_backed_mount_of_good_images(oracle: Oracle) -> None:
    rows(EROFS / "index.jsonl")
    for name in ("tiny-plain", "text-lz4", "deep-plain"):
        for image in (EROFS / f"{name}.erofs", (EROFS / f"{name}.erofs").read_bytes()):
            r = oracle.erofs(image, backend="file")
            assert manifest.diff(manifest.load(EROFS / f"{name}.jsonl"), r.entries) == ""


def test_a_file_backed_mount_through_a_link(oracle: Oracle, tmp_path: Path) -> None:
    """An absolute link on the host leads elsewhere in the guest."""
    (tmp_path / "link").symlink_to(SMALL.resolve())
    (tmp_path / "there").symlink_to(tmp_path)
    r = oracle.erofs(tmp_path / "there" / "link", backend="file")
    assert r.mount_error is None and manifest.diff(oracle.erofs(SMALL).entries, r.entries) == ""


def test_one_case_leaves_nothing_for_the_next(oracle: Oracle) -> None:
    rows(CPIO / "index.jsonl")
    names = ["gnu-newc", "trunc-5000", "h-name0", "gnu-newc", "trunc-112", "gic"]
    names = [name for name in names if (CPIO / name).exists()]
    first = {name: (r.message, manifest.dump(r.entries)) for name in names for r in [oracle.cpio(CPIO / name)]}
    for name in reversed(names):
        r = oracle.cpio(CPIO / name)
        assert (r.message, manifest.dump(r.entries)) == first[name]


def test_an_empty_image_and_one_of_zeros(oracle: Oracle) -> None:
    assert oracle.erofs(b"").mount_error == "EIO", "the superblock is beyond the device's end"
    assert oracle.erofs(bytes(8192)).mount_error == "EINVAL"
    assert oracle.cpio(b"").message is None
    assert "invalid magic" in (oracle.cpio(b"nonsense").message or "")


def test_wrong_arguments_are_refused_before_the_kernel_sees_them(oracle: Oracle) -> None:
    with pytest.raises(RungError, match="0..4095"):
        oracle.erofs(b"x", at=4096)
    with pytest.raises(RungError, match="at most"):
        oracle.erofs(b"x", devices=[b"y"] * 8)
    assert oracle.erofs(b"x").mount_error == "EINVAL", "and it still serves"


def test_an_image_of_many_pages_goes_to_vmalloc(oracle: Oracle) -> None:
    rows(EROFS / "index.jsonl")
    image = (EROFS / "tiny-plain.erofs").read_bytes()
    assert manifest.equal(oracle.erofs(image + bytes(9 << 20)).entries, oracle.erofs(image).entries)


def test_files_of_the_kernel(oracle: Oracle) -> None:
    assert b"erofs" in oracle.read("proc/filesystems")
    with pytest.raises(RungError, match="ENOENT"):
        oracle.read("proc/nonesuch")
