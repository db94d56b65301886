# SPDX-License-Identifier: GPL-2.0-only
"""A command as a person at a terminal sees it."""
from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

#: what rich writes to move and to hide the cursor, to erase and to colour
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(argv: list[str], columns: int = 100, cwd: Path | None = None, env: dict[str, str] | None = None,
                shell: bool = False) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; both are terminals of this width."""
    streams = [os.openpty(), os.openpty()]
    for master, slave in streams:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", **(env or {})}
    for name in ("COLUMNS", "LINES", "FORCE_COLOR"):
        environment.pop(name, None)
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=streams[0][1], stderr=streams[1][1], cwd=cwd, env=environment)
    got = [b"", b""]
    for _, slave in streams:
        os.close(slave)
    import selectors

    with selectors.DefaultSelector() as s:
        for i, (master, _) in enumerate(streams):
            s.register(master, selectors.EVENT_READ, i)
        while s.get_map():
            for key, _ in s.select():
                try:
                    data = os.read(key.fd, 1 << 16)
                except OSError:             # EIO: the other end was closed
                    data = b""
                if data:
                    got[key.data] += data
                else:
                    s.unregister(key.fd)
                    os.close(key.fd)
    return p.wait(), *(text.decode("utf-8", "replace").replace("\r\n", "\n") for text in got)      # type: ignore[return-value]


KEMU = [sys.executable, "-m", "kemu"]
