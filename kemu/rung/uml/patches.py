# SPDX-License-Identifier: GPL-2.0-only
"""Patches on top of a tree: the files that a series changes, and our own internal patch (agent's module, gcov marks)."""
from __future__ import annotations

import email
import email.policy
import hashlib
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kemu.rung.uml.copy import refuse_links
from kemu.rung.uml.diffs import FileDiff, parse
from kemu.rung.uml.errors import ConfigError, PatchError
from kemu.rung.uml.inputs import read_input
from kemu.rung.uml.misfit import explain
from kemu.rung.uml.tree import Tree
from kemu.rung.uml.wrapped import is_broken, mended

MODULE = Path(__file__).parent / "module"
AGENT = Path(__file__).parent / "agent"
# of the agent, what is in the kernel as well
INSIDE = ("agent.h", "bound.h", "cases.c", "facts.c", "kmsg.c", "sha256.c", "walk.c")


@dataclass(frozen=True)
class Patch:
    """One mail of a series: its name for messages, its subject, the mail."""

    name: str
    subject: str
    data: bytes
    crlf: bool = False                 # its lines ended in CR LF
    mended: str = ""                   # what a mailer had done to it, and is undone

    def files(self) -> list[FileDiff]:
        """What its diff is about. ``PatchError`` for a diff that is none."""
        return parse(self.data)

    def touched(self) -> list[str]:
        """Paths that its diff names, without a/ and b/."""
        return list(dict.fromkeys(path for f in self.files() for path in f.paths() if path))


_DIFF = re.compile(rb"^diff --git |^--- [^\n]*\n\+\+\+ [^\n]*\n@@ ", re.M)


def read_patch(path: Path) -> list[Patch]:
    """The patches of a file: one mail, a plain diff, or an mbox (replies and the cover letter have no diff and are left out)."""
    data = read_input(path, 64 << 20)
    crlf = data.count(b"\r\n") * 2 > data.count(b"\n")
    if crlf:
        data = data.replace(b"\r\n", b"\n")             # as git am takes a mail that came with line ends of mails
    mails = re.split(rb"(?m)^(?=From [^\n]*\d\d:\d\d:\d\d \d{4}\n)", data)
    out = []
    for mail in mails:
        if not mail.strip():
            continue
        subject, body = _subject_and_body(mail)
        if _DIFF.search(body):
            whole = mended(body) if is_broken(body) else None
            out.append(Patch(path.name, subject or path.name, whole.data if whole else body, crlf, str(whole or "")))
    if len(out) > 1:
        out = sorted((replace(p, name=f"{path.name}[{_number(p.subject, i)}]") for i, p in enumerate(out, 1)),
                     key=lambda p: _number(p.subject, 0) or 0)
    return out


def _subject_and_body(mail: bytes) -> tuple[str, bytes]:
    """A mail's subject and its text, decoded as git mailinfo would."""
    text = re.sub(rb"\AFrom [^\n]*\n", b"", mail)
    if not re.match(rb"[A-Za-z-]+:", text):
        return "", text
    msg = email.message_from_bytes(text, policy=email.policy.compat32)
    part = next((p for p in msg.walk() if p.get_content_maintype() == "text"), msg)
    payload = part.get_payload(decode=True)
    head = str(email.header.make_header(email.header.decode_header(msg.get("Subject", ""))))
    body = payload if isinstance(payload, bytes) else text
    return re.sub(r"\s*\n\s*", " ", head), body.replace(b"\r\n", b"\n")


def _number(subject: str, default: int) -> int:
    m = re.search(r"\b(\d+)/\d+\]", subject)
    return int(m[1]) if m else default


def apply_patches(tree: Tree, patches: Sequence[Patch]) -> dict[str, bytes | None]:
    """The contents of every file that the patches change, on top of ``tree`` (None: deleted).

    Only regular files of the tree are changed. ``PatchError`` names the patch, the file and the line at which it does not apply,
    and a patch that would make or follow a symbolic link or leave the tree.
    """
    if not patches:
        return {}
    with tempfile.TemporaryDirectory(prefix="kemu-series-") as name:
        stage = Path(name) / "tree"
        stage.mkdir()
        before: set[str] = set()
        for patch in patches:
            try:
                files = patch.files()
                for f in files:
                    for rel in safe_paths(f, tree):
                        src, dst = tree.path / rel, stage / rel
                        if src.is_file() and rel not in before:
                            dst.parent.mkdir(parents=True, exist_ok=True)
                            dst.write_bytes(src.read_bytes())
                            before.add(rel)
            except PatchError as e:
                raise PatchError(f"{_title(patch)}: {e}" + (f"; {patch.mended}" if patch.mended else "")) from None
            _git_apply(tree, stage, patch, files)
        after = _staged(stage, patches[-1])
        for rel in after:                              # names as git has read them
            safe_name(rel, tree)
        return {rel: (stage / rel).read_bytes() if rel in after else None for rel in sorted(before | after)}


