# SPDX-License-Identifier: GPL-2.0-only
"""Where trees, builds and kernels are kept between runs: ``$XDG_CACHE_HOME/kemu/linux``."""
from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from kemu import base
from kemu.rung.uml.errors import ConfigError, LockTimeout

DEFAULT_VERSION = base.VERSION


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/kemu/linux`` (``~/.cache`` where the variable is unset or not absolute)."""
    return base.cache_home() / "kemu" / "linux"


def default_tree(version: str = DEFAULT_VERSION) -> Path:
    """Where ``kemu linux fetch`` puts Debian's source."""
    return base.tree(version)


def write_whole(path: Path, data: bytes | str) -> None:
    """A file as a whole or not at all: written beside it and renamed. ``OSError`` (a full disk) names the file and leaves nothing
    behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data.encode() if isinstance(data, str) else data)
        beside.rename(path)
    except OSError as e:
        beside.unlink(missing_ok=True)
        raise type(e)(e.errno, e.strerror, str(path)) from None


# ---- one at a time ----

WAIT = 900.0                           # seconds; a build takes three minutes
WAIT_VARIABLE = "KEMU_LOCK_WAIT"


@contextmanager
def lock(path: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold ``path.lock`` exclusively: two builds of the same thing wait for each other.

    Who waits says for whom and since when. ``LockTimeout`` after ``WAIT`` seconds, or as many as $KEMU_LOCK_WAIT says. A holder
    that dies holds nothing any more.
    """
    limit = _limit()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "a+b") as f:
        _take(f, path.name, limit, say)
        with suppress(OSError):                        # on a full disk nobody learns who it is
            f.truncate(0)
            os.write(f.fileno(), json.dumps({"pid": os.getpid(), "command": shlex.join(_command()),
                                             "since": time.time()}).encode())
        try:
            yield
        finally:
            f.truncate(0)


def is_free(path: Path) -> bool:
    """Whether nobody holds ``path.lock`` now."""
    try:
        with open(f"{path}.lock", "rb") as f:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        return True                                    # nobody ever has


def _take(f: IO[bytes], name: str, limit: float, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    told = ""
    while True:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        who = holder(f)
        if who != told:
            told = who
            say(f"waiting for {who}, which works on {name} (for {limit:g} s at most)")
        if time.monotonic() - began >= limit:
            raise LockTimeout(f"waited {limit:g} s for {who}, which works on {name}: ${WAIT_VARIABLE} gives other limits, in "
                              f"seconds")
        time.sleep(0.1)


def holder(f: IO[bytes]) -> str:
    """Who holds a lock, out of its file: ``another kemu (pid 12, `kemu linux build`, since 12:03:11)``."""
    f.seek(0)
    try:
        row = json.loads(f.read())
        since = time.strftime("%H:%M:%S", time.localtime(float(row["since"])))
        return f"another kemu (pid {int(row['pid'])}, `{row['command']}`, since {since})"
    except (ValueError, KeyError, TypeError):
        return "another kemu"          # it has just come


def _command() -> list[str]:
    words = [os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]]
    return ["kemu", *words[1:]] if words[0] == "__main__.py" else words


def _limit() -> float:
    text = os.environ.get(WAIT_VARIABLE, "")
    try:
        value = float(text) if text else WAIT
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise ConfigError(f"{WAIT_VARIABLE}={text}: a number of seconds")
    return value


def pin(file: Path) -> int:
    """A shared lock on a file for as long as this process and its children live: nobody throws it away. The descriptor;
    ``OSError`` if the file is gone.
    """
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_SH)
    if os.fstat(fd).st_nlink:
        return fd
    os.close(fd)
    raise FileNotFoundError(2, os.strerror(2), str(file))


@contextmanager
def unused(file: Path) -> Iterator[bool]:
    """Whether nobody has pinned a file; nobody can until the end of the block."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield True
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)


# ---- what the dead leave behind ----

def remove_parts(folder: Path) -> None:
    """Files and folders named NAME.PID that a process was making when it died."""
    for path in folder.iterdir() if folder.is_dir() else ():
        m = re.fullmatch(r"\.?\w[\w.-]*?\.(\d+)(\.part)?", path.name)
        if m and not _alive(int(m[1])):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


# bytes that a kernel may come to use of its RAM; where the host has them not it dies of SIGBUS
_ROOM = 512 << 20


def scratch_base() -> str | None:
    """Where short-lived files go: shared memory if the host has it, and enough of it (a kernel's RAM is such a file), else the
    default.
    """
    try:
        free = os.statvfs("/dev/shm")
    except OSError:
        return None
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) and free.f_bavail * free.f_frsize >= _ROOM else None


def scratch(prefix: str) -> tuple[Path, int]:
    """A folder for small short-lived files, and the descriptor that marks it as in use; those of processes that were killed are
    removed.
    """
    place = Path(scratch_base() or tempfile.gettempdir())
    for old in place.glob(f"{prefix}*"):
        with suppress(OSError):
            st = os.lstat(old)
            if not stat.S_ISDIR(st.st_mode) or st.st_uid != os.geteuid() or time.time() - st.st_ctime < _YOUNG:
                continue
            with unused(old) as free:
                if free:
                    shutil.rmtree(old, True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    return folder, pin(folder)


_YOUNG = 5.0                           # seconds in which a folder may not be marked yet
