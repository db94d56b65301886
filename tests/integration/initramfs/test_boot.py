# SPDX-License-Identifier: GPL-2.0-only
"""The boot sequence: who runs when, what becomes of the initrd, how it ends."""
from __future__ import annotations

import re
from typing import Any

import pytest

from kemu.linux.binfmts import Programs
from kemu.linux.init_syscalls import Descriptors, LooksForInit
from kemu.machine import initcalls
from kemu.machine.boot import Boot
from kemu.machine.machine import Machine
from kemu.machine.shadow import RELEASED_INIT
from tests.unit.initramfs.archive import ELF, archive, record

from initramfs.harness.boots import boot_initrd

INIT = archive(record("init", 0o100755, ELF))


class Faults:
    """Lets the calls that ``wanted`` accepts fail; every other choice is the first."""

    def __init__(self, wanted: Any):
        self.wanted = wanted

    def task(self, runnable: list[Any], current: Any, where: str) -> int:
        return 0

    def fault(self, kind: str, what: str) -> bool:
        return bool(self.wanted(kind, what))

    def value(self, name: str, low: int, high: int) -> int:
        return low


def test_init_runs() -> None:
    r = boot_initrd(INIT)
    assert r.ok and r.error is None
    assert r.log[-1] == "Run /init as init process"


@pytest.mark.parametrize(("builtin", "count"), [("default", 3), ("none", 0)])
def test_the_console_is_open_for_init(builtin: str, count: int) -> None:
    fds: list[Any] = []
    r = boot_initrd(INIT, builtin=builtin, after=lambda r: fds.extend(r.machine.part(Descriptors).of.get(1, [])))
    assert r.ok and len(fds) == count and len(set(fds)) <= 1
    assert ("Warning: unable to open an initial console." in r.log) == (not fds)
    assert all(f.f_ref == 3 for f in fds)               # the opener's own reference is gone


@pytest.mark.parametrize(("cmdline", "last"), [
    ("rdinit=/other", 'VFS: Unable to mount root fs on unknown-block(0,0)'),
    ("root=/dev/nope", 'VFS: Unable to mount root fs on unknown-block(0,0)'),
])
def test_without_an_init_the_root_is_looked_for(cmdline: str, last: str) -> None:
    r = boot_initrd(archive(record("x")), cmdline=cmdline)
    assert r.ended == "panic"
    assert r.log[-1] == f"Kernel panic - not syncing: {last}"
    if cmdline.startswith("rdinit"):
        assert "check access for rdinit=/other failed: -2, ignoring" in r.log


@pytest.mark.parametrize(("init", "error"), [(b"#!/bin/sh\n", -2), (b"text", -8), (b"", -8)])
def test_an_init_that_cannot_run(init: bytes, error: int) -> None:
    r = boot_initrd(archive(record("init", 0o100755, init)))
    assert f"Failed to execute /init (error {error})" in r.log
    assert r.error is not None and r.error.title.startswith("Kernel panic - not syncing: No working init found.")


def test_an_init_that_is_not_executable_is_not_access_checked_by_uid_alone() -> None:
    r = boot_initrd(archive(record("init", 0o100644, ELF)))
    assert "Failed to execute /init (error -13)" in r.log


def test_a_script_needs_its_interpreter() -> None:
    r = boot_initrd(archive(record("init", 0o100755, b"#! /sh -x\n"), record("sh", 0o100755, ELF)))
    assert r.ok


def test_init_parameter() -> None:
    data = archive(record("init", 0o100755, b"bad"), record("other", 0o100755, ELF))
    assert boot_initrd(data, cmdline="init=/other").ok
    r = boot_initrd(data, cmdline="init=/none")
    assert r.error is not None and "Requested init /none failed (error -2)." in r.error.title


# ------------------------------------------------------------------------- the initrd's memory

@pytest.mark.parametrize(("at", "size"), [(0, 8192), (0, 8193), (1, 8192), (4095, 8194), (17, 100), (4000, 200)])
def test_whole_pages_are_freed_and_nothing_else(at: int, size: int) -> None:
    data = INIT.ljust(size, b"\0")[:size] if size > len(INIT) else bytes(size)
    seen: dict[str, Any] = {}

    def after(r: Any) -> None:
        mem, a, n = r.machine.mem, r.initrd.addr, r.initrd.size
        seen["codes"] = mem.shadow(a, n)
        seen["bytes"] = mem.raw(a, n)

    r = boot_initrd(data, at=at, after=after, tree=False)
    first, last = at + 4095 >> 12, at + size >> 12
    freed = max(last - first, 0)
    assert sum(f[2] for f in r.freed) == freed
    inside = range((first << 12) - at, (last << 12) - at)
    for i, code in enumerate(seen["codes"]):
        assert (code == RELEASED_INIT) == (i in inside), i
        assert i not in inside or seen["bytes"][i] == 0xCC
    assert (f"Freeing initrd memory: {freed * 4}K" in r.log) == (freed > 0)


