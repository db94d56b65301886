# SPDX-License-Identifier: GPL-2.0-only
"""A review of initerofs as posted finds its faults by itself; the same review of the layered initrd finds nothing, unless
something is planted there.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from kemu.explore import token
from kemu.explore.experiment import registry
from kemu.explore.finding import Finding
from kemu.explore.run import replay
from kemu.explore.search import search
from kemu.linux.fs.fs_struct import copy_fs_struct
from kemu.linux.init_syscalls import init_rmdir, init_umount
from kemu.linux.port.series import Series
from kemu.linux.printk import pr_warn
from kemu.linux.rodata import literal
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.string import mem_read, mem_write
from kemu.report.store import tokens
from tests.quality.test_review import review

import initramfs.harness.experiments  # noqa: F401 - registers
from initramfs import initramfs as base
from initramfs.do_mounts_h import init_flush_fput

# What a careful reader found in the posted patch: (experiment, detector, what the report must say, its smallest trigger, the C it
# is about).
FAULT = r"^an EROFS image as initrd; fallible call \d+ fails: \w+ in \w+(, in \w+\(\))? called by "
POSTED: dict[str, tuple[str, str, str, str, str]] = {
    "option strings are no pages": ("boots", "KASAN", "out-of-bounds in initerofs_mount_root",
                                    "an EROFS image at offset 0 of a page$", "initerofs_mount_root"),
    "a byte behind a literal is zeroed": ("writes-no-constants", "difference",
                                          "byte 4095 behind the start of literal 'mode=0755'.*0x00",
                                          "an EROFS image as initrd$", "initerofs_mount_root"),
    "literals are cut into pieces": ("writes-no-constants", "difference", "literal 'mode=0755' has become 'mode",
                                     "an EROFS image as initrd$",
                                     "initerofs_mount_root"),
    "nothing is undone when the move fails": (
        "undoes", "ledger",
        r"leaves behind mounts: /root \(erofs ro\), /overlay_upper \(tmpfs\), /overlay_merged \(overlay\); working directory: "
        r"/overlay_merged; disks: initerofs; .*superblocks: .*/dev/initerofs", FAULT + "initerofs_mount_root",
        "initerofs_mount_root"),
    "a chdir that fails is not noticed": ("undoes", "ledger", r"fails with ELOOP and leaves behind mounts: /root",
                                          FAULT.replace(r"\(\)", r"_chdir\(\)", 0)
                                          + "initerofs_mount_root", "initerofs_mount_root"),
    "an umount is still to come when the disk goes": ("undoes", "ledger", "leaves behind superblocks: erofs initerofs", FAULT,
                                                      "initerofs_mount_root"),
    "an umount that fails is not noticed": ("undoes", "ledger", r"leaves behind mounts: /overlay_upper \(tmpfs\); superblocks",
                                            FAULT,
                                            "initerofs_mount_root"),
    "the dead superblock is taken again": ("failing-calls", "difference",
                                           "neither a success nor as upstream; unlike a success: .*EIO", FAULT,
                                           "initerofs_mount_root"),
    "it is tried twice": ("one-attempt", "difference", "made again: initerofs_mount_root runs 2 times", FAULT,
                          "do_populate_rootfs"),
    "the initrd is freed while it is mounted": ("reads-after-failure", "KASAN", "use-after-free in initerofs_submit_bio", FAULT,
                                                "initerofs_submit_bio"),
    "an ignored initrd is not freed": ("as-ever", "difference", "freed initrd: none instead of bytes 0 to",
                                       "an archive, CONFIG_INITRAMFS_FORCE=y$", "do_populate_rootfs"),
    "an ignored initrd is not exported": ("as-ever", "difference", "exported initrd: none instead of",
                                          "an archive, CONFIG_INITRAMFS_FORCE=y, retain_initrd$",
                                          "do_populate_rootfs"),
    "the cookie stays 0": ("says-nothing-new", "difference", r"wait_for_initramfs\(\) called before rootfs_initcalls",
                           "the same tree", "populate_rootfs"),
    "a parameter without effect": ("parameters", "difference", "retain_initerofs changes nothing",
                                   "retain_initerofs on the command line", "retain_initerofs_param"),
    "memory is never freed": ("gives-memory-back", "ledger", r"(\d+) of \1 whole pages of the initrd are never freed",
                              "unmounted", "populate_rootfs"),
    "an image behind an archive": ("rows", "difference", r"segment 1 \(erofs, behind an archive\)",
                                   "^cpio, erofs; .* at offset 0 of a page$", "do_populate_rootfs"),
    "an archive behind an image": ("rows", "difference", r"segment 1 \(cpio, behind an image\)",
                                   "^erofs, cpio; .* at offset 0 of a page$", "populate_rootfs"),
    "the built-in archive": ("keeps-the-built-in", "difference", "/dev/console of the built-in archive",
                             "default built-in archive", "populate_rootfs"),
    "the last sector": ("disk-has-every-byte", "difference", "the disk ends 1 byte before the initrd", "an initrd of 4097 bytes$",
                        "initerofs_blkdev_create"),
    "segments that are no sectors": ("disk-reads-right", "difference", "other bytes than it asks for", "segments of 1 and 1023$",
                                     "initerofs_submit_bio"),
    "mounts that nobody can undo": ("hides-no-mount", "ledger",
                                    r"mounted below the root.*: /root \(erofs\), /overlay_upper \(tmpfs\)$",
                                    "an EROFS image as initrd$",
                                    "populate_rootfs"),
    "the address of the initrd": ("leaves-nothing", "ledger", "initrd_start is still set",
                                  "the same tree as an archive and as an image$", "populate_rootfs"),
    "retain_initrd does not count": ("retains", "difference", "retain_initrd is given, and nothing of",
                                     "an EROFS image, retain_initrd$", "populate_rootfs"),
    "the root directory is not the image's": ("root-is-the-image", "difference",
                                              "the root directory has mode 755 and owner 0 instead of",
                                              "an EROFS image whose root",
                                              "populate_rootfs"),
    "an archive is taken for an image": ("looks-like-an-image", "difference", "not as upstream's: 'initerofs: detected EROFS",
                                         "an archive with a file that has EROFS's magic "
                                         "number in it, 1024 bytes", "do_populate_rootfs"),
    "a directory that nobody uses": ("leaves-nothing-unused", "ledger", "/overlay_work.*left over", "an EROFS image as initrd$",
                                     "initerofs_mount_root"),
    "a directory that is not its own": ("takes-only-its-own", "ledger", r"removes .*/overlay_work\b.* of the built-in archive",
                                        "built-in archive has directories .*fallible",
                                        "initerofs_mount_root"),
}


def fits(f: Finding | dict[str, Any], experiment: str, detector: str, title: str, trigger: str, function: str) -> bool:
    d = f.as_json() if isinstance(f, Finding) else f
    # what several experiments show is told of one of them
    return (d["detector"] == detector and re.search(title, d["title"]) is not None
            and re.search(trigger, d["trigger"]) is not None
            and d["c_location"].startswith("init/initer" if function.startswith(("initerofs", "retain")) else "init/initramfs.c")
            and f" {function} (as posted" in d["c_location"] and bool(d["report"]) and bool(d["token"]))


OF_A_SEARCH = ("also", "config", "token")   # what many runs tell, one replay does not; a long token is known by a short one


def again(f: Finding | dict[str, Any], **options: Any) -> None:
    """The token gives the same report."""
    d = f.as_json() if isinstance(f, Finding) else f
    out = replay(registry[d["experiment"]], token.decode(tokens.whole(d["token"])), **options)
    assert out.finding is not None and not out.diverged, d["token"]
    assert ({k: v for k, v in out.finding.as_json().items() if k not in OF_A_SEARCH}
            == {k: v for k, v in d.items() if k not in OF_A_SEARCH})


@pytest.mark.parametrize("name", sorted({e for e, *_ in POSTED.values()}))
def test_each_experiment_finds_what_is_its_own(name: str) -> None:
    wanted = {what: w for what, w in POSTED.items() if w[0] == name}
    exp = registry[f"initerofs-rfc.{name}"]
    # every call that can fail fails once; the rest is a matter of a few choices
    p = search([exp], examples=170 if name in ("undoes", "failing-calls", "one-attempt", "reads-after-failure",
                                               "takes-only-its-own") else 40, shrink_seconds=1.5)
    missing = [what for what, w in wanted.items() if not any(fits(f, *w) for f in p.findings)]
    assert not missing, [(f.title, f.trigger, f.c_location) for f in p.findings]
    for f in p.findings:
        again(f)


def test_the_review_of_the_posted_patch() -> None:
    code, result, seconds = review("initerofs-rfc")
    findings: Any = result["findings"]
    missing = [what for what, w in POSTED.items() if not any(fits(f, *w) for f in findings)]
    assert code == 1 and not missing, [(f["title"], f["trigger"], f["c_location"]) for f in findings]
    assert seconds < 120
    for f in findings:
        assert f["c_location"] and f["severity"] in ("critical", "high", "medium", "low")
        again(f)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_whatever_the_seed(seed: int) -> None:
    _, result, _ = review("initerofs-rfc", "--seed", str(seed))
    findings: Any = result["findings"]
    missing = [what for what, w in POSTED.items() if not any(fits(f, *w) for f in findings)]
    assert not missing, [(f["title"], f["trigger"], f["c_location"]) for f in findings]


@pytest.mark.parametrize("name", ["layered", "upstream"])
def test_ours_and_upstream(name: str) -> None:
    code, result, _ = review(name, "--seconds", "25")
    assert result["findings"] == [] and code == 0 and isinstance(result["examples"], int) and result["examples"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_ours_for_two_minutes(seed: int) -> None:
    code, result, _ = review("layered", "--seconds", "120", "--seed", str(seed))
    assert result["findings"] == [] and code == 0


# ------------------------------------------------------------------------- planted: one mistake each, in what the design relies
# on

Plant = Callable[..., Any]
PLANTS: list[tuple[str, Any, Plant, str, str]] = []


def plant(experiment: str, original: Any, title: str) -> Callable[[Plant], Plant]:
    def deco(fn: Plant) -> Plant:
        PLANTS.append((experiment, original, fn, title, fn.__name__))
        return fn
    return deco


@plant("undoes", init_umount, r"leaves behind mounts: /\.initrd-layers")
def not_unmounted(name: str, flags: int) -> int:
    return 0


@plant("undoes", init_rmdir, r"leaves behind nodes: /\.initrd-layers$")
def not_removed(name: str) -> int:
    return 0


@plant("undoes", init_flush_fput, r"leaves behind superblocks: ")
def not_flushed() -> None:
    pass


@plant("undoes", copy_fs_struct, r"leaves behind .*working directory: ")
def root_and_directory_of_all(old: Any) -> Any:
    old.users += 1
    return old


@plant("as-ever", base.free_initrd_mem, "not as upstream: freed initrd: none instead of")
def never_freed(start: int, end: int) -> None:
    pass


@plant("says-nothing-new", init_flush_fput, "a warning that upstream does not give: too late")
def talkative() -> None:
    pr_warn("too late\n")


@plant("writes-no-constants", copy_fs_struct, "literal 'abc' has become 'xbc'")
def writes_a_literal(old: Any) -> Any:
    mem_write(literal("abc"), b"x")
    return copy_fs_struct(old)


@pytest.mark.parametrize(("experiment", "original", "fn", "title", "name"), PLANTS,
                         ids=lambda v: v if isinstance(v, str) and v.isidentifier() else "")
def test_a_mistake_in_ours_is_found_and_small(experiment: str, original: Any, fn: Plant, title: str, name: str) -> None:
    series = Series(name, ("initramfs",))
    series.replaces(original)(fn)
    p = search([registry[f"layered.{experiment}"]], examples=160 if experiment == "undoes" else 12, shrink_seconds=1.5,
               series=(series,))
    hits = [f for f in p.findings if re.search(title, f.title)]
    assert hits, [f.title for f in p.findings]
    assert len(hits[0].choices) <= 1 and len(hits[0].offsets) <= 3, hits[0].trigger
    again(hits[0], series=(series,))


def test_a_mistake_of_upstream_is_not_counted_against_ours() -> None:
    series = Series("of upstream", ("initramfs",))

    @series.replaces(base.dir_utime)
    def dir_utime() -> None:
        p = kmalloc(8)
        if p:
            kfree(p)
            mem_read(p, 1)

    p = search([registry[f"layered.{n}"] for n in ("boots", "rows", "keeps-the-built-in", "says-nothing-new")], examples=12,
               shrink_seconds=0.5, series=(series,))
    assert [f.title for f in p.of_base] == ["BUG: KASAN: slab-use-after-free in dir_utime"] and p.findings == []
