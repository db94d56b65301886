# SPDX-License-Identifier: GPL-2.0-only
"""The list of what the C rung's kernel is made of is read out of the runtime itself."""
from __future__ import annotations

import re

from kemu.rung.c import api
from kemu.rung.c.build import RUNTIME


def test_what_does_nothing_is_a_stub_and_the_rest_is_custom() -> None:
    found = {s.name: s.honesty for s in api.runtime()}
    assert found["schedule"] == found["kfree"] == found["vmap"] == found["queue_work_on"] == "custom"
    assert found["set_worker_desc"] == found["fault_in_readable"] == found["disk_block_events"] == "stub"
    assert "linux" not in found.values()


def test_nothing_of_the_bench_itself_is_listed() -> None:
    assert not [s.name for s in api.runtime() if s.name.startswith(("kemu_", "host_", "shadow_"))]


def test_a_place_is_where_the_function_stands() -> None:
    for s in api.runtime():
        file, _, line = s.place.rpartition(":")
        text = (RUNTIME / file.rpartition("/")[2]).read_text().splitlines()
        assert re.search(rf"\b{s.name}\(", "\n".join(text[int(line) - 1:int(line) + 2])), s


def test_no_function_is_listed_twice() -> None:
    names = [s.name for s in api.runtime()]
    assert len(names) == len(set(names))
