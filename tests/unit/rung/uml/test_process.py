# SPDX-License-Identifier: GPL-2.0-only
"""The watchdog of a running kernel, and what it has in common with this process; in place of the kernel there is a script."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kemu.rung.uml.errors import BootError, BootTimeout
from kemu.rung.uml.process import Process

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A process that runs these lines of bash; its descriptors are $IN, $OUT and $SHARE."""
    running = []

    def run(script: str, share: int = 0) -> Process:
        path = tmp_path / "kernel"
        path.write_text("#!/bin/bash\nfor word; do case $word in\n"
                        "kemu=*) FDS=${word#kemu=}; IN=${FDS%,*}; OUT=${FDS#*,};;\n"
                        "kemu_share=*) FDS=${word#kemu_share=}; SHARE=${FDS%,*};;\nesac; done\n" + script)
        path.chmod(0o755)
        running.append(Process(path, None, share=share))
        return running[-1]

    yield run
    for process in running:
        process.close()


@pytest.mark.parametrize("script", ["while :; do echo and on and on >&2; done", "yes and on and on >&2", "sleep 60"])
def test_who_says_nothing_on_the_channel_hangs_whatever_is_logged(start: Start, script: str) -> None:
    process = start(script)
    begin = time.monotonic()
    with pytest.raises(BootTimeout, match="said nothing for 0.5 s"):
        process.receive(1, 0.5)
    assert 0.5 <= time.monotonic() - begin < 5
    assert process.popen.poll() is not None


def test_a_full_log_does_not_keep_an_answer_back(start: Start) -> None:
    process = start("head -c 3000000 /dev/zero >&2; echo answer >&$OUT; sleep 60")
    assert process.receive(7, 20) == b"answer\n"


def test_what_has_come_is_kept_for_the_next(start: Start) -> None:
    process = start("printf abcdefghij >&$OUT; sleep 0.2; printf klm >&$OUT; exit 3")
    assert process.receive(3, 5) == b"abc" and process.receive(8, 5) == b"defghijk"
    assert process.receive_some(1) == b"lm"
    with pytest.raises(BootError, match="exit code 3"):
        process.receive(1, 5)


def test_the_shared_memory_is_not_to_be_taken_away(start: Start) -> None:
    process = start("truncate -s 0 /proc/self/fd/$SHARE || printf no >&$OUT; sleep 60", share=8192)
    assert process.shared is not None
    process.shared[8000] = 7
    assert process.receive(2, 5) == b"no"
    assert (process.shared[8000], len(process.shared)) == (7, 8192)


def test_no_kernel_at_all(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="No such file"):
        Process(tmp_path / "nothing", None)
