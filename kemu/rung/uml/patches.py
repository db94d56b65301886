# SPDX-License-Identifier: GPL-2.0-only
"""Patches on top of a tree: the files that a series changes, and our own internal patch (agent's module, gcov marks)."""
from __future__ import annotations

import email
import email.policy
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kemu.rung.uml.errors import ConfigError, PatchError
from kemu.rung.uml.tree import Tree

MODULE = Path(__file__).parent / "module"


@dataclass(frozen=True)
class Patch:
    """One mail of a series: its name for messages, its subject, the mail."""

    name: str
    subject: str
    data: bytes

    def touched(self) -> list[str]:
        """Paths that its diff names, without a/ and b/."""
        found: list[str] = []
        for m in re.finditer(rb"^(?:---|\+\+\+) (?:[ab]/)?([^\t\r\n]+)", self.data, re.M):
            path = m[1].decode("utf-8", "surrogateescape").strip()
            if path != "/dev/null" and path not in found:
                found.append(path)
        for m in re.finditer(rb"^(?:rename|copy) (?:from|to) ([^\r\n]+)|^diff --git a/(\S+) b/(\S+)", self.data, re.M):
            for group in m.groups():
                if group:
                    path = group.decode("utf-8", "surrogateescape")
                    if path not in found:
                        found.append(path)
        return found


def read_patch(path: Path) -> list[Patch]:
    """The patches of a file: one mail, or an mbox of them (replies and the cover letter have no diff and are left out)."""
    data = path.read_bytes()
    mails = re.split(rb"(?m)^(?=From [^\n]*\d\d:\d\d:\d\d \d{4}\n)", data)
    out = []
    for mail in mails:
        if not mail.strip():
            continue
        subject, body = _subject_and_body(mail)
        if re.search(rb"^diff --git |^--- \S+\n\+\+\+ ", body, re.M):
            out.append(Patch(path.name, subject or path.name, body))
    if len(out) > 1:
        out = sorted((Patch(f"{path.name}[{_number(p.subject, i)}]", p.subject, p.data) for i, p in enumerate(out, 1)),
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

    ``PatchError`` names the patch, the file and the line at which it does not apply.
    """
    if not patches:
        return {}
    touched = sorted({rel for p in patches for rel in p.touched()})
    for rel in touched:
        if rel.startswith("/") or ".." in rel.split("/"):
            raise PatchError(f"a patch names {rel}: outside the tree")
    with tempfile.TemporaryDirectory(prefix="kemu-series-") as name:
        stage = Path(name)
        for rel in touched:
            src = tree.path / rel
            if src.is_file():
                (stage / rel).parent.mkdir(parents=True, exist_ok=True)
                (stage / rel).write_bytes(src.read_bytes())
        for patch in patches:
            _git_apply(stage, patch)
        return {rel: (stage / rel).read_bytes() if (stage / rel).is_file() else None for rel in touched}


def _git_apply(stage: Path, patch: Patch) -> None:
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(stage.parent), "LC_ALL": "C"}
    env.pop("GIT_DIR", None)
    try:
        done = subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], input=patch.data, cwd=stage, env=env, capture_output=True)
    except FileNotFoundError:
        raise ConfigError("git not found: apt-get install git") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise PatchError(f"{patch.name} ({patch.subject}): {lines[0] if lines else 'git apply failed'}")


@dataclass(frozen=True)
class Insertion:
    """A text put before or after a line of a file of the tree, or in its place."""

    path: str
    anchor: str
    text: str
    where: str = "after"
    optional: bool = False             # a tree may have it otherwise


class InternalPatch:
    """What the agent needs inside the kernel. Made of new files and of insertions at anchors, so that it applies to trees that
    differ around it (a series may change init/initramfs.c as well)."""

    def __init__(self) -> None:
        self.new = {p.name: p.read_bytes() for p in sorted(MODULE.glob("*.[ch]"))}
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
            Insertion("init/Makefile", "mounts-y", "obj-y += kemu_agent.o kemu_boot.o kemu_disk.o\n"
                      "ifdef CONFIG_GCOV_KERNEL\nGCOV_PROFILE_initramfs.o := y\nendif\n", "before"),
            Insertion("fs/erofs/Makefile", "obj-$(CONFIG_EROFS_FS)", "ifdef CONFIG_GCOV_KERNEL\nGCOV_PROFILE := y\nendif\n", "before"),
        ]

    def digest(self) -> bytes:
        """Names the patch's contents."""
        h = hashlib.sha256()
        for name, data in self.new.items():
            h.update(name.encode() + b"\0" + data)
        for ins in self.insertions:
            h.update(repr(ins).encode())
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
        return out


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
