# SPDX-License-Identifier: GPL-2.0-only
"""initoverlayfs, and what a review of the designs finds."""
from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from kemu.cli import main
from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import ListSource
from kemu.plugins import installed_modules

from initramfs.harness import compare
from initramfs.harness.boot_views import mounts
from initramfs.harness.boots import boot_initrd
from initramfs.harness.experiments import erofs_image

for _, _module in installed_modules("kemu.experiments"):        # all are registered, whatever was imported before
    importlib.import_module(_module)


def test_the_storage_init_goes_to_the_large_tree() -> None:
    seen: list[tuple[str, str]] = []
    result = boot_initrd(compare.small_archive(), design="initoverlayfs", second_image=erofs_image("a"),
                         after=lambda r: seen.extend((m["mountpoint"], m["type"]) for m in mounts()))
    assert {e["path"] for e in result.tree} >= {"/a", "/etc/of-a", "/init"}
    assert ("/", "overlay") in seen and ("/initoverlayfs/lower", "erofs") in seen
    assert result.log[-1] == "storage-init: /init of vda"


def test_a_large_image_that_is_none_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small, bad = tmp_path / "small", tmp_path / "bad"
    small.write_bytes(compare.small_archive())
    bad.write_bytes(bytes(8192))
    assert main(["boot", str(small), "--design", "initoverlayfs", "--image", str(bad), "--dmesg"]) == 255
    out = capsys.readouterr()
    assert "storage-init: mount erofs: -22" in out.out.splitlines()
    assert (out.err
            == "kemu: boot: storage-init: mount erofs: -22; Kernel panic - not syncing: Attempted to kill init! "
               "exitcode=0x00000100\n")
    assert main(["boot", str(small), "--design", "initoverlayfs"]) == 2
    assert main(["boot", str(small), "--design", "layered", "--image", str(bad)]) == 2


@pytest.mark.parametrize("name", sorted(n for n, e in registry.items() if e.series == "layered"))
def test_layered_holds_in_the_simplest_case(name: str) -> None:
    out = execute(registry[name], ListSource([]))
    assert out.finding is None, out.finding


def test_findings_of_the_posted_design() -> None:
    for name, detector in (("boots", "KASAN"), ("writes-no-constants", "difference"), ("says-nothing-new", "difference"),
                           ("keeps-the-built-in", "difference"), ("disk-reads-right", "difference")):
        out = execute(registry[f"initerofs-rfc.{name}"], ListSource([]))
        assert out.finding is not None and out.finding.detector == detector, name
