# SPDX-License-Identifier: GPL-2.0-only
"""Verification before parsing: what is refused is not looked at, and no byte can be changed unnoticed."""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main
from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import SeedSource
from kemu.forge import tree as t
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.machine.boot import Boot
from kemu.machine.machine import Machine
from kemu.machine.shadow import OK, PAGE_REDZONE, RELEASED_INIT
from tests.unit.initramfs.archive import archive, record
from tests.unit.initramfs.harness.test_compare import SIZES, lz4_plan, make_tree, text

import initramfs.initoverlayfs as initoverlayfs
from initramfs import verify
from initramfs.harness import compare, experiments_verify, userspace
from initramfs.harness.boots import boot_initrd
from initramfs.harness.trials import INIT, cpio_archive, erofs_image

B = 4096
SALT = bytes.fromhex("00ff17")


def dm_verity(data: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """(root, tree as it is stored): written from the format's description, not from the code under test."""
    def digest(block: bytes) -> bytes:
        return hashlib.sha256(salt + block + bytes(B - len(block))).digest()

    def above(blocks: list[bytes]) -> list[bytes]:
        joined = [b"".join(map(digest, blocks[i:i + 128])) for i in range(0, len(blocks), 128)]
        return [j + bytes(B - len(j)) for j in joined]
    level = [data[i:i + B] for i in range(0, len(data), B)]
    stored = b""
    while len(level) > 1:
        level = above(level)
        stored = b"".join(level) + stored
    return digest(level[0]), stored


def word(alg: str, data: bytes, salt: bytes = b"") -> str:
    """The command line's word for a segment; for "verity" with the tree's bytes counted."""
    if alg == "sha256":
        return f"{len(data)}:sha256:{hashlib.sha256(data).hexdigest()}"
    root, stored = dm_verity(data, salt)
    size = len(data) + (len(stored) if alg == "verity" else 0)
    return f"{size}:{alg}:{root.hex()}" + (f":{salt.hex()}" if salt else "")


def flip(data: bytes, at: int, mask: int = 1) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1:]


# ------------------------------------------------------------------------- nobody else looks

class Guard:
    """The initrd cannot be touched but by the code that takes digests; a block that was found right stays open if ``opens``."""

    def __init__(self, patch: pytest.MonkeyPatch, opens: bool = False):
        self.machine: Machine | None = None
        self.bytes_hashed = 0
        self.opened: set[int] = set()
        self.closes = True
        for name in ("sha256", "block_digest"):
            patch.setattr(verify, name, self.wrap(getattr(verify, name), 0 if name == "sha256" else 1))
        if opens:
            original = verify.tree_verify_block

            def verified(tree: Any, level: int, block: int) -> int:
                err: int = original(tree, level, block)
                if not err:
                    at = (tree.levels[level - 1][0] if level else tree.start) + (block << 12)
                    self.set(at, B, OK)
                    self.opened.add(at)
                return err
            patch.setattr(verify, "tree_verify_block", verified)

    def set(self, addr: int, n: int, code: int) -> None:
        assert self.machine is not None
        self.machine.mem.set_range(addr, n, code)

    def prepare(self, m: Machine) -> None:
        self.machine = m
        r = m.part(Boot).initrd
        self.set(r.addr, r.size, PAGE_REDZONE)

    def wrap(self, fn: Any, first: int) -> Any:
        def call(*args: Any) -> Any:
            addr, n = args[first:first + 2]
            self.set(addr, n, OK)
            self.bytes_hashed += n
            try:
                return fn(*args)
            finally:
                if self.closes and addr not in self.opened:
                    self.set(addr, n, PAGE_REDZONE)
        return call


DATA = {"upstream": [cpio_archive("c", False), cpio_archive("a")], "initerofs-rfc": [erofs_image("a")],
        "layered": [cpio_archive("c", False), erofs_image("a")], "initoverlayfs": [compare.small_archive()]}