def _title(patch: Patch) -> str:
    return patch.name if patch.subject == patch.name else f"{patch.name} ({patch.subject})"


_OWN = re.compile(r"kemu-build-|\.kemu")


def safe_paths(f: FileDiff, tree: Tree) -> list[str]:
    """The files that a diff touches. ``PatchError`` for one that is no regular file of the tree, or is reached through a link."""
    for mode in f.modes:
        if stat.S_IFMT(mode) != stat.S_IFREG:
            kind = {stat.S_IFLNK: "a symbolic link", 0o160000: "a submodule",
                    stat.S_IFDIR: "a folder"}.get(stat.S_IFMT(mode), f"mode {mode:o}")
            raise PatchError(f"{f.paths()[-1]}: {kind}: patches of regular files only are taken")
    out = f.paths()
    if "" in out:
        raise PatchError(f"names {f.new or f.old}: patches for the kernel are made for -p1, with a/ and b/")
    for rel in out:
        safe_name(rel, tree)
    return out


def safe_name(rel: str, tree: Tree) -> None:
    """``PatchError`` unless this is the name of a regular file that is in the tree, or could be."""
    parts = rel.split("/")
    if rel.startswith("/") or ".." in parts:
        raise PatchError(f"names {rel}: outside the tree")
    if any(not p or p == "." or p.lower() == ".git" or "\0" in p or "\n" in p for p in parts) or _OWN.match(parts[0]):
        raise PatchError(f"names {rel!r}: no file of a kernel tree")
    refuse_links(tree.path, rel)


def _staged(stage: Path, patch: Patch) -> set[str]:
    """The files in the stage; ``PatchError`` if git has made something else there than files and folders."""
    out = set()
    for folder, dirs, names in os.walk(stage):
        for name in (*dirs, *names):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                raise PatchError(f"{_title(patch)}: {path.relative_to(stage)}: not a regular file")
        out |= {str(Path(folder, name).relative_to(stage)) for name in names}
    return out


def _git_apply(tree: Tree, stage: Path, patch: Patch, files: Sequence[FileDiff]) -> None:
    env = (os.environ | {"GIT_CEILING_DIRECTORIES": str(stage.parent), "GIT_CONFIG_GLOBAL": os.devnull,
                         "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"})
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        env.pop(name, None)
    try:
        how = ["--ignore-whitespace"] if patch.mended else []
        done = subprocess.run(["git", "apply", "-p1", "--whitespace=nowarn", *how, "-"], input=patch.data, cwd=stage, env=env,
                              capture_output=True)
    except FileNotFoundError:
        raise ConfigError("git not found: apt-get install git") from None
    _staged(stage, patch)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        said = next((line for line in lines if line.startswith("error: ")),
                    lines[0] if lines else "git apply failed").removeprefix("error: ")
        raise PatchError(f"{_title(patch)}: {explain(tree.path, files, stage) or said}")


@dataclass(frozen=True)
class Insertion:
    """A text put before or after a line of a file of the tree, or in its place."""

    path: str
    anchor: str
    text: str
    where: str = "after"
    optional: bool = False             # a tree may have it otherwise


# What the flavours of chosen schedules need: a configuration symbol, every kernel thread at one priority, and a call of the
# compiler's at every basic block of these objects, with their lines.
BLOCKS = "-fsanitize-coverage=trace-pc -g1 $(if $(CONFIG_KASAN),-include $(srctree)/init/kemu_asan.h)"
ACCESSES = ("-fsanitize=thread -fno-optimize-sibling-calls --param tsan-distinguish-volatile=1 "
            "--param tsan-instrument-func-entry-exit=0 -Wno-tsan -g1 -include $(srctree)/init/kemu_kcsan.h")
POINTS = f"$(if $(CONFIG_KEMU_RACE),{ACCESSES},{BLOCKS})"
SCHED_FILES = ("kemu_asan.c", "kemu_asan.h", "kemu_callers.c", "kemu_change.c", "kemu_kcsan.h", "kemu_late.c", "kemu_ops.c",
               "kemu_points.c", "kemu_program.c", "kemu_race.c", "kemu_racy.c", "kemu_sched.h")
