# SPDX-License-Identifier: GPL-2.0-only
"""``kemu boot --memory`` and ``--mounts`` of every design, and what each says of bad input."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main
from kemu.machine.shadow import RELEASED_INIT
from tests.unit.initramfs.archive import archive, record
from tests.unit.initramfs.test_verify import dm_verity, flip, word

from initramfs.harness import boot_memory as view
from initramfs.harness import compare
from initramfs.harness.boots import boot_initrd
from initramfs.harness.trials import INIT, cpio_archive, erofs_image

ROW = (archive(record("big", data=bytes(30_000))) + erofs_image("a",
                                                                blocks=40) + bytes(13_000)
       + archive(record("tail", data=bytes(20_000)))
       + erofs_image("q", False, blocks=10))
IMAGE = erofs_image("a", blocks=40)
INPUTS = {"upstream": cpio_archive("a") + bytes(9000), "initerofs-rfc": IMAGE, "layered": ROW,
          "initoverlayfs": compare.small_archive()}


def observed(design: str, data: bytes, **kw: Any) -> tuple[dict[str, Any], str]:
    """What --memory has, and F and r as the pages themselves say."""
    seen: list[Any] = []
    recorder = view.Recorder()

    def after(result: Any) -> None:
        m, r = result.machine, result.initrd
        first, last = m.mem.pfn_of(r.addr), m.mem.pfn_of(r.addr + r.size - 1)
        seen.extend((view.memory(result), "".join("F" if m.mem.get_state(p) == RELEASED_INIT else "r"
                                                  for p in range(first, last + 1))))
    try:
        boot_initrd(data, design=design, tree=False, rodata="plain", second_image=IMAGE, prepare=recorder.install, after=after,
                    **kw)
    finally:
        recorder.remove()
    return seen[0], seen[1]


@pytest.mark.parametrize("page_size", [4096, 16384])
@pytest.mark.parametrize("cmdline", ["", "retain_initrd"])
@pytest.mark.parametrize("at", [0, 1, 4095])
@pytest.mark.parametrize("design", sorted(INPUTS))
def test_the_map_is_what_the_pages_are(design: str, at: int, cmdline: str, page_size: int) -> None:
    d, pages = observed(design, INPUTS[design], at=at, cmdline=cmdline, page_size=page_size)
    i = d["initrd"]
    assert i["disagree"] == [] and len(i["map"]) == i["pages"] == len(pages)
    assert [c == "F" for c in i["map"]] == [c == "F" for c in pages]
    assert i["freed_pages"] == pages.count("F") == sum(e["pages"] for e in i["events"] if e["what"] == "freed")
    assert i["freed_pages"] + i["kept_pages"] == i["pages"]
    if cmdline and design != "initerofs-rfc":           # the posted code has a parameter of its own
        assert i["freed_pages"] == 0 and i["events"][-1]["what"] == "exported"


def test_who_owns_what_in_each_design() -> None:
    of = {design: observed(design, data)[0]["initrd"] for design, data in INPUTS.items()}
    assert set(of["upstream"]["map"]) <= {"F", "r"} and of["upstream"]["map"].startswith("FF")
    assert of["initerofs-rfc"]["map"] == "D" * (len(IMAGE) // 4096)
    assert ([e["what"] for e in of["layered"]["events"]] == ["loaded", "reserved", "searched", "unpacked", "lent", "unpacked",
                                                             "lent", "freed", "freed"])
    # every page that an image touches is lent, and no other is kept
    want = ["F"] * of["layered"]["pages"]
    for e in of["layered"]["events"]:
        if e["what"] == "lent":
            lo, hi = e["start"] - of["layered"]["start"] >> 12, e["end"] - of["layered"]["start"] + 4095 >> 12
            want[lo:hi] = [e["mark"]] * (hi - lo)
    assert of["layered"]["map"] == "".join(want) and {"1", "2", "F"} == set(want)


def test_an_attempt_that_fails_gives_back_what_it_lent() -> None:
    b = erofs_image("b")
    d, pages = observed("layered", erofs_image("a") + b[:1028] + bytes([b[1028] ^ 1]) + b[1029:])       # a wrong checksum
    i = d["initrd"]
    assert i["disagree"] == [] and set(i["map"]) == {"F"}
    assert ([e["what"] for e in i["events"]] == ["loaded", "reserved", "searched", "lent", "lent", "returned", "returned",
                                                 "unpacked", "freed"])


def test_a_hash_tree_stays_with_its_image() -> None:
    stored = dm_verity(IMAGE, b"")[1]
    d, pages = observed("layered", IMAGE + stored, cmdline="initrd_segments=" + word("verity", IMAGE))
    i = d["initrd"]
    assert i["disagree"] == [] and i["map"] == "1" * (len(IMAGE) // 4096) + "T" * (len(stored) // 4096) and "F" not in pages
    assert f"{len(stored) // 4096} page with hash trees: as long as their images" in view.memory_lines(d)
    bad = flip(IMAGE, 1030) + stored
    i = observed("layered", bad, cmdline="initrd_segments=" + word("verity", IMAGE))[0]["initrd"]
    assert i["disagree"] == [] and set(i["map"]) == {"F"}


def test_a_block_that_is_read_twice_is_told_once(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(flip(IMAGE, 3 * 4096 + 1) + dm_verity(IMAGE, b"")[1])
    args = [str(tmp_path / "i"), "--design", "layered", "--cmdline", "initrd_segments=" + word("verity", IMAGE)]
    code, _, err = run(capsys, *args)
    assert (code, err) == (1, "kemu: boot: initrd: data block 3 at offset 12288 of its segment is corrupted\n")


def run(capsys: Any, *args: str) -> tuple[int, str, str]:
    try:
        code = main(["boot", *args])
    except SystemExit as e:
        code = int(str(e.code))
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    made = {**INPUTS, "image": IMAGE, "cut": IMAGE[:9000], "empty": b"", "noise": INIT * 999}
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "fifo")
    return {n: str(tmp_path / n) for n in (*made, "fifo")}


@pytest.mark.parametrize("design", sorted(INPUTS))
def test_the_views_as_text_and_json(capsys: Any, files: dict[str, str], design: str) -> None:
    args = [files[design], "--design", design, *(["--image", files["image"]] if design == "initoverlayfs" else [])]
    lines = run(capsys, *args, "--memory", "--at", "100")[1].splitlines()
    assert "at offset 100 of a page" in lines[0] and lines[1].endswith("by boot loader")
    assert next(x for x in lines if x.startswith("owners over time, 1 page a character (. loaded, "))
    assert not [x for x in lines if "wrong" in x]
    d = json.loads(run(capsys, *args, "--memory", "--json")[1])["initrd"]
    assert d["history"][-1]["map"] == d["map"] and d["history"][0]["map"] == "." * d["pages"]
    mounts = json.loads(run(capsys, *args, "--mounts", "--json")[1])
    text = run(capsys, *args, "--mounts")[1].splitlines()
    assert [x.split(" - ")[1].split()[0] for x in text] == [m["type"] for m in mounts]
    assert [(m["type"], m["mountpoint"], m["options"][0]) for m in mounts] == {
        "upstream": [("nullfs", "/", "rw"), ("rootfs", "/", "rw")],
        "layered": [("nullfs", "/", "rw"), ("overlay", "/", "rw")],
        "initerofs-rfc": [("nullfs", "/", "rw"), ("rootfs", "/", "rw"), ("erofs", "/root", "ro"),
                          ("tmpfs", "/overlay_upper", "rw"), ("overlay", "/", "rw")],
        "initoverlayfs": [("nullfs", "/", "rw"), ("rootfs", "/", "rw"), ("devtmpfs", "/dev", "rw"),
                          ("erofs", "/initoverlayfs/lower", "ro"),
                          ("tmpfs", "/initoverlayfs/rw", "rw"), ("overlay", "/", "rw")]}[design]


NO_ROOT = "Kernel panic - not syncing: VFS: Unable to mount root fs"
KILLED = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100"


@pytest.mark.parametrize("design", sorted(INPUTS))
@pytest.mark.parametrize(("name", "code", "said"), [
    ("/nowhere", 1, "ENOENT"), ("/", 1, "EISDIR"), ("fifo", 1, "EINVAL (Invalid argument): an initrd is a regular file"),
    ("empty", 255, NO_ROOT),
    ("noise", 255, NO_ROOT), ("cut", 255, "Kernel panic - not syncing: "),
])
def test_bad_initrds(capsys: Any, files: dict[str, str], design: str, name: str, code: int, said: str) -> None:
    image = ["--image", files["image"]] if design == "initoverlayfs" else []
    for show in ("--memory", "--mounts", "--dmesg", "--manifest"):
        got, _, err = run(capsys, files.get(name, name), "--design", design, show, *image)
        lines = [x for x in err.splitlines() if "constant data was written to" not in x]        # of the posted code
        assert got == code and len(lines) == 1 and lines[0].startswith("kemu: boot: ") and said in lines[0]


@pytest.mark.parametrize(("name", "code", "said"), [
    ("/nowhere", 1, "ENOENT"), ("/", 1, "EISDIR"), ("fifo", 1, "EINVAL"),
    ("empty", 255, f"storage-init: mount erofs: -5; {KILLED}"),
    ("noise", 255, f"storage-init: mount erofs: -22; {KILLED}"), ("cut", 255, KILLED),
])
def test_bad_second_images(capsys: Any, files: dict[str, str], name: str, code: int, said: str) -> None:
    got, _, err = run(capsys, files["initoverlayfs"], "--design", "initoverlayfs", "--image", files.get(name, name))
    assert got == code and err.count("\n") == 1 and err.startswith("kemu: boot: ") and said in err


@pytest.mark.parametrize(("args", "said"), [
    (["--design", "initoverlayfs"], "--image FILE"), (["--design", "initoverlayfs", "--image"], "expected one argument"),
    (["--design", "layered", "--image", "x"], "takes none"), (["--design", "best"], "invalid choice"),
    (["--design", "layered", "--rung", "linux"], "upstream's"),
    (["--memory", "--mounts"], "not allowed with"), (["--rung", "linux", "--cmdline", "initrd_segments=1:sha256:0"],
                                                     "did not verify"),
])
def test_options_that_do_not_go_together(capsys: Any, files: dict[str, str], args: list[str], said: str) -> None:
    got, out, err = run(capsys, files["upstream"], *args)
    assert got == 2 and not out and err.count("\n") == 1 and err.startswith("kemu: boot: ") and said in err
