# SPDX-License-Identifier: GPL-2.0-only
"""Worker processes that may be killed at any moment: each has a pipe of its own, so that none can take the others' messages with
it.
"""
from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

Send = Callable[..., None]
_PR_SET_PDEATHSIG = 1


class Message(NamedTuple):
    """What a worker sent: the arguments of its ``send``."""

    key: int
    what: tuple[Any, ...]


class Ended(NamedTuple):
    """A worker is gone. ``how``: empty if its function returned, else what ended it."""

    key: int
    pid: int
    how: str


def how_it_ended(exitcode: int | None) -> str:
    """``"was killed by SIGKILL"``, ``"ended with exit code 3"``."""
    if exitcode is not None and exitcode < 0:
        try:
            return f"was killed by {signal.Signals(-exitcode).name}"
        except ValueError:
            return f"was killed by signal {-exitcode}"
    return f"ended with exit code {exitcode}"


def _child(out: Connection, parent: int, fn: Callable[..., None], args: tuple[Any, ...]) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):               # the terminal's: the parent decides
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    try:
        fn(lambda *what: out.send(what), *args)
        out.send(("returned",))
    except BaseException:
        out.send(("raised", traceback.format_exc().strip().split("\n")[-1]))
    finally:
        out.close()


class Crew:
    """Processes made by fork, known by a number of the caller's. Use it as a context: what still runs at its end is killed."""

    def __init__(self) -> None:
        self._ctx = multiprocessing.get_context("fork")
        self._procs: dict[int, BaseProcess] = {}
        self._pipes: dict[Connection, int] = {}
        self._last: dict[int, str] = {}         # how the function came to its end, if it said so

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exc: Any) -> None:
        for proc in self._procs.values():
            proc.kill()
        for proc in self._procs.values():
            proc.join()
        for pipe in self._pipes:
            pipe.close()

    def __len__(self) -> int:
        return len(self._procs)

    def __contains__(self, key: int) -> bool:
        return key in self._procs

    def start(self, key: int, fn: Callable[..., None], *args: Any) -> int:
        """Run ``fn(send, *args)`` in a process of its own; returns its pid."""
        ours, theirs = self._ctx.Pipe(duplex=False)
        proc = self._ctx.Process(target=_child, args=(theirs, os.getpid(), fn, args), daemon=True)
        proc.start()
        theirs.close()                          # so that its end is seen here
        self._procs[key] = proc
        self._pipes[ours] = key
        return int(proc.pid or 0)

    def events(self, timeout: float) -> Iterator[Message | Ended]:
        """What has come within ``timeout`` seconds; a worker's end comes after everything that it had sent whole."""
        for pipe in wait(list(self._pipes), timeout):
            assert isinstance(pipe, Connection)
            key = self._pipes[pipe]
            try:
                what = pipe.recv()
            except (EOFError, OSError):
                yield self._gone(pipe, key)
                continue
            if what[0] in ("returned", "raised"):
                self._last[key] = "" if what[0] == "returned" else f"failed: {what[1]}"
            else:
                yield Message(key, what)

    def _gone(self, pipe: Connection, key: int) -> Ended:
        del self._pipes[pipe]
        pipe.close()
        proc = self._procs.pop(key)
        proc.join(5.0)
        if proc.is_alive():
            proc.kill()
            proc.join()
        how = self._last.pop(key, None)
        return Ended(key, int(proc.pid or 0), how_it_ended(proc.exitcode) if how is None else how)

    def stop(self, seconds: float = 2.0) -> Iterator[Message | Ended]:
        """End all of them; yields what they had sent."""
        for proc in self._procs.values():
            proc.terminate()
        deadline = time.monotonic() + seconds
        while self._procs and time.monotonic() < deadline:
            yield from self.events(0.1)
        for proc in self._procs.values():
            proc.kill()
        while self._procs:
            yield from self.events(0.5)
