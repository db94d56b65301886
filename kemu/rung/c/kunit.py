# SPDX-License-Identifier: GPL-2.0-only
"""KUnit in this process: lib/kunit runs the suites that are linked, as it does at boot, and its KTAP is read."""
from __future__ import annotations

import time
from pathlib import Path

from kemu.report import ktap
from kemu.rung.c.build import Library
from kemu.rung.c.kernel import Instance, Kernel, Trap
from kemu.rung.uml import wire
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.kunit import KunitRun
from kemu.rung.uml.process import find_splat

# what a flavour of the Linux rung is here
FLAVOURS = {"fast": "kunit", "kasan": "kunit-asan"}


def run_kunit(library: Library, tree: Path, glob: str = "", timeout: float = 120.0) -> KunitRun:
    """The suites of a library of flavour kunit or kunit-asan (those that match ``glob``), read with ``tree``'s parser.

    ``timeout``: seconds of processor time. What ends the kernel is ``end`` (panic, hang), or, as a report of KASAN or a BUG,
    ``splat``; its trace stands behind the KTAP.
    """
    started = time.monotonic()
    end, message, splat = "done", None, None
    with Kernel(library=library, timeout=timeout) as kernel:
        k = kernel.instance
        k.lib.kemu_limit(int(timeout * 1000))
        try:
            _run(k, f"kunit.filter_glob={glob}" if glob else "")
            console = k.log()
        except Trap as trap:
            console = trap.log + "\n".join(["", trap.title, *map(str, trap.frames)])
            if trap.title.startswith("hang"):
                end, message = "hang", f"the kernel did not finish its tests within {timeout:g} s"
            elif trap.title.startswith("Kernel panic"):
                end, message = "panic", trap.title
            else:
                splat = trap.title
        finally:
            k.lib.kemu_limit(0)
    text = "\n".join(line[4:] if line[:1] == "<" and line[2:4] == "> " else line for line in console.splitlines())
    try:
        outcome = ktap.parse(text.splitlines(), tree)
    except ktap.NoParser as e:
        raise ConfigError(str(e)) from None
    return KunitRun(outcome, text, end, time.monotonic() - started, message, splat or find_splat(text))


def _run(k: Instance, parameters: str) -> None:
    k.check(k.lib.kemu_initrd(wire.DISKS))             # suites wait for the boot's initramfs: it is there, and empty
    k.check(k.lib.kemu_populate(k.initcall("populate_rootfs"), b"", 0))
    k.lib.kemu_log_clear()
    if parameters and k.check(k.lib.kemu_parameters(parameters.encode())):
        raise ConfigError(f"{parameters}: lib/kunit does not take it")
    k.check(k.lib.kemu_kunit())
