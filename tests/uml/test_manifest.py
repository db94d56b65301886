# SPDX-License-Identifier: GPL-2.0-only
"""The manifest format."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kemu.report import manifest
from kemu.report.manifest import ManifestError, diff, dump, entry, load, loads


def _file(path: str, **fields: object) -> manifest.Entry:
    return entry(path, **({"type": "file", "mode": 0o644, "uid": 0, "gid": 0, "size": 1, "nlink": 1, "mtime": [1, 2],
                           "xattrs": {},
                           "sha256": "00"} | fields))


def test_bytes_that_are_not_utf8_survive() -> None:
    name = os.fsdecode(b"/a\xff\n\xc3\xa4")
    text = dump([_file(name)])
    assert "\\udcff" in text and text.count("\n") == 1 and text.isascii()
    assert loads(text)[0]["path"] == name


def test_entries_sort_by_bytes_not_by_code_points() -> None:
    names = [os.fsdecode(b) for b in (b"/\xff", b"/\xc3\xa4", b"/b", b"/", b"/B", b"/b/c", b"/b-")]
    got = [os.fsencode(e["path"]) for e in loads(dump(_file(n) for n in names))]
    assert got == [b"/", b"/B", b"/b", b"/b-", b"/b/c", b"/\xc3\xa4", b"/\xff"]


def test_keys_are_the_contracts_and_in_order() -> None:
    text = dump([entry("/x", error="EUCLEAN")])
    assert text == ('{"path": "/x", "type": null, "mode": null, "uid": null, "gid": null, "size": null, "nlink": null, "mtime": '
                    'null, '
                    '"rdev": null, "target": null, "xattrs": null, "sha256": null, "error": "EUCLEAN"}\n')


def test_difference_names_path_field_and_both_values() -> None:
    a = [_file("/a"), _file("/b", xattrs={"user.x": "6869"}), _file("/c")]
    b = [_file("/a", mode=0o755), _file("/b", xattrs={"user.x": "68"}), _file("/d")]
    text = diff(a, b, "py", "linux")
    assert "/a: mode: py 0644, linux 0755" in text
    assert "/b: xattr user.x: py 6869, linux 68" in text
    assert "/c: only in py (file)" in text and "/d: only in linux (file)" in text
    assert diff(a, a) == ""


def test_difference_fits_on_a_screen_and_counts_the_rest() -> None:
    a = [_file(f"/{i:03}") for i in range(200)]
    text = diff(a, [], lines=10)
    assert len(text.splitlines()) == 12 and text.endswith("... and 190 more differences")


def test_a_name_that_occurs_twice_is_compared_by_position() -> None:
    a = [_file("/x", size=1), _file("/x", size=2)]
    assert diff(a, a) == ""
    assert "only in a" in diff(a, a[:1])


def test_contents_that_were_not_read_whole_are_not_compared() -> None:
    assert diff([_file("/x", sha256=None, capped=True)], [_file("/x")]) == ""


def test_ignored_fields() -> None:
    assert diff([_file("/x")], [_file("/x", mtime=None)], ignore=["mtime"]) == ""
    assert not manifest.equal([_file("/x")], [_file("/x", mtime=None)])


@pytest.mark.parametrize(("text", "why"), [("{", "not JSON"), ("[]", "no \"path\""), ('{"path": 3}', "no \"path\"")])
def test_what_is_no_manifest_is_named_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(dump([_file("/a")]) + text + "\n")
    with pytest.raises(ManifestError, match=r"m\.jsonl:2: .*" + why):
        load(path)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ManifestError, match="unknown field 'sice'"):
        entry("/x", sice=1)