def test_retain_initrd_exports_it() -> None:
    got: dict[str, Any] = {}

    def after(r: Any) -> None:
        from kemu.linux.sysfs import sysfs_bin_attr_simple_read, sysfs_files

        attr = sysfs_files()["/sys/firmware/initrd"]
        got["data"] = sysfs_bin_attr_simple_read(attr, 0, attr.size)

    r = boot_initrd(INIT, cmdline="retain_initrd", at=5, after=after)
    assert r.freed == [] and r.initrd is not None and r.initrd.exported
    assert got["data"] == INIT


def test_crashkernel_memory_is_cleared_and_kept() -> None:
    data = INIT.ljust(5 * 4096, b"\0")
    got: dict[str, Any] = {}

    def prepare(m: Machine) -> None:
        b = m.part(Boot)
        b.crashk_res = (b.initrd_start + 2 * 4096, b.initrd_start + 4 * 4096)

    def after(r: Any) -> None:
        got["codes"] = r.machine.mem.shadow(r.initrd.addr, r.initrd.size)[::4096]
        got["bytes"] = r.machine.mem.raw(r.initrd.addr + 2 * 4096, 2 * 4096)

    r = boot_initrd(data, config={"CONFIG_CRASH_RESERVE": True}, prepare=prepare, after=after)
    assert [c == RELEASED_INIT for c in got["codes"]] == [True, True, False, False, True]
    assert got["bytes"] == bytes(2 * 4096)
    assert [f[2] for f in r.freed] == [2, 1]


def test_an_initrd_outside_of_memory_is_disabled() -> None:
    def prepare(m: Machine) -> None:
        m.part(Boot).initrd_start, m.part(Boot).initrd_size = 1 << 50, 4096

    r = boot_initrd(INIT, prepare=prepare)
    assert any(re.match(r"INITRD: 0x[0-9a-f]+\+0x00001000 is not a memory region", x) for x in r.log)
    assert "Unpacking initramfs..." not in r.log


def test_a_bootconfig_is_cut_off() -> None:
    conf = b"kernel.x = 1\n\0"
    tail = conf + len(conf).to_bytes(4, "little") + sum(conf).to_bytes(4, "little") + b"#BOOTCONFIG\n"
    for pad in range(4):
        r = boot_initrd(INIT + tail + bytes(pad))
        assert r.ok and r.unpack_error is None, pad
    wrong = conf + len(conf).to_bytes(4, "little") + bytes(4) + b"#BOOTCONFIG\n"
    r = boot_initrd(INIT + wrong)
    assert "bootconfig checksum failed" in r.log
    assert r.unpack_error == "invalid magic at start of compressed archive"


# ------------------------------------------------------------------------- initcalls

def debug_lines(**kw: Any) -> list[str]:
    return [x for x in boot_initrd(INIT, cmdline="initcall_debug", tree=False, **kw).log if x.startswith("calling  ")]


def test_initcalls_run_in_the_order_of_the_real_build() -> None:
    names = [x.split()[1] for x in debug_lines()]
    table = [e.name for e in initcalls.load()]
    assert [n for n in names if n in table] == table
    assert names.index("populate_rootfs") < names.index("erofs_module_init")


def test_levels_are_announced() -> None:
    log = boot_initrd(INIT, cmdline="initcall_debug", tree=False).log
    assert [x.rsplit(" ", 1)[1] for x in log if x.startswith("entering initcall level")] == list(initcalls.LEVELS)
    assert "initcall populate_rootfs returned 0 after 0 usecs" in log


def test_a_blacklisted_initcall_does_not_run() -> None:
    r = boot_initrd(INIT, cmdline="initcall_blacklist=foo,populate_rootfs initcall_debug")
    assert not any("populate_rootfs" in x for x in r.log if x.startswith("calling"))
    assert "wait_for_initramfs() called before rootfs_initcalls" in r.log
    assert not r.ok


def test_another_builds_table() -> None:
    text = "\n".join(f"c0000 d __initcall__kmod_a__{i}_{i}_{n}{s}" for i, (n, s) in enumerate(
        [("first", "early"), ("second", "3"), ("populate_rootfs", "rootfs"), ("third", "6")]))
    table = initcalls.parse(text)
    names = [x.split()[1] for x in debug_lines(initcalls=table)]
    assert ([n for n in names if n in ("first", "second", "populate_rootfs", "third")] == ["first", "second", "populate_rootfs",
                                                                                           "third"])
    moved = initcalls.compare(table, [table[0], table[2], table[3]._replace(level="late")])
    assert moved == ["- arch      second", "> third: device -> late, first"]
    with pytest.raises(ValueError, match="no initcall"):
        initcalls.parse("nothing")


