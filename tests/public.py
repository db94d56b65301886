# SPDX-License-Identifier: GPL-2.0-only
"""tests/data/public: what Linux makes of each input, for both rungs."""
from __future__ import annotations

from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "public"
REFUSED = "Input was encoded with settings that are not supported by this XZ decoder"
TREE = ["/", "/bin", "/bin/sh", "/dev", "/dev/console", "/init", "/lnk"]

# archive, options of the configuration, message of unpack_to_rootfs(), paths
ARCHIVES: list[tuple[str, dict[str, bool], str | None, list[str]]] = [
    ("arm64-filter.cpio.xz", {}, None, TREE),
    ("arm64-filter.cpio.xz", {"CONFIG_XZ_DEC_ARM64": False}, REFUSED, ["/"]),
    ("x86-filter.cpio.xz", {}, None, TREE),
    ("x86-filter.cpio.xz", {"CONFIG_XZ_DEC_X86": False}, REFUSED, ["/"]),
    ("delta.cpio.xz", {}, REFUSED, ["/"]),
    ("x86-start16.cpio.xz", {}, REFUSED, ["/"]),
    ("randomised.cpio.bz2", {}, "decompressor failed", ["/"]),
    ("bootconfig.cpio", {}, None, TREE),
]


def mtimes() -> dict[str, list[int]]:
    """Of mtimes.cpio: a file tN has mtime N."""
    seconds = (0, 1, 1500000000, 1700000000, 1764000000, 1780000000, 1796000000, 1796500000, 1800000000, 2147483647, 2147483648,
               4294967295)
    return {"/big": [0, 0], **{f"/t{n}": [n, 0] for n in seconds}}


def paths(tree: list[dict[str, Any]]) -> list[str]:
    return sorted(e["path"] for e in tree)