@pytest.mark.parametrize("alg", ["sha256", "tree"])
@pytest.mark.parametrize("design", sorted(DATA))
@pytest.mark.parametrize("at", [0, 7])
def test_of_what_is_refused_nothing_is_read(monkeypatch: pytest.MonkeyPatch, design: str, alg: str, at: int) -> None:
    parts = DATA[design]
    good = ",".join(word(alg, p, SALT if alg == "tree" else b"") for p in parts)
    data = b"".join(parts)
    last = len(parts) - 1
    bad = [*parts[:-1], flip(parts[-1], len(parts[-1]) // 2)]
    kw: dict[str, Any] = {"at": at, "cmdline": "initrd_segments=" + good}
    # the same is booted if it is right; the posted code writes to constants
    assert boot_initrd(data, design=design, second_image=erofs_image("z"), rodata="plain", **kw).ok

    guard = Guard(monkeypatch)
    result = boot_initrd(b"".join(bad), design=design, prepare=guard.prepare, **kw)
    assert result.ended == "panic" and not result.splats, result.splats         # Unable to mount root: there is no initrd
    why = "sha256 mismatch" if alg == "sha256" else "hash tree mismatch"
    size = len(parts[-1])
    assert f"initrd: segment {last} ({size} bytes at offset {len(data) - size}): {why}: refused" in result.log
    assert guard.bytes_hashed == len(data)
    assert not [line for line in result.log if "npacking" in line or line.startswith(("erofs", "initerofs", "storage-init"))]
    assert {e["path"] for e in result.tree} <= {"/", "/dev", "/dev/console", "/root"}


def test_the_guard_sees_who_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    result = boot_initrd(cpio_archive("a"), design="upstream", prepare=Guard(monkeypatch).prepare)
    # without digests, the first who does
    assert result.ended == "splat" and "get_boot_config_from_initrd" in str(result.error)


def test_the_memory_of_what_is_refused_is_freed() -> None:
    image = erofs_image("a", blocks=20)
    for design in ("upstream", "initerofs-rfc", "layered"):
        result = boot_initrd(flip(image, 5), design=design, cmdline="initrd_segments=" + word("sha256", image))
        assert sum(n for _, _, n, what, _ in result.freed if what == "initrd") == len(image) // B, design


# ------------------------------------------------------------------------- no byte can be changed

def refused(m: Machine, data: bytes, line: str, trees: list[Any] | None = None, after: Callable[[], int] = lambda: 0) -> bool:
    region = m.place(data, 3, "linear", "initrd", True)
    verify.g.segments = [verify.parse_segment(w) for w in line.split(",")]
    if verify.verify_segments(region.addr, region.addr + region.size, trees):
        return True
    return bool(after())


@pytest.mark.parametrize("alg", ["sha256", "tree"])
def test_every_byte_counts(machine: Machine, alg: str) -> None:
    data = bytes(i * 7 + i // 251 & 0xFF for i in range(2 * B + 100))
    line = word(alg, data, SALT if alg == "tree" else b"")
    region = machine.place(data, 3, "linear", "initrd", True)
    verify.g.segments = [verify.parse_segment(line)]
    assert verify.verify_segments(region.addr, region.addr + region.size) == 0
    for at in range(len(data)):
        old = machine.mem.load(region.addr + at, 1)
        machine.mem.store(region.addr + at, bytes([old[0] ^ 1 << at % 8]))
        assert verify.verify_segments(region.addr, region.addr + region.size) == -22, at
        machine.mem.store(region.addr + at, old)


def test_every_byte_of_data_and_tree_counts(machine: Machine) -> None:
    data = bytes(i * 7 + i // 251 & 0xFF for i in range(3 * B))
    root, stored = dm_verity(data, SALT)
    region = machine.place(data + stored, 3, "linear", "initrd", True)

    def check() -> int:
        tree = verify.hash_tree(region.addr, 3, root, SALT)
        return verify.tree_verify(tree, 0, len(data))
    assert check() == 0
    for at in range(len(data + stored)):
        old = machine.mem.load(region.addr + at, 1)
        machine.mem.store(region.addr + at, bytes([old[0] ^ 1 << at % 8]))
        assert check() == -5, at
        machine.mem.store(region.addr + at, old)


@pytest.mark.parametrize("size", [1, B - 1, B, B + 1, 127 * B, 128 * B, 128 * B + 1, 129 * B, 128 * 128 * B + 5])
def test_trees_of_every_height(size: int) -> None:
    with Machine(memory=256 << 20) as machine:
        data = (bytes(range(256)) * 16 * (size // B + 1))[:size]
        region = machine.place(data, 1, "linear", "initrd", True)
        for salt in (b"", SALT):
            assert verify.tree_root(region.addr, size, salt) == dm_verity(data, salt)[0]
        blocks = -(-size // B)
        stored = len(dm_verity(data, b"")[1]) // B
        assert sum(verify.level_blocks(blocks)) == stored and verify.data_blocks_of(blocks + stored) == blocks


def test_a_tree_is_what_veritysetup_makes() -> None:
    """Salt 00ff17, 129 blocks; the tree behind the data is the same too (veritysetup 2.6.1)."""
    data = bytes(range(256)) * 16 * 129
    assert dm_verity(data, SALT)[0].hex() == "4e5abb64670a17c1796d794f715f312934083276329475d4c91c94c134d08a14"
    assert (hashlib.sha256(dm_verity(data, SALT)[1]).hexdigest()
            == "e11590cd384ee074207301a519ac907d6613023c205fc7af704605dfecd089ee")


def test_sizes_that_no_tree_has() -> None:
    fits = {n + sum(verify.level_blocks(n)) for n in range(1, 40_000)}
    for blocks in range(1, 40_000):
        n = verify.data_blocks_of(blocks)
        assert (n > 0) == (blocks in fits) and (n < 0 or n + sum(verify.level_blocks(n)) == blocks)


@pytest.mark.parametrize(("line", "why"), [
    ("", "cannot be understood"), ("12", "cannot be understood"), ("5:md5:00", "cannot be understood"),
    ("5:sha256:00", "cannot be understood"),
    (f"5:sha256:{'0' * 64}:00", "cannot be understood"), (f"5:sha256:{'G' * 64}", "cannot be understood"),
    (f"0:sha256:{'0' * 64}", "cannot be understood"),
    (f"5:tree:{'0' * 64}:0", "cannot be understood"), (f"5:tree:{'0' * 64}:", "cannot be understood"),
    (f"٥:sha256:{'0' * 64}", "cannot be understood"),
    (f"9999999:sha256:{'0' * 64}", "more than there is"), ("FIRST", "bytes behind the last segment"),
    (f"FIRST,5000:verity:{'0' * 64}", "this design cannot"),
])
def test_a_command_line_that_does_not_fit_lets_nothing_pass(line: str, why: str) -> None:
    data = cpio_archive("a")
    first = word("sha256", data)
    data += bytes(8192)
    for design in ("upstream", "layered"):
        result = boot_initrd(data, design=design, cmdline="initrd_segments=" + line.replace("FIRST", first))
        said = [x for x in result.log if x.endswith("refused")]
        if design == "layered":
            why = why.replace("this design cannot", "not an image with a hash tree behind it")
        assert len(said) == 1 and why in said[0], result.log
        assert "/a" not in {e["path"] for e in result.tree}


@pytest.mark.parametrize("name", ["initrd_segments=", "initrd-segments=", "initrd-segments=GOOD initrd_segments="])
@pytest.mark.parametrize("design", ["upstream", "initerofs-rfc", "layered"])
def test_however_the_parameter_is_written(monkeypatch: pytest.MonkeyPatch, design: str, name: str) -> None:
    """- and _ are the same, and the last one counts."""
    image = erofs_image("a")
    guard = Guard(monkeypatch)
    line = name.replace("GOOD", word("sha256", image)) + word("sha256", flip(image, 9))
    result = boot_initrd(image, design=design, cmdline=line, prepare=guard.prepare)
    assert result.ended == "panic" and not result.splats and any(x.endswith("sha256 mismatch: refused") for x in result.log)


# ------------------------------------------------------------------------- verified as it is read

def large_image() -> bytes:
    entries: dict[bytes, t.Node] = {f"f{i}".encode(): t.File(data=bytes([65 + i]) * (3 * B - 10)) for i in range(6)}
    return bytes(build(t.Dir(entries={**entries, b"init": t.File(data=INIT, mode=0o755)}), ImagePlan()).data)


IMAGE = large_image()
ROOT, STORED = dm_verity(IMAGE, SALT)
HEAD = archive(record("first", data=b"1"))


def not_mounted(result: Any) -> bool:
    """What the stage needs (a directory, say) was not to be had; then nothing is there."""
    if result.log.count("initrd: what is verified as it is read cannot be unpacked: refused"):
        assert {e["path"] for e in result.tree} == {"/", "/dev", "/dev/console", "/root"}
        return True
    return False


def lazy(image: bytes = IMAGE, stored: bytes = STORED, **kw: Any) -> Any:
    words = ",".join([word("sha256", HEAD), word("verity", IMAGE, SALT)])
    return boot_initrd(HEAD + image + stored, design="layered", cmdline="initrd_segments=" + words, **kw)


@pytest.mark.parametrize("at", [0, 5])
def test_no_block_is_used_before_it_was_verified(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    guard = Guard(monkeypatch, opens=True)

    def prepare(m: Machine) -> None:
        guard.prepare(m)
        head = m.part(Boot).initrd.addr
        original = verify.verify_segments

        def then_open(*args: Any) -> int:
            ret: int = original(*args)
            guard.set(head, len(HEAD), OK)
            return ret
        monkeypatch.setattr(verify, "verify_segments", then_open)
    result = lazy(at=at, prepare=prepare)
    assert result.ok and not result.splats, result.error
    tree = {e["path"]: e for e in result.tree}
    assert tree["/f3"]["sha256"] == hashlib.sha256(b"D" * (3 * B - 10)).hexdigest() and "/first" in tree
    assert len(guard.opened) > len(IMAGE) // B - 2


def test_compressed_data_is_verified_before_it_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree()
    image = bytes(build(root, lz4_plan(root)).data)
    data = image + dm_verity(image, b"")[1]
    line = "initrd_segments=" + word("verity", image)
    guard = Guard(monkeypatch, opens=True)
    result = boot_initrd(data, design="layered", cmdline=line, prepare=guard.prepare)
    whole = {e["path"]: e for e in result.tree}
    assert (result.ok and not result.splats and whole["/usr/f130001"]["sha256"]
            == hashlib.sha256(text(130_001, 130_001)).hexdigest())
    monkeypatch.undo()
    wrong = 0
    for block in range(1, len(image) // B):
        result = boot_initrd(flip(data, block * B + 77), design="layered", cmdline=line)
        if not_mounted(result):
            continue
        changed = [e for e in result.tree if e != whole[e["path"]]]
        assert all(e["error"] == "EIO" for e in changed), block
        wrong += len(changed)
    assert wrong >= len(SIZES)


def test_only_what_is_read_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(monkeypatch)
    guard.closes = False
    result = lazy(tree=False, prepare=lambda m: setattr(guard, "machine", m))
    assert result.ok and len(HEAD) + 2 * B <= guard.bytes_hashed <= len(HEAD) + 5 * B < len(IMAGE)


def test_a_changed_block_is_an_error_where_it_is_read_and_nowhere_else() -> None:
    whole = {e["path"]: e for e in lazy().tree}
    seen = set()
    for block in range(1, len(IMAGE) // B):
        result = lazy(flip(IMAGE, block * B + 9))
        if not_mounted(result):
            continue
        changed = {e["path"] for e in result.tree if e != whole[e["path"]]}
        for path in changed:
            assert next(e for e in result.tree if e["path"] == path)["error"] == "EIO"
        if changed:
            assert f"initrd: data block {block} at offset {block * B} of its segment is corrupted" in result.log
        seen |= changed
    assert {f"/f{i}" for i in range(6)} <= seen


def test_a_changed_superblock_or_root_is_refused() -> None:
    result = lazy(flip(IMAGE, 1024))
    assert "initrd: what is verified as it is read cannot be unpacked: refused" in result.log and result.ended == "panic"
    assert {e["path"] for e in result.tree} == {"/", "/dev", "/dev/console", "/root"}
    result = lazy(stored=flip(STORED, 3))
    assert [line for line in result.log if line.endswith("hash tree mismatch: refused")] and result.ended == "panic"
    assert sum(n for _, _, n, what, _ in result.freed if what == "initrd") == (len(HEAD) % B + len(HEAD + IMAGE + STORED)) // B


def test_the_tree_is_kept_as_long_as_the_image() -> None:
    kept: list[int] = []

    def count(m: Machine) -> int:
        r = m.part(Boot).initrd
        return sum(m.mem.get_state(m.mem.pfn_of(a)) != RELEASED_INIT for a in range(r.addr & -B, r.addr + r.size, B))

    def after(result: Any) -> None:
        kept.append(count(result.machine))
        assert userspace.switch_root()["error"] == 0
        kept.append(count(result.machine))
    lazy(tree=False, after=after)
    assert kept[0] >= len(IMAGE + STORED) // B and kept[1] <= 1


# ------------------------------------------------------------------------- the experiment

PLANTS = {
    "nothing is compared": ("verify_segments", lambda old: lambda start, end, trees=None: 0, "not refused"),
    "the last byte does not count": ("block_digest", lambda old: lambda salt, addr, n: old(salt, addr, n - 1),
                                     "refused for nothing"),
    "as read: never": ("tree_verify", lambda old: lambda tree, pos, length: 0, "not verified"),
    "as read: half of each block": ("block_digest", lambda old: lambda salt, addr, n: verify_half(old, salt, addr, n),
                                    "not refused"),
}


def verify_half(old: Any, salt: bytes, addr: int, n: int) -> bytes:
    """A digest that takes what is right for right if its first half is (the test knows what is right)."""
    from kemu.machine.current import this

    here = this.mem.raw(addr, n)
    for known in GOOD:
        at = known.find(here[:n // 2])
        if at >= 0 and at % B == 0 and len(known) >= at + n:
            return hashlib.sha256(salt + known[at:at + n]).digest()
    digest: bytes = old(salt, addr, n)
    return digest


GOOD = [experiments_verify.segment(erofs_image("a", blocks=12), "verity")[0]]


@pytest.mark.parametrize("plant", sorted(PLANTS))
def test_the_experiment_finds_planted_mistakes(monkeypatch: pytest.MonkeyPatch, plant: str) -> None:
    name, make, cause = PLANTS[plant]
    exp = registry["layered.verified"]
    assert all(execute(exp, SeedSource(n)).finding is None for n in range(3))
    monkeypatch.setattr(verify, name, make(getattr(verify, name)))
    found = next((f for n in range(400) if (f := execute(exp, SeedSource(n)).finding) is not None), None)
    assert found is not None and (cause == found.cause or found.detector != "difference"), found


# ------------------------------------------------------------------------- the second image

@pytest.mark.parametrize("alg", ["sha256", "tree"])
def test_the_storage_init_mounts_nothing_that_is_wrong(monkeypatch: pytest.MonkeyPatch, alg: str) -> None:
    image = erofs_image("a", blocks=9)
    mounted: list[Any] = []
    mount = initoverlayfs.sys.sys_mount
    monkeypatch.setattr(initoverlayfs.sys, "sys_mount", lambda *a: mounted.append(a[2]) or mount(*a))

    def boot(data: bytes, line: str) -> Any:
        mounted.clear()
        return boot_initrd(compare.small_archive(), design="initoverlayfs", cmdline="initoverlayfs_image=" + line,
                           second_image=data)
    line = word(alg, image, SALT if alg == "tree" else b"")
    assert boot(image, line).ok and "erofs" in mounted
    for at in (0, 1030, len(image) - 1):
        result = boot(flip(image, at), line)
        assert result.ended == "panic" and "Attempted to kill init! exitcode=0x00000100" in str(result.error)
        assert ([x for x in result.log if x.startswith("storage-init: /dev/vda: ") and x.endswith("mismatch: refused")]
                and mounted == ["devtmpfs"])
    for wrong in ("5", line.replace(alg, "verity"), "9" + line):
        result = boot(image, wrong)
        assert result.ended == "panic" and mounted == ["devtmpfs"] and any(x.endswith("refused") for x in result.log)


# ------------------------------------------------------------------------- the command

def test_the_command_says_it_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = erofs_image("a")
    p = tmp_path / "i"
    p.write_bytes(image)
    for design in ("initerofs-rfc", "layered"):
        args = ["boot", str(p), "--design", design, "--dmesg", "--cmdline"]
        assert main([*args, "initrd_segments=" + word("sha256", image)]) in (0, 1)     # 1: the posted code writes to constants
        capsys.readouterr()
        assert main([*args, "initrd_segments=" + word("sha256", image[:-1] + b"!")]) == 255
        err = capsys.readouterr().err
        assert err.startswith(f"kemu: boot: initrd: segment 0 ({len(image)} bytes at offset 0): sha256 mismatch: refused; "
                              f"Kernel panic")
        assert err.count("\n") == 1
