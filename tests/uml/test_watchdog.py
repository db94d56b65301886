# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that panic, hang, report or vanish: one failed case each, in time, with its console; then the next boot goes on."""
from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kemu.rung.uml import BootError, Oracle, boot_initrd
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.process import Process, find_splat

pytestmark = pytest.mark.linux


def _serves(o: Oracle) -> bool:
    return o.erofs(bytes(4096)).mount_error == "EINVAL"


@pytest.mark.parametrize(("bug", "crash", "words"), [
    ("panic", "panic", "kernel panic: kemu: ordered panic"),
    ("oops", "panic", "kernel panic: Kernel mode fault at addr 0x8"),
    ("warn", "splat", "WARNING: "),
])
def test_a_crash_is_one_failed_case_with_its_console(kernel: Kernel, bug: str, crash: str, words: str) -> None:
    with Oracle(kernel=kernel, timeout=10) as o:
        assert _serves(o)
        started = time.monotonic()
        r = o.bug(bug)
        assert time.monotonic() - started < 5
        assert r.crash == crash and (r.message or "").startswith(words)
        assert "Call Trace:" in r.console and "kemu_" in r.console
        assert _serves(o) and o.boots == 2


@pytest.mark.parametrize("bug", ["hang", "sleep"])
def test_a_hang_ends_when_the_watchdog_says(kernel: Kernel, bug: str) -> None:
    with Oracle(kernel=kernel, timeout=1) as o:
        started = time.monotonic()
        r = o.bug(bug)
        assert 1 <= time.monotonic() - started < 3
        assert (r.crash, r.message) == ("hang", "the kernel said nothing for 1 s")
        assert _serves(o) and o.boots == 2


def test_a_kernel_that_vanishes(kernel: Kernel) -> None:
    with Oracle(kernel=kernel, timeout=10) as o:
        assert _serves(o)
        assert o._process is not None
        os.kill(o._process.popen.pid, signal.SIGKILL)
        r = o.erofs(bytes(4096))
        assert (r.crash, r.message) == ("exit", "the kernel ended (signal SIGKILL)")
        assert _serves(o) and o.boots == 2


def test_no_process_is_left_behind(kernel: Kernel) -> None:
    with Oracle(kernel=kernel, timeout=1) as o:
        assert _serves(o)
        assert o._process is not None
        groups = [o._process.popen.pid]
        o.bug("hang")
        assert _serves(o)
        groups.append(o._process.popen.pid)
    time.sleep(0.1)
    assert [pid for pid, group in _running() if group in groups] == []


def _running() -> list[tuple[int, int]]:
    """(pid, process group) of what runs; the dead that nobody has waited for do not."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if state != "Z":
            found.append((int(stat.parent.name), int(group)))
    return found


def test_kasan(flavour: Callable[[str], Kernel]) -> None:
    with Oracle(kernel=flavour("kasan"), timeout=10) as o:
        r = o.bug("oob")
        assert r.crash == "splat" and (r.message or "").startswith("BUG: KASAN: slab-out-of-bounds in kemu_oob_read")
        assert "Read of size 1" in r.console and "Memory state around the buggy address" in r.console
        assert _serves(o) and o.boots == 2


def test_kmemleak(flavour: Callable[[str], Kernel]) -> None:
    with Oracle(kernel=flavour("kasan"), timeout=10) as o:
        o.bug("leak")
        for _ in range(200):                  # the allocator's caches still hold the addresses
            o.erofs(bytes(4096))
            o.cpio(b"nonsense")
        found = o.leaks()
        assert len([text for text in found if "(size 128)" in text]) >= 12
        again = {text.splitlines()[0] for text in o.leaks(settle=0)} & {text.splitlines()[0] for text in found}
        assert not again, "what was reported is not reported again"


def test_the_nth_failure(flavour: Callable[[str], Kernel]) -> None:
    image = (Path(__file__).parents[1] / "data" / "demo.erofs").read_bytes()
    with Oracle(kernel=flavour("debug"), timeout=10) as o:
        good = o.erofs(image)
        assert good.entries and not good.crash
        errors = set()
        for n in range(1, 2000):
            r = o.erofs(image, fail_nth=n)
            assert not r.crash, (n, r.message, r.console)
            if not r.fired:
                break
            errors.add(r.mount_error)
        assert not r.fired and n > 20
        assert "ENOMEM" in errors and None in errors
        assert r.entries == good.entries, "a failure that is beyond the last call changes nothing"


def test_a_boot_that_never_finishes(kernel: Kernel) -> None:
    started = time.monotonic()
    boot = boot_initrd(b"", "root=/dev/nonesuch rootwait", kernel=kernel, timeout=1)
    assert 1 <= time.monotonic() - started < 3
    assert (boot.end, boot.exit_code) == ("hang", 124)
    assert boot.entries is not None and "Waiting for root device" in boot.console


def test_a_console_that_ends_half_way(kernel: Kernel) -> None:
    """A kernel that is killed has neither panicked nor come to an end: that is no pass."""
    p = Process(kernel.path, None, ["rdinit=/none"])
    try:
        killer = threading.Timer(0.002, lambda: os.kill(p.popen.pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(BootError, match=r"the kernel ended \(signal SIGKILL\)") as info:
            p.receive(1, 10)
        assert info.value.exit_code == 255
        killer.join()
    finally:
        p.close()


def test_too_little_memory_is_a_boot_that_fails(kernel: Kernel) -> None:
    boot = boot_initrd(b"", kernel=kernel, memory="2M", timeout=20)
    assert boot.end in ("panic", "exit") and boot.exit_code == 255 and boot.entries is None


def test_what_is_a_splat() -> None:
    assert find_splat("x\n<4>WARNING: fs/iomap/iter.c:39 at f\n") == "WARNING: fs/iomap/iter.c:39 at f"
    assert find_splat("[    1.2] BUG: KASAN: use-after-free in f\n") == "BUG: KASAN: use-after-free in f"
    assert find_splat("Warning: unable to open an initial console.\nVFS: Lookup of 'BUG: x' in erofs\n") is None
