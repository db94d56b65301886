# SPDX-License-Identifier: GPL-2.0-only
"""The kernel configuration of a machine: what it is by default, and which options a run has asked for.

The defaults are those of the Linux rung's recipe (kemu/rung/uml/configs) wherever both know an option; a test compares them.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What a distribution's kernel has; a test or a user switches single options off. What is not named is off.
DEFAULT_CONFIG: dict[str, Any] = {
    "CONFIG_EROFS_FS": True, "CONFIG_EROFS_FS_ZIP": True, "CONFIG_EROFS_FS_XATTR": True, "CONFIG_EROFS_FS_POSIX_ACL": True,
    "CONFIG_EROFS_FS_SECURITY": True, "CONFIG_EROFS_FS_BACKED_BY_FILE": True, "CONFIG_EROFS_FS_ZIP_LZMA": True,
    "CONFIG_EROFS_FS_ZIP_DEFLATE": True, "CONFIG_EROFS_FS_ZIP_ZSTD": True, "CONFIG_EROFS_FS_PAGE_CACHE_SHARE": True,
    "CONFIG_BLK_DEV_INITRD": True, "CONFIG_TMPFS": True, "CONFIG_TMPFS_XATTR": True, "CONFIG_TMPFS_POSIX_ACL": True,
    "CONFIG_FS_POSIX_ACL": True,
    "CONFIG_DEVTMPFS": True, "CONFIG_OVERLAY_FS": True, "CONFIG_INITRAMFS_PRESERVE_MTIME": True,
    "CONFIG_DECOMPRESS_GZIP": True, "CONFIG_DECOMPRESS_BZIP2": True, "CONFIG_DECOMPRESS_LZMA": True, "CONFIG_DECOMPRESS_XZ": True,
    "CONFIG_DECOMPRESS_LZO": True, "CONFIG_DECOMPRESS_LZ4": True, "CONFIG_DECOMPRESS_ZSTD": True,
    "CONFIG_XZ_DEC_X86": True, "CONFIG_XZ_DEC_POWERPC": True, "CONFIG_XZ_DEC_ARM": True, "CONFIG_XZ_DEC_ARMTHUMB": True,
    "CONFIG_XZ_DEC_ARM64": True, "CONFIG_XZ_DEC_SPARC": True, "CONFIG_XZ_DEC_RISCV": True, "CONFIG_XZ_DEC_MICROLZMA": True,
    # UML has no huge pages: what a folio may be there is said by the harness that compares with it
    "CONFIG_TRANSPARENT_HUGEPAGE": True, "CONFIG_BLK_DEV_WRITE_MOUNTED": True,
}


class Config(dict[str, Any]):
    """``.config``: option -> value. ``asked`` has what was looked up, with the value that it had."""

    def __init__(self, changes: dict[str, Any] | None = None):
        super().__init__(DEFAULT_CONFIG)
        if changes:
            self.update(changes)
        flipped, self.asked = _surveys[-1] if _surveys else ({}, {})
        self.update(flipped)

    def get(self, option: str, default: Any = None) -> Any:
        """The option's value; that it was asked for is remembered."""
        value = self.asked[option] = self[option] if option in self else default
        return value

    def chosen(self) -> dict[str, Any]:
        """What is not as it is by default."""
        return {option: value for option, value in self.items() if DEFAULT_CONFIG.get(option, False) != value}


_surveys: list[tuple[dict[str, Any], dict[str, Any]]] = []


@contextmanager
def survey(flipped: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every machine that is made inside has these values, whatever it is told; gives what all of them are asked for, option ->
    value.
    """
    asked: dict[str, Any] = {}
    _surveys.append((flipped, asked))
    try:
        yield asked
    finally:
        _surveys.pop()


def flipped() -> tuple[tuple[str, Any], ...]:
    """What every machine that is made now has, whatever it is told; belongs to the key of what remembers what a machine did."""
    return tuple(sorted(_surveys[-1][0].items())) if _surveys else ()


def text(option: str, value: Any) -> str:
    """``CONFIG_X=y``, as a ``.config`` has it; an option that is off is ``CONFIG_X=n``, as --config takes it."""
    if value is True:
        return f"{option}=y"
    if value is False or value is None:
        return f"{option}=n"
    return f'{option}="{value}"' if isinstance(value, str) else f"{option}={value}"
