# SPDX-License-Identifier: GPL-2.0-only
"""``kemu compare``: its figures against figures had by other ways, its formats, what it refuses."""
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.designs import roots_of, usr_tree
from kemu.cli import main
from kemu.forge import compressors, cpio, tree
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.writer import build
from kemu.machine.series import ShortForms
from tests.unit.initramfs.harness.recount import WRITERS, Recount

from initramfs.harness import compare, compare_views
from initramfs.harness.short import forms
from initramfs.harness.trials import INIT

TOP = Path(__file__).resolve().parents[4]
PAGE = 4096
SIZES = (1, 100, 4095, 4096, 4097, 70_000, 130_001)


def text(n: int, salt: int) -> bytes:
    return (b"%d lorem ipsum dolor sit amet, consetetur sadipscing elitr; " % salt * (n // 40 + 1))[:n]


def files() -> dict[str, bytes]:
    return {"/init": INIT, **{f"/usr/f{n}": text(n, n) for n in SIZES}}


def make_tree() -> tree.Dir:
    usr = {f"f{n}".encode(): tree.File(data=text(n, n)) for n in SIZES}
    return tree.Dir(entries={b"init": tree.File(data=INIT, mode=0o755),
                             b"usr": tree.Dir(entries={**usr, b"link": tree.Symlink(target=b"f100")})})


def lz4_plan(root: tree.Dir) -> ImagePlan:
    plan = ImagePlan()
    for _, node in tree.walk(root):
        if isinstance(node, tree.File) and len(node.data) > PAGE:
            plan.inodes[id(node)] = InodePlan(data="compact", z=ZPlan(cuts=(16384,), big=1, max_blocks=4))
    return plan


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same tree as an archive, plain and compressed, and as images."""
    at = tmp_path_factory.mktemp("roots")
    root = make_tree()
    archive = cpio.encode([cpio.Segment(members=[*cpio.members_of(root), cpio.trailer()])])
    all_ = {"cpio": archive, "gz": compressors.compress("gzip", archive),
            "plain.erofs": bytes(build(make_tree(), ImagePlan()).data),
            "lz4.erofs": bytes(build(root, lz4_plan(root)).data)}
    if "zstd" in compressors.available():
        all_["zst"] = compressors.compress("zstd", archive)
    for name, data in all_.items():
        (at / name).write_bytes(data)
    return {name: str(at / name) for name in all_}


CASES = [("upstream", "cpio"), ("upstream", "gz"), ("upstream", "zst"),
         *((d, i) for d in ("initerofs-rfc", "layered", "initoverlayfs") for i in ("plain.erofs", "lz4.erofs"))]


# ------------------------------------------------------------------------- counted again

@pytest.fixture
def recount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recount]:
    r = Recount()
    r.install(monkeypatch)
    yield r


def counted_again(recount: Recount, patch: pytest.MonkeyPatch, design: str, initrd: str,
                  short: Sequence[ShortForms] = ()) -> dict[str, Any]:
    """kemu compare's result, with the counts from outside under "again"."""
    snapshots: list[dict[str, int]] = []
    find, read_file = compare.userspace.regular_files, compare.userspace.read_file

    def first_boot_over(top: str = "") -> Any:
        yield from find(top)
        if not top:
            recount.__init__()                      # type: ignore[misc]

    def read(path: str) -> int:
        n = read_file(path)
        snapshots.append(recount.as_dict())
        return n
    with patch.context() as p:
        p.setattr(compare.userspace, "regular_files", first_boot_over)
        p.setattr(compare.userspace, "read_file", read)
        r = compare.measure(design, initrd, short)
    assert r["ended"] == "init" and len(snapshots) == r["files"]
    r["again"] = {point: snapshots[-(-r["files"] // part) - 1] for point, part in (("10%", 10), ("50%", 2), ("all", 1))}
    return r


@pytest.mark.parametrize("short", [[], forms()], ids=["long", "short"])
@pytest.mark.parametrize(("design", "initrd"), CASES)
def test_the_counters_say_what_the_calls_moved(made: dict[str, str], recount: Recount, monkeypatch: pytest.MonkeyPatch,
                                               design: str, initrd: str,
                                               short: list[ShortForms]) -> None:
    if initrd not in made:
        pytest.skip("no zstd here")
    r = counted_again(recount, monkeypatch, design, made[initrd], short)
    for point, counts in r["again"].items():
        assert {k: r["points"][point][k] for k in counts} == counts, point


@pytest.mark.parametrize("most", [120, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_tree_of_usr_counted_again(recount: Recount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, most: int) -> None:
    """As cpio, cpio.zst, EROFS with LZ4 and with zstd; a compressed archive is decompressed as far as it is long."""
    top = tmp_path / "root"
    top.mkdir()
    files, size = usr_tree(top, most)
    roots = roots_of(top, tmp_path)
    if not roots:
        pytest.skip("neither cpio nor mkfs.erofs here")
    for path in roots:
        for design in compare.designs_for(path):
            r = counted_again(recount, monkeypatch, design, path)
            assert (r["files"], r["bytes_read"]) == (files, size)
            for point, counts in r["again"].items():
                assert {k: r["points"][point][k] for k in counts} == counts, (path, design, point)
            if path.endswith(".zst"):
                assert r["points"]["init"]["bytes_decompressed"] == Path(path[:-4]).stat().st_size


def test_nothing_else_writes_to_emulated_memory() -> None:
    """A new place that moves bytes must count them, and be counted in recount.py."""
    store = re.compile(r"^\s*(?:mem\.|self\.|this\.mem\.)?buf\[.*\] = ")
    found = {}
    for package in ("kemu/machine", "kemu/linux", "erofs_memback", "initramfs"):
        for path in (TOP / package).rglob("*.py"):
            n = sum(bool(store.match(line)) for line in path.read_text().splitlines())
            if n:
                found[str(path.relative_to(TOP))] = n
    assert found == WRITERS


# ------------------------------------------------------------------------- what the input says

def pages(n: int) -> int:
    return -(-n // PAGE)


def test_an_archive_costs_its_files_and_its_length(made: dict[str, str]) -> None:
    """Every file's bytes are copied once, into as many pages as it has; a compressed archive is decompressed once, whole.

    Of a link, its name (N_ALIGN: 10 bytes) and its target are collected into a buffer.
    """
    plain = compare.measure("upstream", made["cpio"])
    contents = sum(map(len, files().values()))
    end = plain["points"]["all"]
    assert plain["bytes_read"] == end["bytes_to_reader"] == contents
    assert plain["points"]["init"]["bytes_copied"] == contents + 10 + len("f100") and end["bytes_decompressed"] == 0
    assert plain["points"]["init"]["folios_cached"] == sum(map(pages, map(len, files().values()))) + pages(len("f100"))
    packed = compare.measure("upstream", made["gz"])
    assert (packed["points"]["init"]["bytes_decompressed"] == packed["points"]["all"]["bytes_decompressed"]
            == Path(made["cpio"]).stat().st_size)
    for r in (plain, packed):
        assert r["memory"]["page_cache_in_ram"] == PAGE * plain["points"]["init"]["folios_cached"]
        assert r["memory"]["page_cache"] == r["memory"]["cached_beside_the_initrd"] == 0
        s = r["switch_root"]
        assert (s["page_cache_in_ram"], s["page_cache"], s["deleted"], s["error"]) == (0, 0, True, 0)


def directory_sizes() -> int:
    """A dirent has 12 bytes and its name."""
    names = [[".", "..", "init", "usr"], [".", "..", "link", *(f"f{n}" for n in SIZES)]]
    return sum(12 + len(name) for d in names for name in d)


def test_an_image_in_memory_costs_the_pages_that_are_read(made: dict[str, str]) -> None:
    """Plain data: each page of a file is copied once, from the image; what is in the page cache then is in the image too.

    All inodes of this image lie in its first page. Starting /init copies its ELF header's 120 bytes and the program headers' 56.
    """
    sizes = [len(d) for d in files().values()]
    cached = sum(map(pages, sizes)) + 2 + 1         # files, directories, inodes
    results = {d: compare.measure(d, made["plain.erofs"]) for d in compare.designs_for(made["plain.erofs"])}
    image = Path(made["plain.erofs"]).stat().st_size
    for design, r in results.items():
        end, memory = r["points"]["all"], r["memory"]
        assert r["bytes_read"] == end["bytes_to_reader"] == sum(sizes) and end["bytes_decompressed"] == 0
        assert memory["page_cache"] == cached * PAGE and r["switch_root"]["error"] == 0
        if design == "initoverlayfs":               # its small archive has /init too
            assert memory["cached_beside_the_initrd"] == 0 and end["bytes_copied"] == cached * PAGE + 176 + 176 + len(INIT)
            continue
        assert memory["initrd"] == pages(image) * PAGE
        assert memory["cached_beside_the_initrd"] == sum(sizes) + directory_sizes() + PAGE
        assert end["bytes_copied"] == cached * PAGE + 176
        assert r["points"]["init"]["bytes_copied"] == 2 * PAGE      # the first page, the root directory
    assert results["layered"]["points"]["all"]["bios"] == 0 < results["initerofs-rfc"]["points"]["all"]["bios"]


def test_compressed_files_are_decompressed_as_far_as_they_are_read(made: dict[str, str]) -> None:
    packed = sum(n for n in SIZES if n > PAGE)
    for design in ("initerofs-rfc", "layered"):
        r = compare.measure(design, made["lz4.erofs"])
        assert r["points"]["init"]["bytes_decompressed"] == 0
        assert packed <= r["points"]["all"]["bytes_decompressed"] <= packed * 2


def test_what_stays_after_switch_root(made: dict[str, str]) -> None:
    """Posted: the image and its mounts stay for ever. Ours: nothing of them."""
    posted, ours = (compare.measure(d, made["lz4.erofs"]) for d in ("initerofs-rfc", "layered"))
    image = pages(Path(made["lz4.erofs"]).stat().st_size) * PAGE
    assert posted["switch_root"]["initrd"] == image and posted["switch_root"]["page_cache"] == posted["memory"]["page_cache"] > 0
    assert [m for m in posted["switch_root"]["mounts"] if m.startswith("erofs")]
    assert {k: ours["switch_root"][k] for k in ("initrd", "page_cache", "page_cache_in_ram", "cached_beside_the_initrd",
                                                "error")} == dict.fromkeys(
        ("initrd", "page_cache", "page_cache_in_ram", "cached_beside_the_initrd", "error"), 0)
    assert ours["switch_root"]["mounts"] == ["nullfs /", "tmpfs /"]


# ------------------------------------------------------------------------- formats

COUNTS = dict.fromkeys(compare.COUNTED, int)
MEMORY = dict.fromkeys(("initrd", "page_cache", "page_cache_in_ram", "other", "cached_beside_the_initrd"), int)
SCHEMA = {"design": str, "initrd": str, "kind": str, "page_size": int, "ended": str, "files": int, "bytes_read": int,
          "points": dict.fromkeys(compare.POINTS, COUNTS), "memory": MEMORY,
          "switch_root": {**MEMORY, "deleted": bool, "way": str, "error": int, "mounts": [str]}, "hooks": {str: int},
          "initcalls_moved": int}


def check(schema: Any, value: Any, at: str = "") -> None:
    if isinstance(schema, list):
        assert isinstance(value, list), at
        for i, v in enumerate(value):
            check(schema[0], v, f"{at}[{i}]")
    elif isinstance(schema, dict) and str in schema:
        for k, v in value.items():
            check(schema[str], v, f"{at}.{k}")
    elif isinstance(schema, dict):
        assert value.keys() == schema.keys(), at
        for k in schema:
            check(schema[k], value[k], f"{at}.{k}")
    else:
        assert type(value) is schema, at


def test_json_is_as_documented_and_the_same_every_time(made: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    args = ["compare", made["cpio"], made["lz4.erofs"]]
    assert main([*args, "--json"]) == 0
    first = capsys.readouterr().out
    results = json.loads(first)
    check([SCHEMA], results)
    assert [r["design"] for r in results] == ["upstream", "initerofs-rfc", "layered", "initoverlayfs"]
    assert main([*args, "--format", "json"]) == 0
    assert capsys.readouterr().out == first
    assert [r["initcalls_moved"] for r in results] == [0, 2, 0, 0]


def test_the_text_has_every_figure(made: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    r = compare.measure("layered", made["lz4.erofs"])
    assert main(["compare", made["lz4.erofs"], "--design", "layered"]) == 0
    out = capsys.readouterr().out
    rows = {line[2:34].strip(): [int(x) for x in line[34:].split()] for line in out.splitlines()
            if re.search(r"^  [a-z].{31} +\d+ ", line) and "read" not in line}
    assert rows["bytes copied"] == [r["points"][p]["bytes_copied"] for p in compare.POINTS]
    assert rows["bytes of pages allocated"] == [PAGE * r["points"][p]["pages_allocated"] for p in compare.POINTS]
    assert rows["initrd"] == [r["memory"]["initrd"], r["switch_root"]["initrd"]]
    assert "initcalls moved: 0; security hooks run: initramfs_populated 1" in out


def test_the_table_fits_a_mail(made: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *[made[k] for k in ("cpio", "gz", "lz4.erofs")], "--format", "table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= compare_views.WIDTH == 75
    assert lines[0].startswith("8 files, 208 KiB; ")
    copied = next(i for i, line in enumerate(lines) if line.startswith("copied"))
    assert ([line.split(",")[0].strip() for line in lines[copied + 1:copied + 6]] == ["cpio", "gz", "lz4.erofs", "lz4.erofs",
                                                                                      "lz4.erofs"])
    assert all(len(line.split(", ")[1].split()) == 5 for line in lines[copied + 1:copied + 6])


def test_which_designs_boot_what(made: dict[str, str], tmp_path: Path) -> None:
    archive, image = (Path(made[k]).read_bytes() for k in ("cpio", "lz4.erofs"))
    for data, designs in ((archive + image, ("layered",)), (bytes(8) + archive, ("upstream",)),
                          (image, ("initerofs-rfc", "layered", "initoverlayfs")),
                          (b"x" + bytes(1023) + image[1024:], ("initerofs-rfc", "layered", "initoverlayfs")),
                          (archive + image[:5000], ("upstream",)), (b"", ("upstream",))):
        (tmp_path / "x").write_bytes(data)
        assert compare.designs_for(str(tmp_path / "x")) == designs
    (tmp_path / "row").write_bytes(archive + image)
    r, = compare.measure_all([str(tmp_path / "row")])
    assert r["ended"] == "init" and r["kind"] == "row" and r["bytes_read"] == sum(map(len, files().values()))


@pytest.mark.parametrize(("make", "args", "code", "error"), [
    (None, [], 1, "ENOENT"), ("dir", [], 1, "EISDIR"), (b"", [], 1, "EINVAL (Invalid argument): an empty initrd"),
    (b"x" * 5000, [], 1, "Kernel panic"), (b"x" * 5000, ["--design", "all"], 2, "one of upstream"),
    (b"x" * 5000, ["--format", "xml"], 2, "xml"),
    ("cut", [], 1, "initerofs-rfc: "),
])
def test_bad_input_is_one_line(made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any,
                               args: list[str], code: int, error: str) -> None:
    p = tmp_path / "x"
    if make == "dir":
        p.mkdir()
    elif make == "cut":
        p.write_bytes(Path(made["plain.erofs"]).read_bytes()[:9000])
    elif make is not None:
        p.write_bytes(make)
    try:
        got = main(["compare", str(p), *args])
    except SystemExit as e:
        got = int(str(e.code))
    err = capsys.readouterr().err
    assert got == code and err.count("\n") == 1 and err.startswith("kemu: compare: ") and error in err
