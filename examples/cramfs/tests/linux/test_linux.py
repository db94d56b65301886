# SPDX-License-Identifier: GPL-2.0-only
"""The port beside Linux itself. Needs a kernel tree and a compiler; run with ``pytest -m linux tests/linux``."""

from __future__ import annotations

import pytest

from tests.linux.boot import differences, fnv, forged, linux_reads
from tests.trees import DATA

from cramfs.harness.writer import EXT_POINTERS, SORTED, VERSION_2, Node, Plan, build

pytestmark = pytest.mark.linux


def test_linux_and_the_port_read_the_same() -> None:
    images = {"small": (DATA / "small.cramfs").read_bytes(), **forged(400)}
    linux = linux_reads(images)
    assert differences(images, linux) == []
    assert sum(len(tree) for _, tree in linux.values()) > 1000 and any(err for err, _ in linux.values())


def test_what_the_experiments_find_is_so_in_linux() -> None:
    def image(size: int, cut: int = 0) -> bytes:
        root = Node("dir", 0o755, entries={b"f": Node("file", data=b"x" * size, forms=["direct stored"] * 4)})
        data = build(root, Plan(flags=VERSION_2 | SORTED | EXT_POINTERS)).data
        return data[: len(data) - cut]

    # 8192 bytes: the second block reads as zeros; 8191: it does not; with its last page behind the end of the device: zeros, and
    # no error
    linux = linux_reads({"whole": image(8192), "partial": image(8191), "cut": image(8191, 8192)})
    assert {name: (err, tree["/f"][-2:]) for name, (err, tree) in linux.items()} == {
        "whole": (0, (fnv(b"x" * 4096 + bytes(4096)), "0")),
        "partial": (0, (fnv(b"x" * 8191), "0")),
        "cut": (0, (fnv(b"x" * (4096 - 100) + bytes(8191 - 4096 + 100)), "0")),
    }
