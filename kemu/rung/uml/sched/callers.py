# SPDX-License-Identifier: GPL-2.0-only
"""Who else is there while a kernel boots: helpers, requests for firmware, drivers that look for themselves. What is right for
each of them whoever runs when, and what has to become of the initrd's pages. module/kemu_callers.c is the other side.
"""
from __future__ import annotations

import errno
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

LEVELS = "12345sr67"                    # initcalls: s behind those of fs, r right behind populate_rootfs()
LATE = "r67"                            # there is something to wait for
KINDS = {"h": "a helper", "f": "request_firmware()", "l": "wait_for_initramfs(), and a look", "x": "a helper, to its exec",
         "n": "a helper that nobody waits for", "F": "request_firmware_nowait()",
         "g": "request_firmware() of a file that others ask for later"}
CONTEXTS = {"i": "PID 1", "t": "a thread", "w": "a work", "a": "an async call"}
HELPER, FIRST, LAST, CARD, EARLY = "kemu/helper", "kemu/first", "kemu/last", "lib/firmware/kemu.bin", "lib/firmware/early.bin"
RAN = 64                                # the helper's exit code if it misses nothing

_CALLER = re.compile(r"^kemu: caller (\d+): (-?\d+), ([0-9a-f]{8})$", re.M)
_INITRD = re.compile(r"^kemu: initrd: (\d+) bytes, (\d+) pages, (\d+) of them kept; in sysfs: (-?\d+), ([0-9a-f]{8})$", re.M)
_FREED = re.compile(r"^Freeing initrd memory: (\d+)K$", re.M)


@dataclass(frozen=True)
class Caller:
    """From which level of initcalls on, what, and in which context."""

    level: str
    kind: str
    context: str

    def __post_init__(self) -> None:
        if self.level not in LEVELS or self.kind not in KINDS or self.context not in CONTEXTS:
            raise ValueError(f"no caller {self.word!r}")
        if self.kind in "fFg" and self.level in "12345":
            raise ValueError(f"{self.word!r}: there is no firmware loader before the initcalls of file systems")

    @property
    def word(self) -> str:
        """As the command line has it."""
        return self.level + self.kind + self.context

    @property
    def late(self) -> bool:
        """Whether it waits for the whole archive."""
        return self.level in LATE

    def __str__(self) -> str:
        return f"{CONTEXTS[self.context]} at level {self.level}: {KINDS[self.kind]}"


@dataclass(frozen=True)
class Got:
    """What a caller got: a number or -errno, and the crc32 of the bytes."""

    value: int
    digest: int = 0

    def __str__(self) -> str:
        name = errno.errorcode.get(-self.value, str(self.value))
        return f"{name} and {self.digest:08x}" if self.digest else name


@dataclass(frozen=True)
class Ledger:
    """Of the initrd: its bytes and whole pages, how many are kept, what sysfs has of it, and each time that pages were freed."""

    size: int
    pages: int
    kept: int
    shown: Got
    freed: tuple[int, ...] = ()

    def __str__(self) -> str:
        freed = ", ".join(f"{n}K" for n in self.freed) or "nothing"
        return f"{self.pages} pages, {self.kept} kept, freed: {freed}; in sysfs: {self.shown}"


def cmdline_of(callers: Sequence[Caller]) -> str:
    """The word of the command line."""
    return "kemu_callers=" + ",".join(c.word for c in callers) if callers else ""


def is_early(line: str, callers: Sequence[Caller]) -> bool:
    """Whether a line of the log may be there, or not, because one of the callers has nothing to wait for."""
    early = {c.kind for c in callers if not c.late}
    files = [EARLY] * bool(early) + [CARD] * ("g" in early)
    return (bool(early) and line == "wait_for_initramfs() called before rootfs_initcalls") or any(
        f.rpartition("/")[2] in line for f in files)


def got_of(console: str) -> list[Got]:
    """What the callers got, by a boot's log."""
    return [Got(int(value), int(digest, 16)) for _, value, digest in _CALLER.findall(console)]


def ledger_of(console: str) -> Ledger | None:
    """What became of the initrd, by a boot's log; None if the log does not say."""
    m = _INITRD.search(console)
    if m is None:
        return None
    return Ledger(int(m[1]), int(m[2]), int(m[3]), Got(int(m[4]), int(m[5], 16)), tuple(map(int, _FREED.findall(console))))


def wrong_pages(ledger: Ledger, initrd: bytes, retain: bool) -> str:
    """What is wrong with the pages of an initrd behind a boot; empty if nothing: they are freed once, or kept and shown. (A boot
    configuration at its end is not part of it.)
    """
    if retain:
        right = Ledger(ledger.size, ledger.pages, ledger.pages, Got(ledger.size, zlib.crc32(initrd[:ledger.size])))
    else:
        right = Ledger(ledger.size, ledger.pages, 0, Got(-errno.ENOENT), (4 * ledger.pages,) if ledger.pages else ())
    return "" if ledger == right else f"the initrd: {ledger}; and not {right}"


@dataclass(frozen=True)
class Seen:
    """What is in the archive that callers look for."""

    firmware: bytes
    last: bytes

    def right(self, caller: Caller) -> Got:
        """What a caller gets that has waited."""
        if caller.kind in "fFg":
            return Got(len(self.firmware), zlib.crc32(self.firmware))
        if caller.kind == "l":
            return Got(0, zlib.crc32(self.last))
        return Got(RAN if caller.kind == "h" else 0)

    def wrong(self, caller: Caller, got: Got) -> str:
        """Why a caller may not have got this; empty if it may.

        Who asks before rootfs initcalls does not wait: no helper is started then, and firmware is there or is not, or is open for
        writing, or has no byte yet. A look sees whatever there is.
        """
        right = self.right(caller)
        if got == right or (not caller.late and caller.kind == "l"):
            return ""
        if caller.late:
            may = []
        elif caller.kind in "hxn":
            may = [-errno.EBUSY]
        else:
            may = [-errno.ENOENT, -errno.ETXTBSY, -errno.EINVAL]
        if got.value in may and not got.digest:
            return ""
        return f"{caller} gets {got} instead of {right}" + "".join(f" or {errno.errorcode[-n]}" for n in may)
