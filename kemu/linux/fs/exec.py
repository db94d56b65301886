# SPDX-License-Identifier: GPL-2.0-only
"""Running a program, up to where it would run (fs/exec.c, fs/binfmt_elf.c, fs/binfmt_script.c).

There is no user space: a program that could be started counts as started. What can keep it from starting is checked as the kernel
checks it.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EACCES, EIO, ELOOP, ENOEXEC, ENOMEM
from kemu.linux.fcntl import AT_FDCWD, O_LARGEFILE, O_RDONLY
from kemu.linux.fs.file_table import fput
from kemu.linux.fs.namei import filename_lookup, getname, inode_permission, path_put
from kemu.linux.fs.open import filp_open
from kemu.linux.fs.read_write import kernel_read
from kemu.linux.include.fs.calls import allow_write_access, deny_write_access
from kemu.linux.include.fs.constants import MAY_EXEC, MAY_OPEN
from kemu.linux.include.mount import MNT_NOEXEC
from kemu.linux.include.namei import LOOKUP_FOLLOW
from kemu.linux.include.path import Path
from kemu.linux.include.slab import kmalloc
from kemu.linux.include.string import mem_read
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup
from kemu.linux.stat import S_ISREG
from kemu.linux.super_types import SB_I_NOEXEC
from kemu.linux.types import Ref
from kemu.machine.current import this

C = "fs/exec.c"

BINPRM_BUF_SIZE = 256
PT_INTERP = 3


@custom(C, "exec_binprm", "there is no user space: what stands for a program")
class Programs:
    """What runs on one machine for the program ``at`` a path: ``f(argv, envp)`` returns the exit code, or None for 0."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at: dict[str, Callable[[list[str], list[str]], int | None]] = {}


@dup(C)
def path_noexec(path: Path) -> bool:
    """``bool path_noexec(const struct path *path)``"""
    return bool(path.mnt.mnt_flags & MNT_NOEXEC or path.mnt.mnt_sb.s_iflags & SB_I_NOEXEC)


def _read(file: Any, pos: int, size: int) -> bytes | int:
    buf = kmalloc(size)
    if not buf:
        return -ENOMEM
    n = kernel_read(file, buf, size, Ref(pos))
    data: bytes | int = mem_read(buf, n) if n > 0 else (b"" if not n else n)
    kfree(buf)
    return data


@custom(C, "do_open_execat", "the permission checks of opening for execution, then an ordinary open")
def do_open_execat(filename: str) -> Any:
    """``static struct file *do_open_execat(int fd, struct filename *name, int flags)``. Return: ERR_PTR of -ENOENT, -EACCES,
    -ELOOP, -ETXTBSY (someone has it open for writing), ..."""
    path = Path()
    err = filename_lookup(AT_FDCWD, getname(filename), LOOKUP_FOLLOW, path)
    if err:
        return ERR_PTR(err)
    inode = path.dentry.d_inode
    if not S_ISREG(inode.i_mode) or path_noexec(path):
        err = -EACCES
    else:
        err = inode_permission(path.mnt.mnt_idmap, inode, MAY_EXEC | MAY_OPEN)
    path_put(path)
    if err:
        return ERR_PTR(err)
    file = filp_open(filename, O_LARGEFILE | O_RDONLY, 0)
    if not IS_ERR(file):
        err = deny_write_access(file)           # exe_file_deny_write_access()
        if err:
            fput(file)
            return ERR_PTR(err)
    return file


def _put(file: Any) -> None:
    allow_write_access(file)
    fput(file)


def _elf(file: Any, head: bytes) -> int:
    """load_elf_binary() until the interpreter is open."""
    if len(head) < 52 or head[4] not in (1, 2) or head[5] != 1:
        return -ENOEXEC
    wide = head[4] == 2
    e_type = int.from_bytes(head[16:18], "little")
    if e_type not in (2, 3):
        return -ENOEXEC
    if wide:
        (phoff, phentsize,
         phnum) = int.from_bytes(head[32:40], "little"), *(int.from_bytes(head[i:i + 2], "little") for i in (54, 56))
    else:
        (phoff, phentsize,
         phnum) = int.from_bytes(head[28:32], "little"), *(int.from_bytes(head[i:i + 2], "little") for i in (42, 44))
    if phentsize != (56 if wide else 32) or not 1 <= phnum <= 65536 // phentsize:
        return -ENOEXEC
    table = _read(file, phoff, phentsize * phnum)
    if not isinstance(table, bytes):
        return table
    if len(table) < phentsize * phnum:
        return -EIO
    for i in range(phnum):
        ph = table[i * phentsize:(i + 1) * phentsize]
        if int.from_bytes(ph[:4], "little") == PT_INTERP:
            offset = int.from_bytes(ph[8:16] if wide else ph[4:8], "little")
            size = int.from_bytes(ph[32:40] if wide else ph[16:20], "little")
            if not 2 <= size <= 4096:
                return -ENOEXEC
            name = _read(file, offset, size)
            if not isinstance(name, bytes):
                return name
            if len(name) < size:
                return -EIO
            if name[-1]:
                return -ENOEXEC
            interp = do_open_execat(name.split(b"\0")[0].decode("utf-8", "surrogateescape"))
            if IS_ERR(interp):
                return PTR_ERR(interp)
            _put(interp)
            break
    return 0


def _script(head: bytes) -> str | int:
    """load_script(): the interpreter's path, or -ENOEXEC."""
    line = head[2:].split(b"\n")[0]
    if b"\n" not in head and len(head) == BINPRM_BUF_SIZE:
        word = line.lstrip(b" \t")
        if not any(c in word for c in b" \t\0"):
            return -ENOEXEC             # the path may be cut
    words = line.replace(b"\t", b" ").strip(b" ").split(b" ")
    name = words[0].split(b"\0")[0]
    return name.decode("utf-8", "surrogateescape") if name else -ENOEXEC


@custom(C, "kernel_execve", "ends where the program's first instruction would run; 'programs' of the machine may run instead")
def do_execve(filename: str, argv: list[str], envp: list[str]) -> int:
    """Start ``filename``. Return: 0; -ENOENT, -EACCES, -ENOEXEC, -ELOOP, -EIO, -ENOMEM, -ETXTBSY."""
    path = filename
    for _ in range(6):
        file = do_open_execat(path)
        if IS_ERR(file):
            return PTR_ERR(file)
        head = _read(file, 0, BINPRM_BUF_SIZE)
        ret: int | str
        if not isinstance(head, bytes):
            ret = head
        elif head[:4] == b"\x7fELF":
            ret = _elf(file, head)
        elif head[:2] == b"#!":
            ret = _script(head)
        else:
            ret = -ENOEXEC
        _put(file)
        if isinstance(ret, str):
            path = ret
            continue
        if ret == 0:
            task = this.task
            task.comm = filename.rpartition("/")[2][:15]
            program = this.machine.part(Programs).at.get(filename)
            if program is not None:
                code = program(argv, envp)
                task.exit_code = (code & 0xFF) << 8 if isinstance(code, int) else 0
        return ret
    return -ELOOP


@custom(C, "kernel_execve",
        "looks the program up, checks that it could be run, and runs what the machine's Programs have for its path")
def kernel_execve(filename: str, argv: list[str], envp: list[str]) -> int:
    """``int kernel_execve(const char *filename, const char *const *argv, const char *const *envp)``

    Return: 0; -ENOENT, -EACCES (no regular file, not executable, noexec), -ENOEXEC (neither ELF nor ``#!``), what opening gives.
    """
    return do_execve(filename, argv, envp)
