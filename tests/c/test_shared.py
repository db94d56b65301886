# SPDX-License-Identifier: GPL-2.0-only
"""Forged images whose files share their page cache: without the option they are what they are, with it one copy is read."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from kemu.forge.erofs.choose import ErofsOptions
from kemu.forge.erofs.shared import FINGERPRINT, MOUNT_OPTIONS, choose_shared
from kemu.forge.pick import Pick, SeedValues
from kemu.rung.c.build import Library
from kemu.rung.c.kernel import Kernel

OPTIONS = ErofsOptions(max_nodes=8, max_blocks=3, max_bytes=1 << 15)


@pytest.mark.parametrize("backend", ["disk", "file"])
def test_files_of_one_fingerprint_and_size_have_one_content(backend: str, library: Callable[[str], Library]) -> None:
    shared = differ = 0
    with Kernel(library=library("asan")) as kernel:
        for seed in range(60):
            image = choose_shared(Pick(SeedValues(seed)), OPTIONS)
            plain, one = (kernel.erofs(image, backend=backend, options=words) for words in ("", MOUNT_OPTIONS))
            assert plain.crash is None and one.crash is None, one.console
            assert [e["path"] for e in plain.entries] == [e["path"] for e in one.entries]
            seen: dict[tuple[str, int], set[str | None]] = {}
            for a, b in zip(plain.entries, one.entries):
                fingerprint = (b["xattrs"] or {}).get(FINGERPRINT.decode())
                if b["type"] == "file" and fingerprint and b["size"] and b["error"] is None:
                    seen.setdefault((fingerprint, b["size"]), set()).add(b["sha256"])
                    shared += 1
                    differ += a["sha256"] != b["sha256"]
            differ += sum("i_size mismatch" in line for line in one.kmsg)
        assert kernel.boots == 1
    assert shared > 40 and differ > 3