_OBJECTS = ("main", "initramfs", "do_mounts", "do_mounts_initrd", "kemu_disk", "kemu_racy", "kemu_callers",
            "kemu_late")
_FOLDERS = {"fs/erofs": "obj-$(CONFIG_EROFS_FS)", "fs/iomap": "obj-$(CONFIG_FS_IOMAP)",
            "fs/overlayfs": "obj-$(CONFIG_OVERLAY_FS)", "drivers/base/firmware_loader": "obj-$(CONFIG_FW_LOADER)"}
_OF_SERIES = ("block/", "drivers/", "fs/", "init/", "mm/")          # where files of a series get points, too
SCHED_INSERTIONS = [
    # no randomness of the host's: every boot is the same
    Insertion("arch/um/include/asm/archrandom.h", "\tret = os_getrandom(v, max_longs * sizeof(*v), 0);",
              "\tif (IS_ENABLED(CONFIG_KEMU_SCHED))\n\t\treturn 0;\n", "before"),
    Insertion("init/Kconfig", "config BROKEN", "config KEMU_SCHED\n\tbool \"Schedules that are chosen\"\n\n"
              "config KEMU_RACE\n\tbool \"Data races by KCSAN's rules\"\n\tdepends on KEMU_SCHED\n\n", "before"),
    Insertion("kernel/kthread.c", "static int kthread(void *_create)", "void kemu_take_part(struct task_struct *p);\n\n",
              "before"),
    Insertion("kernel/kthread.c", "\tsched_setscheduler_nocheck(current, SCHED_NORMAL, &param);",
              "#ifdef CONFIG_KEMU_SCHED\n\tkemu_take_part(current);\n#else\n"
              "\tsched_setscheduler_nocheck(current, SCHED_NORMAL, &param);\n#endif\n", "instead"),
    Insertion("init/Makefile", "mounts-y", "ifdef CONFIG_KEMU_SCHED\n"
              + "".join(f"CFLAGS_{name}.o += {POINTS}\n" for name in _OBJECTS) + "endif\n", "before"),
    Insertion("mm/Makefile", "obj-y\t\t\t:= filemap.o",
              f"ifdef CONFIG_KEMU_SCHED\nCFLAGS_filemap.o += {POINTS}\nendif\n", "before"),
    Insertion("kernel/Makefile", "obj-$(CONFIG_MULTIUSER)",
              f"ifdef CONFIG_KEMU_SCHED\nCFLAGS_async.o += {POINTS}\nCFLAGS_umh.o += {POINTS}\nendif\n", "before"),
    *(Insertion(f"{folder}/Makefile", anchor, f"ccflags-$(CONFIG_KEMU_SCHED) += {POINTS}\n", "before")
      for folder, anchor in _FOLDERS.items()),
]


