# SPDX-License-Identifier: GPL-2.0-only
"""The differential campaign: short, in earnest, and with a port that is wrong on purpose."""
from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kemu.explore import token
from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import SeedSource
from kemu.rung.asked import asked
from kemu.rung.uml.build import Kernel
from tests.campaigns import finds_nothing, kemu, wrong_port_is_found

import erofs_memback.harness.differential as experiments

pytestmark = pytest.mark.linux
NAMES = sorted(n for n, e in registry.items() if e.fn.__module__ == experiments.__name__ and "linux" in e.rungs)


@pytest.fixture(scope="module", autouse=True)
def one_kernel(kernel: Kernel) -> Iterator[None]:
    yield
    asked("linux").close()


def test_there_are_experiments_for_both_back_ends() -> None:
    assert {n.split(".")[0] for n in NAMES} == {"bdev", "memback"}
    assert ({n.split(".", 1)[1] for n in NAMES} == {"ground-truth.linux", "damaged.linux", "cut-short.linux", "streams.linux",
                                                    "mkfs-damaged.linux"})


def test_a_short_campaign_finds_nothing() -> None:
    finds_nothing(NAMES, 300, "linux")


def test_a_wrong_port_is_found_shrunk_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    f = wrong_port_is_found(monkeypatch, "linux")
    assert f.report[1].startswith("Linux: ") and len(f.report) < 40
    assert sum("nid" in line for line in f.input) <= 3, f.input        # what is left is a tree of a name or two


def test_the_command(kernel: Kernel) -> None:
    done = kemu("fuzz", "bdev.damaged", "--rung", "linux", "--examples", "40", "--ktap")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok 1 bdev.damaged.linux" in done.stdout and done.stdout.startswith("KTAP version 1") and "SKIP" not in done.stdout
    done = kemu("fuzz", "memback.streams", "--rung", "linux", "--examples", "40", "--workers", "2", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["findings"] == [], done.stdout + done.stderr


def test_a_replay_of_a_seed_says_that_nothing_is_wrong(kernel: Kernel) -> None:
    out = execute(registry["memback.damaged.linux"], SeedSource(3), rung="linux", detect=False)
    assert out.finding is None
    done = kemu("replay", token.of_seed("memback.damaged.linux", 3))
    assert done.returncode == 0 and "nothing is wrong" in done.stdout


def test_an_experiment_without_that_rung(kernel: Kernel) -> None:
    done = kemu("fuzz", "bdev.two-mounts", "--rung", "linux", "--examples", "1")
    assert done.returncode == 3 and "none of these experiments runs on the linux rung" in done.stderr
