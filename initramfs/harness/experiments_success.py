# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of a boot from an image that goes well: the root is the image's tree, what the command line says of the initrd
counts, and nothing is left lying about. And of an archive that only looks like an image somewhere.
"""
from __future__ import annotations

from kemu.check import ledger
from kemu.check.bootstate import leftovers
from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge import tree
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.linux.fs.namespace import g, next_mnt
from kemu.linux.fs_struct import current_fs
from kemu.machine.current import this

from initramfs.harness.experiments_split import MAGIC
from initramfs.harness.trials import INIT, State, cpio_archive, erofs_image, few, files, run_boot, told

__role__ = "harness"
DESIGNS = {"initerofs-rfc": {"design": "initerofs-rfc"}, "layered": {"design": "layered"}}


def runs(run: Run, state: State) -> None:
    """The boot went well; else there is nothing to say about what it made."""
    if state.values["end"] != ["init runs"]:
        run.fail(f"the boot ends with: {state.values['end'][0]}", *told(state), cause="no boot", where=state.by)


@experiment("{design}.root-is-the-image", variants=DESIGNS)
def root_is_the_image(run: Run, design: str) -> None:
    """The root directory has the mode and the owner that the image gives it, as "." of an archive has them."""
    mode = run.pick.one_of("mode", (0o755, 0o700, 0o1777, 0o555))
    uid = run.pick.one_of("owner", (0, 1000))
    image = build(tree.Dir(entries={b"init": tree.File(data=INIT, mode=0o755)}, mode=mode, uid=uid), ImagePlan()).data
    run.show(f"an EROFS image whose root directory has mode {mode:o} and owner {uid}")
    seen: list[tuple[int, int]] = []

    def end(state: State) -> None:
        inode = current_fs().root.dentry.d_inode
        seen.append((inode.i_mode & 0o7777, inode.i_uid))

    _, state = run_boot(design, bytes(image), machine=run.machine, end=end)
    runs(run, state)
    if seen != [(mode, uid)]:
        run.fail(f"the root directory has mode {seen[0][0]:o} and owner {seen[0][1]} instead of {mode:o} and {uid}",
                 cause="attributes of the root",
                 severity="medium", where=state.by)


@experiment("{design}.retains", variants=DESIGNS)
def retains(run: Run, design: str) -> None:
    """With retain_initrd the initrd is in /sys/firmware/initrd, be it an archive or an image."""
    image = bool(run.pick.int("an archive", 0, 1)) is False
    data = erofs_image("a") if image else cpio_archive("a")
    run.show(f"{'an EROFS image' if image else 'an archive'}, retain_initrd")
    _, state = run_boot(design, data, machine=run.machine, cmdline="retain_initrd")
    runs(run, state)
    if state.values["exported initrd"] != [f"{len(data)} bytes"]:
        run.fail(f"retain_initrd is given, and {', '.join(state.values['exported initrd']) or 'nothing'} of {len(data)} bytes "
                 f"is exported",
                 *state.values["freed initrd"], cause="retain_initrd", severity="medium", where=state.by)


@experiment("{design}.leaves-nothing", variants=DESIGNS)
def leaves_nothing(run: Run, design: str) -> None:
    """When init runs nothing of the boot is left over that a boot with an archive does not leave as well."""
    left: dict[str, list[str]] = {"upstream": [], design: []}

    def look(name: str) -> None:
        # a mount has memory of its own; whose the initrd's is: other experiments
        left[name] += [line for line in leftovers(this.machine) if " of the initrd " not in line
                       and " kmalloc objects" not in line]

    run.show("the same tree as an archive and as an image")
    run_boot("upstream", cpio_archive("a"), end=lambda state: look("upstream"))
    _, state = run_boot(design, erofs_image("a"), machine=run.machine, end=lambda state: look(design))
    runs(run, state)
    new = [line for line in left[design] if line not in left["upstream"]]
    if new:
        which = new[run.pick.int("which", 0, 3) % len(new)]
        run.fail(f"after the boot: {which}", *new, cause=f"after the boot: {which}", severity="medium", where=state.by,
                 detector="ledger")


@experiment("{design}.hides-no-mount", variants=DESIGNS)
def hides_no_mount(run: Run, design: str) -> None:
    """Every file system that is mounted can be reached from the root, or is one that upstream has too."""
    run.show("an EROFS image as initrd")
    hidden: list[str] = []

    def end(state: State) -> None:
        root = current_fs().root.mnt
        for m in next_mnt(g.init_mnt_ns.root):
            above = m
            while above is not root and above.mnt_parent is not above:
                above = above.mnt_parent
            if above is not root and m.mnt_sb.s_type.name not in ("nullfs", "rootfs"):
                hidden.append(f"{ledger.path_of(m, m.mnt_root)} ({m.mnt_sb.s_type.name})")

    _, state = run_boot(design, erofs_image("a"), machine=run.machine, end=end)
    runs(run, state)
    if hidden:
        run.fail(f"mounted below the root, where nobody can reach or unmount it: {', '.join(hidden)}", cause="hidden mounts",
                 severity="medium",
                 where=state.by, detector="ledger")


@experiment("{design}.looks-like-an-image", variants=DESIGNS)
def looks_like_an_image(run: Run, design: str) -> None:
    """An archive is an archive, whatever is in its files: nothing differs from upstream."""
    at = run.pick.one_of("the magic is at", (1024, 512, 2048, 4096, 5120)) + 4 * run.pick.int("words further", 0, 64)
    name = "a"
    head = len(files({name: b""}))
    data = (files({name: bytes(max(0, at - head)) + MAGIC + bytes(128)}) + cpio_archive("b")
            + bytes(run.pick.one_of("zeros behind", (9000, 0))))
    at = data.index(MAGIC)
    run.show(f"an archive with a file that has EROFS's magic number in it, {at} bytes behind the archive's beginning")
    _, upstream = run_boot("upstream", data)
    _, state = run_boot(design, data, machine=run.machine)
    lines = state.lines(upstream)
    if lines:
        run.fail(f"not as upstream: {few(lines)}", *lines, *told(state), cause="magic in an archive", where=state.by)
    if [t for _, t in state.log] != [t for _, t in upstream.log]:
        run.fail(f"the log is not as upstream's: {told(state)[0]!r}", *told(state), cause="magic in an archive: log",
                 severity="medium", where=state.by)
