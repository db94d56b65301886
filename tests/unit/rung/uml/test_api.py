# SPDX-License-Identifier: GPL-2.0-only
"""What is not Linux's in a booted kernel is listed: every file, every insertion, every setting."""
from __future__ import annotations

import pytest

from kemu.rung.uml.api import changes
from kemu.rung.uml.patches import MODULE, SCHED_FILES, SCHED_INSERTIONS, internal_patch


def test_every_file_and_insertion_is_listed() -> None:
    listed = changes("sched")
    names = {c.name for c in listed if c.kind == "file"}
    assert {f"init/{p.name}" for p in MODULE.glob("*.[ch]")} <= names
    assert sum(c.kind == "lines" for c in listed) == len(internal_patch().insertions)
    assert {"CONFIG_PREEMPT=y", "CONFIG_KEMU_SCHED=y"} <= {c.name for c in listed if c.kind == "config"}


def test_what_only_chosen_schedules_need_is_not_in_the_other_kernels() -> None:
    linux, sched = ({(c.kind, c.name, c.how) for c in changes(rung)} for rung in ("linux", "sched"))
    more = {c for c in sched - linux if c[0] != "config"}
    assert {name for kind, name, _ in more if kind == "file"} == {f"init/{name}" for name in SCHED_FILES}
    assert sum(kind == "lines" for kind, _, _ in more) == len(SCHED_INSERTIONS)


@pytest.mark.parametrize("name", SCHED_FILES)
def test_those_files_are_there_and_say_what_they_are(name: str) -> None:
    assert (MODULE / name).is_file()
    assert next(c.how for c in changes("sched") if c.name == f"init/{name}")
