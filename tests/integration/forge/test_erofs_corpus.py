# SPDX-License-Identifier: GPL-2.0-only
"""The reader of these tests against images made by mkfs.erofs, and so against Linux: what it says about forged images counts."""
from __future__ import annotations

import json

import pytest

from tests.conftest import SHARED
from tests.unit.forge.erofs_reader import Reader, Unsupported

INDEX = SHARED / "corpus" / "erofs" / "index.jsonl"
if not INDEX.exists():
    pytest.skip("no corpus of real images beside this checkout", allow_module_level=True)

IMAGES = [case for case in map(json.loads, INDEX.read_text().splitlines())
          if case["manifest"] and not case["mount_options"] and "offset" not in case["mkfs"]]
BIG = 1 << 20


@pytest.mark.parametrize("case", IMAGES, ids=lambda c: c["name"])
def test_reader_agrees_with_linux(case):
    path = INDEX.parent / (case["name"] + ".erofs")
    if path.stat().st_size > BIG:
        pytest.skip("a large image; smaller ones have the same layouts")
    try:
        got = Reader(path.read_bytes()).manifest()
    except Unsupported as e:
        pytest.skip(f"the reader of these tests does not know {e}")
    want = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
    for w, g in zip(want, got, strict=True):
        if w.pop("capped", False):
            g["sha256"] = None
    assert got == want
