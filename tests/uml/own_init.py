# SPDX-License-Identifier: GPL-2.0-only
"""Boots that run a test's own program as init, which no boot of the bench does; what it writes to the channel (240:0) comes back.
"""
from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from kemu.rung.uml.agentbin import RUN_INIT, initrd_with_agent
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.process import Process


def compiled(source: Path, out: Path, *words: str | Path) -> bytes:
    """A static executable of a C file."""
    done = subprocess.run(["gcc", "-static", "-O2", "-s", "-Wno-unused-result", *map(str, words), "-o", str(out), str(source)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no static executable: {done.stderr[:200]}")
    return out.read_bytes()


def run(kernel: Kernel, initrd: bytes, words: Sequence[str], memory: str = "256M", timeout: float = 60.0,
        flags: int = RUN_INIT) -> tuple[bytes, str]:
    """(what came through the channel, the kernel's log) when the kernel has ended."""
    process = Process(kernel.path, initrd_with_agent(initrd, None, flags), words, memory, None)
    received = bytearray()
    end = time.monotonic() + timeout
    try:
        while process.popen.poll() is None and not process.panicked and time.monotonic() < end:
            received += process.receive_some(0.05)
        process.wait(2)
        received += process.receive_some(0)
        return bytes(received), process.console()
    finally:
        process.close()
