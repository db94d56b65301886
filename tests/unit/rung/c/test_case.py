# SPDX-License-Identifier: GPL-2.0-only
"""What a case of the C rung is asked with, before there is a kernel."""
from __future__ import annotations

from pathlib import Path

import pytest

from kemu.rung.c.case import Source, load, loaded, source
from kemu.rung.c.trap import lines_of
from kemu.rung.uml.errors import ConfigError, RungError


def test_the_names_of_disks_and_files() -> None:
    assert source(1, "", "disk") == Source(0, b"/dev/kemu0", b"")
    assert source(1, "", "file") == Source(1, b"/files/0", b"")
    assert source(3, "acl", "disk").options == b"acl,device=/dev/kemu1,device=/dev/kemu2"
    assert source(2, "", "file").options == b"device=/files/1"


def test_a_slot_in_the_options_is_its_name() -> None:
    assert source(2, "domain=@1,x=@0", "disk").options == b"domain=/dev/kemu1,x=/dev/kemu0,device=/dev/kemu1"


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ConfigError, match="backend loop: the C rung has disk and file"):
        source(1, "", "loop")
    with pytest.raises(RungError, match="8 extra devices: at most 7"):
        source(9, "", "disk")
    for at in (-1, 4096):
        with pytest.raises(RungError, match="within a page"):
            loaded(b"", (), at)


def test_images_are_bytes_or_files(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"of a file")
    assert load(str(tmp_path / "image")) == load(tmp_path / "image") == b"of a file"
    assert loaded(memoryview(b"one"), [bytearray(b"two"), tmp_path / "image"], 17) == [b"one", b"two", b"of a file"]
    with pytest.raises(RungError):
        load(tmp_path / "none")


def test_lines_have_no_levels() -> None:
    assert lines_of("<6> erofs: mounted\n<3> <4> said\n no level\n<66> nor here\n") == [
        "erofs: mounted", "<4> said", " no level", "<66> nor here"]
    assert lines_of("") == []
