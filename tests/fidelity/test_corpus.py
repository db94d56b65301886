# SPDX-License-Identifier: GPL-2.0-only
"""Real images, whole and damaged: the emulation must say what Linux 7.2 said.

A small part of the corpus is in tests/data/erofs; the whole of it is beside the checkout (../shared/corpus) or absent, and then
its tests are skipped.
"""
from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from tests.conftest import DATA
from tests.fidelity.corpus import SHARED, damaged_differences, differences, index, observe

LOCAL = DATA / "erofs"
WHOLE = SHARED / "erofs"
needs_corpus = pytest.mark.skipif(not WHOLE.is_dir(), reason=f"no corpus at {SHARED}")
BACKENDS = ("bdev", "memback", "fileio", "dax")

# Where Linux reads memory that nothing has written: what it says is not a function of the image. The emulation reports these
# reads.
STALE = {
    "text-deflate#0435": "a deflate stream that ends within the last page: the rest of that page is stale memory",
    "text-rndalg#1922": "the same",
}


def images(folder: Path) -> list[str]:
    return list(index(folder)) if folder.is_dir() else []


@functools.cache
def damaged(path: Path) -> dict[str, dict]:
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8") as f:
        return {case["id"]: case for case in map(json.loads, f)}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", images(LOCAL))
def test_image(name, backend):
    assert differences(LOCAL, index(LOCAL)[name], backend=backend) == ""


@pytest.mark.parametrize("at", (1, 512, 2049, 4095))
@pytest.mark.parametrize("name", ("tiny-b512", "xattr-m4k", "dup-zstd-fragded"))
def test_image_from_memory_at_any_offset(name, at):
    assert differences(LOCAL, index(LOCAL)[name], backend="memback", at=at) == ""


@pytest.mark.parametrize("id_", damaged(LOCAL / "corrupt.jsonl"))
def test_damaged_image(id_):
    assert damaged_differences(LOCAL, damaged(LOCAL / "corrupt.jsonl")[id_]) == []


@pytest.mark.parametrize("page_size", (16384, 65536))
@pytest.mark.parametrize("name", ("tiny-plain", "tiny-lzma-allfrag", "xattr-prefix"))
def test_larger_pages_see_the_same(name, page_size):
    """Linux's manifests are of 4 KiB pages; a larger page changes nothing that a manifest shows."""
    assert differences(LOCAL, index(LOCAL)[name], page_size=page_size) == ""


def test_a_block_larger_than_the_page_is_good_on_larger_pages():
    case = index(LOCAL)["tiny-b16384"]
    assert case["mount_error"] == "EINVAL"
    small = observe(LOCAL / "tiny-b16384.erofs")
    assert small.mount_error == "EINVAL" and "blkszbits 14 isn't supported" in small.kmsg[-1]
    large = observe(LOCAL / "tiny-b16384.erofs", page_size=16384)
    same = observe(LOCAL / "tiny-plain.erofs")
    assert large.mount_error is None
    assert {e["path"]: e["sha256"] for e in large.entries} == {e["path"]: e["sha256"] for e in same.entries}


@pytest.mark.parametrize("name", images(LOCAL))
def test_the_log_says_what_linux_says(name):
    case = index(LOCAL)[name]
    got = observe(LOCAL / f"{name}.erofs", devices=[LOCAL / d for d in case["devices"]], options=case["mount_options"])
    said = [line.replace("loop0", "ram0") for line in case["kmsg"]]
    assert [line for line in said if line not in got.kmsg] == []


@needs_corpus
@pytest.mark.parametrize("name", images(WHOLE))
def test_corpus_image(name):
    assert differences(WHOLE, index(WHOLE)[name]) == ""


@needs_corpus
@pytest.mark.slow
@pytest.mark.parametrize("backend", ("memback", "fileio", "dax"))
def test_corpus_through_other_backends(backend):
    wrong = {name: text for name, case in index(WHOLE).items() if not (backend == "memback" and case["devices"])
             for text in [differences(WHOLE, case, backend=backend)] if text}
    assert wrong == {}


@needs_corpus
@pytest.mark.slow
def test_damaged_corpus():
    cases = damaged(SHARED / "corrupt.jsonl")
    wrong = {id_: lines for id_, case in cases.items() for lines in [damaged_differences(WHOLE, case)] if lines}
    assert len(wrong) <= len(cases) * 0.05, f"{len(wrong)} of {len(cases)} disagree"
    assert {id_: lines for id_, lines in wrong.items() if id_ not in STALE} == {}
