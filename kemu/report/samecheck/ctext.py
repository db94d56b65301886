# SPDX-License-Identifier: GPL-2.0-only
"""What a C function does, read from its text: a line of the preprocessor that no machine here can choose is left out first."""
from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from kemu.linux import errno
from kemu.report.csource import find_function
from kemu.report.samecheck import tables
from kemu.report.samecheck.events import Events

ERRNOS = frozenset(n for n, v in vars(errno).items() if re.fullmatch(r"E[A-Z0-9]+", n) and isinstance(v, int))
# what a machine never is; what it can be is in kemu.machine and named in the ports
OFF = ("CONFIG_DEBUG_VM", "CONFIG_LOCKDEP", "CONFIG_DEBUG_LOCK_ALLOC", "CONFIG_PREEMPT_RT", "CONFIG_SYSFS_SYSCALL",
       "CONFIG_HUGETLB_PAGE", "CONFIG_MEMCG",
       "CONFIG_QUOTA", "CONFIG_CGROUP_WRITEBACK", "CONFIG_NUMA", "CONFIG_SWAP", "CONFIG_MEMORY_HOTPLUG", "CONFIG_HIGHMEM",
       "CONFIG_COMPAT", "CONFIG_UNICODE",
       "CONFIG_FS_ENCRYPTION", "CONFIG_FS_VERITY", "CONFIG_AUDIT", "CONFIG_AUDITSYSCALL", "CONFIG_FSNOTIFY",
       "CONFIG_LOCKDEP_SUPPORT", "CONFIG_BLK_CGROUP",
       "CONFIG_BLK_DEV_ZONED", "CONFIG_BLK_DEV_INTEGRITY", "CONFIG_KASAN", "CONFIG_PROVE_LOCKING", "CONFIG_DEBUG_FS",
       "CONFIG_SECURITY", "CONFIG_IMA",
       "CONFIG_FILE_LOCKING", "CONFIG_USERFAULTFD", "CONFIG_DEBUG_SPINLOCK", "CONFIG_EROFS_FS_PCPU_KTHREAD")
ON = ("CONFIG_BLOCK", "CONFIG_MMU", "CONFIG_64BIT", "CONFIG_SMP", "CONFIG_SYSFS", "CONFIG_PROC_FS", "CONFIG_PRINTK")


def blank(text: str) -> str:
    """The text without comments and without what is in strings."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', " ", text, flags=re.S)


def _value(cond: str) -> bool | None:
    """Of a condition of the preprocessor: True, False, or None if a machine may have it either way."""
    if "BITS_PER_LONG" in cond:
        return "==" in cond and "64" in cond
    m = re.fullmatch(r"\s*(!?)\s*(?:defined|IS_ENABLED|IS_BUILTIN)?\s*\(?\s*(\w+)\s*\)?\s*", cond)
    if m is None:
        return None
    v = True if m[2] in ON else False if m[2] in OFF else None
    return v if v is None or not m[1] else not v


def preprocess(text: str) -> str:
    """The text without the branches that no machine has."""
    out: list[str] = []
    stack: list[bool | None] = []
    for line in text.split("\n"):
        d = re.match(r"\s*#\s*(ifdef|ifndef|if|elif|else|endif)\b(.*)", line)
        if d is None:
            if False not in stack:
                out.append(line)
            continue
        word, rest = d[1], d[2]
        if word in ("ifdef", "if"):
            stack.append(_value(rest))
        elif word == "ifndef":
            v = _value(rest)
            stack.append(None if v is None else not v)
        elif word == "else" and stack:
            stack[-1] = None if stack[-1] is None else not stack[-1]
        elif word == "elif" and stack:
            stack[-1] = None if stack[-1] is not True else False
        elif word == "endif" and stack:
            stack.pop()
    return "\n".join(out)


def _argument(text: str, at: int) -> str:
    """The text between the bracket at ``at`` and the comma or bracket that ends the first argument."""
    depth = 0
    for k in range(at, len(text)):
        c = text[k]
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if not depth:
                return text[at + 1:k]
        elif c == "," and depth == 1:
            return text[at + 1:k]
    return ""


def lock_name(arg: str) -> str:
    """The last member of ``&sb->s_umount``: what both languages call the lock."""
    names = re.findall(r"[A-Za-z_]\w*", re.sub(r"\[[^\]]*\]|\(\w[^()]*\*\)", "", arg))
    return names[-1] if names else ""


def events(text: str) -> Events:
    """What a definition's text does."""
    ev = Events()
    body = preprocess(blank(text))
    if not body.startswith("#define"):
        body = body[body.find("{"):] if "{" in body else body
    else:
        body = body[len("#define"):].replace("\\\n", "\n")
        body = re.sub(r"^\s*\w+", "", body)
    for m in re.finditer(r"\b([A-Za-z_]\w*)\s*\(", body):
        name = m[1]
        if name in ("guard", "scoped_guard", "CLASS", "scoped_class"):
            what = _argument(body, m.end() - 1).strip()
            kind = tables.GUARDS.get(what, "")
            if kind:
                tail = body[m.end() - 1 + len(what):]
                arg = (re.match(r"[^,(]*[,(]\s*([^;{]*?)\)\s*[;{\n]", tail.lstrip("(")) if name == "scoped_guard"
                       else re.match(r"\)\s*\(([^;]*)\)\s*;", tail[1:]))
                lk = tables.GUARD_NAMES.get(what) or lock_name(arg[1] if arg else "")
                ev.locks["lock", kind, lk] += 1
                ev.locks["unlock", kind, lk] += 1
            continue
        lock = tables.lock_word(name)
        if lock is not None:
            how, kind, what = lock
            ev.locks[how, kind, what or lock_name(_argument(body, m.end() - 1))] += 1
            continue
        warn = tables.warn_word(name)
        if warn:
            ev.warns[warn] += 1
            continue
        if name not in ("if", "while", "for", "switch", "return", "sizeof", "likely", "unlikely", "READ_ONCE", "WRITE_ONCE",
                        "typeof", "defined"):
            ev.calls.add(name)
    for m in re.finditer(r"-\s*(E[A-Z0-9]+)\b", body):
        if m[1] in ERRNOS:
            ev.errors.add(m[1])
    return ev


@cache
def read(path: Path) -> str:
    """A file of the tree, once."""
    return path.read_text(errors="replace") if path.is_file() else ""


@cache
def function(path: Path, name: str) -> str:
    """The text of a definition in a file; "" if it is not there."""
    source = read(path)
    if name not in source:
        return ""
    fn = find_function(source, name)
    return fn.text if fn is not None else ""


@cache
def function_events(path: Path, name: str) -> Events | None:
    """What ``name`` of a file does."""
    text = function(path, name)
    return events(text) if text else None