class InternalPatch:
    """What the agent needs inside the kernel. Made of new files and of insertions at anchors, so that it applies to trees that
    differ around it (a series may change init/initramfs.c as well)."""

    def __init__(self) -> None:
        self.new = {p.name: p.read_bytes() for p in sorted(MODULE.glob("*.[ch]"))}
        self.new |= {f"kemu_agent/{name}": (AGENT / name).read_bytes() for name in INSIDE}
        self.insertions = [
            Insertion("init/initramfs.c", "rootfs_initcall(populate_rootfs);", '\n#include "kemu_unpack.c"\n'),
            # what is not ours is cut off the initrd before anything looks at its end (bootconfig)
            Insertion("init/main.c", "static int kernel_init(void *);", "void kemu_split_initrd(void);\n"
                      "int kemu_execve(const char *, const char *const *, const char *const *);\n"),
            Insertion("init/main.c", "\tsetup_boot_config();", "\tkemu_split_initrd();\n", "before"),
            Insertion("init/main.c", "\treturn kernel_execve(init_filename, argv_init, envp_init);",
                      "\treturn kemu_execve(init_filename, argv_init, envp_init);\n", "instead"),
            # no ptys here, and no need to look whether those of the host are fit for it
            Insertion("arch/um/os-Linux/sigio.c", "\tcheck_sigio();", "\t(void)check_sigio;\n", "instead", optional=True),
            Insertion("init/Makefile", "mounts-y", "obj-y += kemu_agent.o kemu_boot.o kemu_calls.o kemu_channel.o kemu_disk.o "
                      "kemu_inside_user.o kemu_region.o kemu_share.o\n"
                      "obj-$(CONFIG_KEMU_SCHED) += kemu_points.o kemu_program.o kemu_ops.o kemu_change.o kemu_racy.o\n"
                      "obj-$(CONFIG_KEMU_SCHED) += kemu_callers.o kemu_late.o\n"
                      "obj-$(CONFIG_KEMU_RACE) += kemu_race.o\n"
                      "ifdef CONFIG_KEMU_SCHED\nobj-$(CONFIG_KASAN) += kemu_asan.o\nKASAN_SANITIZE_kemu_asan.o := n\nendif\n"
                      "CFLAGS_kemu_inside_user.o := -O2 -fno-builtin-malloc -I$(srctree)/init -I$(srctree)/init/kemu_agent\n"
                      "include $(srctree)/arch/um/scripts/Makefile.rules\n"
                      "ifdef CONFIG_GCOV_KERNEL\nGCOV_PROFILE_initramfs.o := y\nendif\n", "before"),
            Insertion("fs/erofs/Makefile", "obj-$(CONFIG_EROFS_FS)", "ifdef CONFIG_GCOV_KERNEL\nGCOV_PROFILE := y\nendif\n",
                      "before"),
            *SCHED_INSERTIONS,
        ]

    def digest(self) -> bytes:
        """Names the patch's contents."""
        h = hashlib.sha256()
        for name, data in self.new.items():
            h.update(name.encode() + b"\0" + data)
        for ins in self.insertions:
            h.update(repr(ins).encode())
        h.update(repr((POINTS, _OF_SERIES)).encode())
        return h.digest()

    def files(self, tree: Tree, changed: dict[str, bytes | None]) -> dict[str, bytes | None]:
        """Contents of the files that the patch adds or changes, on top of the tree and of ``changed``."""
        out: dict[str, bytes | None] = {f"init/{name}": data for name, data in self.new.items()}
        for ins in self.insertions:
            data = out.get(ins.path) or changed.get(ins.path)
            if data is None:
                try:
                    data = (tree.path / ins.path).read_bytes()
                except FileNotFoundError:
                    raise ConfigError(f"{tree.path}: no {ins.path}; the agent cannot be built into this tree") from None
            out[ins.path] = _insert(data, ins, tree)
        for path in sorted(p for p, data in changed.items() if data is not None and _has_points_of_its_own(p)):
            makefile, name = _makefile_of(tree, changed, path)
            data = out.get(makefile) or changed.get(makefile) or (tree.path / makefile).read_bytes()
            out[makefile] = data + f"ifdef CONFIG_KEMU_SCHED\nCFLAGS_{name}.o += {POINTS}\nendif\n".encode()
        return out


def _has_points_of_its_own(path: str) -> bool:
    """Whether a file of a series gets scheduling points that the rest of its folder has not."""
    folder, _, name = path.rpartition("/")
    there = (folder == "init" and name[:-2] in _OBJECTS) or path == "mm/filemap.c" or any(
        f"{folder}/".startswith(f"{f}/") for f in _FOLDERS)
    return path.endswith(".c") and path.startswith(_OF_SERIES) and not there


def _makefile_of(tree: Tree, changed: dict[str, bytes | None], path: str) -> tuple[str, str]:
    """The Makefile that says how a file is compiled, and the object's name there, without ``.o``."""
    folder, name = path.rsplit("/", 1)
    while not (tree.path / folder / "Makefile").exists() and changed.get(f"{folder}/Makefile") is None and "/" in folder:
        folder, above = folder.rsplit("/", 1)
        name = f"{above}/{name}"
    return f"{folder}/Makefile", name[:-2]


def _insert(data: bytes, ins: Insertion, tree: Tree) -> bytes:
    lines = data.decode("utf-8", "surrogateescape").splitlines(keepends=True)
    for i, line in enumerate(lines):
        if line.startswith(ins.anchor):
            begin = i + 1 if ins.where == "after" else i
            rest = i if ins.where == "before" else i + 1
            return ("".join(lines[:begin]) + ins.text + "".join(lines[rest:])).encode("utf-8", "surrogateescape")
    if ins.optional:
        return data
    raise ConfigError(f"{tree.path}/{ins.path}: no line {ins.anchor!r}; the agent cannot be built into this tree")


@cache
def internal_patch() -> InternalPatch:
    """The one internal patch of this kemu."""
    return InternalPatch()


def names(patches: Iterable[Patch]) -> list[str]:
    """Subjects, for messages."""
    return [p.subject for p in patches]
