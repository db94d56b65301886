# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of verified segments (docs/explanation/verification.md), with detectors and with failing calls: the complete
root or none, and no changed byte in it.
"""
from __future__ import annotations

import hashlib

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.machine.config import flipped

from initramfs.harness.experiments_undo import Plan, boot_with
from initramfs.harness.trials import State, cpio_archive, erofs_image, few, told
from initramfs.stage import STAGE

__role__ = "harness"
BLOCK = 4096
SALT = bytes.fromhex("5a17")
HEAD = cpio_archive("h", False)
HEAD += bytes(-len(HEAD) % 4)
_known: dict[tuple[str, object], State] = {}


def stored_tree(data: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """(root, tree) as veritysetup makes them; whole blocks."""
    def digest(block: bytes) -> bytes:
        return hashlib.sha256(salt + block.ljust(BLOCK, b"\0")).digest()
    level = [data[i:i + BLOCK] for i in range(0, len(data), BLOCK)]
    tree = b""
    while len(level) > 1:
        digests = b"".join(map(digest, level))
        level = [digests[i:i + BLOCK].ljust(BLOCK, b"\0") for i in range(0, len(digests), BLOCK)]
        tree = b"".join(level) + tree
    return digest(level[0]), tree


def segment(data: bytes, alg: str) -> tuple[bytes, str]:
    """(the segment, its word on the command line)"""
    if alg == "sha256":
        return data, f"{len(data)}:sha256:{hashlib.sha256(data).hexdigest()}"
    root, tree = stored_tree(data, SALT)
    data += tree if alg == "verity" else b""
    return data, f"{len(data)}:{alg}:{root.hex()}:{SALT.hex()}"


def _reference(what: str, data: bytes, line: str) -> State:
    key = (what, flipped())
    if key not in _known:
        _known[key] = boot_with("layered", Plan(None), data, cmdline=line)
    return _known[key]


@experiment("layered.verified", series="layered")
def verified(run: Run) -> None:
    """Right segments become the root, or after a failed call what failed calls come to; a changed bit is refused, or an error
    where it is read.
    """
    alg = ("sha256", "tree", "verity")[run.pick.int("how the image is verified", 0, 2)]
    parts = [segment(HEAD, ("sha256", "tree")[run.pick.int("how the archive is verified", 0, 1)]),
             segment(erofs_image("a", blocks=12), alg)]
    whole = b"".join(data for data, _ in parts)
    line = "initrd_segments=" + ",".join(word for _, word in parts)
    at = run.pick.int("at", 0, BLOCK - 1)
    bit = run.pick.int("changed bit", 0, 8 * len(whole))            # 0: none
    run.show(f"an archive and an EROFS image as initrd, {at} bytes behind a page boundary, verified by {line.partition('=')[2]}",
             f"bit {(bit - 1) % 8} of byte {(bit - 1) // 8} is changed" if bit else "nothing is changed")
    given = whole
    if bit:
        where = (bit - 1) // 8
        given = whole[:where] + bytes([whole[where] ^ 1 << (bit - 1) % 8]) + whole[where + 1:]
    state = boot_with("layered", Plan(run), given, cmdline=line, at=at, machine=run.machine)

    good = _reference(f"good {alg}", whole, line)
    none = _reference("refused", whole, "initrd_segments=1:sha256:" + "0" * 64)
    lazily = alg == "verity"
    # an empty folder may stay where the one call that fails is what removes it: nothing of a segment is in it
    stays = [f"{STAGE} dir 700"] if run.chooser.faults else []
    root = [x for x in state.values["root"] if x not in stays]
    refused = root == none.values["root"] and state.values["mounts"] == none.values["mounts"]
    run.saw(alg, "refused" if refused else "mounted")
    if bit and not (lazily and bit > 8 * len(HEAD)) and not refused:
        run.fail("a changed bit is not refused", *told(state), cause="not refused", severity="critical")
    if refused:
        if not bit and not run.chooser.faults:
            run.fail("what is right is refused", *told(state), cause="refused for nothing")
        if state.values["freed initrd"] == []:
            run.fail("the memory of a refused initrd is not freed", *told(state), cause="refused and kept", severity="medium")
        return
    wrong = [x for x in root if x not in good.values["root"] and not x.endswith(" EIO")]
    if lazily and wrong:
        run.fail(f"what was not verified is read: {few(wrong)}", *wrong, *told(state), cause="not verified", severity="critical")
