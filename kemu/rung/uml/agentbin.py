# SPDX-License-Identifier: GPL-2.0-only
"""The agent's executable, compiled once per source text, and the initrd file that carries it into a kernel."""
from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kemu.rung.uml import config
from kemu.rung.uml.build import compiler
from kemu.rung.uml.cache import cache_dir, lock, remove_parts
from kemu.rung.uml.errors import BuildError
from kemu.rung.uml.patches import AGENT, MODULE

ANYWHERE = 2**64 - 1
NO_BUILTIN = 1
WALK = 2
WALK_LATE = 8                          # with WALK: not before init would be executed
RUN_INIT = 4                           # for tests that boot a program of their own: init is run, and there is no agent

_HEADER = struct.Struct("<16s6Q")
_MAGIC = b"KEMU-INITRD-0001"
# without a library, and small
_ALONE = ("-O2", "-nostdlib", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none",
          "-Wl,-z,noexecstack")


def agent() -> Path:
    """The static executable. ``BuildError`` with gcc's words, ``ConfigError`` without gcc."""
    return _compiled("agent", sorted(AGENT.glob("*.c")), [*sorted(AGENT.glob("*.h")), *sorted(MODULE.glob("*.h"))],
                     ("-O2", "-I", str(MODULE)))


def helper() -> Path:
    """A program for an archive, which looks which of its arguments' files are missing; errors as :func:`agent`'s."""
    return _compiled("helper", [AGENT / "helper" / "helper.c"], (), _ALONE)


def _compiled(what: str, sources: Sequence[Path], headers: Sequence[Path], flags: Sequence[str]) -> Path:
    """A static executable, made once per compiler, sources and flags."""
    h = hashlib.sha256(compiler().encode())
    for path in [*sources, *headers]:
        h.update(path.name.encode() + b"\0" + path.read_bytes())
    h.update(repr(sorted(f for f in flags if f.startswith("-"))).encode())
    out = cache_dir() / "agents" / h.hexdigest()[:16]
    if out.exists():
        return out
    config.need_tools()
    with lock(out):
        remove_parts(out.parent)
        partial = out.with_suffix(f".{os.getpid()}")
        done = subprocess.run(["gcc", "-static", "-s", "-Wall", *flags, "-o", str(partial), *map(str, sources)],
                              capture_output=True, text=True, errors="replace")
        if done.returncode:
            partial.unlink(missing_ok=True)
            raise BuildError(f"the {what} does not compile (a static C library is needed: apt-get install libc6-dev)",
                             done.stderr.strip())
        partial.rename(out)
    return out


def initrd_with_agent(user: bytes = b"", at: int | None = None, flags: int = 0) -> bytes:
    """The file for ``initrd=``: header, agent, and ``user`` as what the kernel shall take for its initrd, at page offset ``at``.
    """
    program = agent().read_bytes()
    first = -(-_HEADER.size // 64) * 64
    begin = first + len(program)
    if at is not None:
        begin += 4096                                  # slack to move the user's part to its offset
    begin = -(-begin // 64) * 64
    header = _HEADER.pack(_MAGIC, first, len(program), begin, len(user), ANYWHERE if at is None else at, flags)
    head = header.ljust(first, b"\0") + program
    return head.ljust(begin, b"\0") + user