def test_a_log_is_a_table_too() -> None:
    log = "\n".join(x for x in boot_initrd(INIT, cmdline="initcall_debug", tree=False).log)
    again = initcalls.parse(log)
    assert [e.name for e in again if e.level == "fs"][-1] == "populate_rootfs"


# ------------------------------------------------------------------------- tasks, async, helpers

def test_who_does_what() -> None:
    seen: dict[str, Any] = {}

    def prepare(m: Machine) -> None:
        from kemu.linux.init import initcalls as ported

        real = ported["populate_rootfs"].fn

        def populate_rootfs() -> int:
            seen["initcall"] = (m.sched.current.pid, m.sched.current.flags)
            return int(real())

        m.part(LooksForInit).look = lambda: seen.update(pids={t.pid: t.comm for t in m.sched.tasks})
        m.part(initcalls.Initcalls).levels = {k: [populate_rootfs if f is real else f for f in v]
                                              for k, v in initcalls.functions(m, ported).items()}

    boot_initrd(INIT, prepare=prepare, tree=False)
    assert seen["initcall"] == (1, 0)                   # PID 1 is no kernel thread
    assert seen["pids"][0] == "swapper" and seen["pids"][2] == "kthreadd"
    assert any(c.startswith("kworker/u") for c in seen["pids"].values())


@pytest.mark.parametrize("cmdline", ["", "initramfs_async=0"])
def test_without_memory_for_an_async_entry_it_is_unpacked_at_once(cmdline: str) -> None:
    where: list[str] = []

    def prepare(m: Machine) -> None:
        real = m.log.emit

        class Log(type(m.log)):      # type: ignore[misc]
            __slots__ = ()

            def emit(self, text: str, default_level: int = 4) -> None:
                if "Unpacking initramfs" in text:
                    where.append(m.sched.current.comm)
                real(text, default_level)
        m.log.__class__ = Log

    r = boot_initrd(INIT, cmdline=cmdline, prepare=prepare)
    assert r.ok and where[0].startswith("kworker/u")
    where.clear()
    state = {"n": 0}

    def fail(kind: str, what: str) -> bool:
        import sys

        f = sys._getframe()
        while f is not None and f.f_code.co_name != "async_schedule_node_domain":
            f = f.f_back            # type: ignore[assignment]
        hit = f is not None and what == "kzalloc_obj" and not state["n"]
        state["n"] += hit
        return hit

    r = boot_initrd(INIT, cmdline=cmdline, prepare=prepare, chooser=Faults(fail))
    assert state["n"] == 1 and r.ok
    assert where == ["swapper/0"]                       # PID 1 itself


def test_a_module_request_waits_for_the_initramfs() -> None:
    """request_module() during initcalls: refused before populate_rootfs, afterwards its helper waits until the archive is there.
    """
    got: dict[str, Any] = {}

    def run(m: Machine) -> None:
        from kemu.linux.init import initcalls as ported
        from kemu.linux.kmod import request_module

        m.part(Programs).at = {"/sbin/modprobe": lambda argv, envp: got.setdefault("argv", argv)}
        levels = {k: list(v) for k, v in initcalls.functions(m, ported).items()}

        def early() -> int:
            got["before"] = request_module("fs-%s", "early")
            return 0

        def late() -> int:
            got["after"] = request_module("fs-%s", "late")
            return 0

        levels["subsys"].append(early)
        levels["device"].insert(0, late)
        m.part(initcalls.Initcalls).levels = levels

    data = archive(record("init", 0o100755, ELF), record("sbin", 0o040755, nlink=2), record("sbin/modprobe", 0o100755, ELF))
    r = boot_initrd(data, prepare=run)
    assert r.ok
    assert got["before"] == -16                         # -EBUSY: UMH_DISABLED
    assert got["after"] == 0 and got["argv"][-1] == "fs-late"


def test_waiting_for_the_initramfs_inside_its_own_worker_is_a_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    from kemu.machine.splat import Deadlock

    def prepare(m: Machine) -> None:
        from initramfs import initramfs

        def stuck() -> None:
            initramfs.wait_for_initramfs()

        monkeypatch.setattr(initramfs, "security_initramfs_populated", stuck)      # a hook that wants the tree that is being made

    r = boot_initrd(INIT, prepare=prepare)
    assert r.ended == "splat" and isinstance(r.error, Deadlock)
    assert any("async_done" in line for line in r.error.details)


def test_unknown_parameters_go_to_init() -> None:
    r = boot_initrd(INIT, cmdline="quux a.b=c FOO=bar -- last")
    line = next(x for x in r.log if x.startswith("Unknown kernel command line parameters"))
    assert line == 'Unknown kernel command line parameters "quux FOO=bar", will be passed to user space.'
