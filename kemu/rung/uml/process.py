# SPDX-License-Identifier: GPL-2.0-only
"""One running UML kernel: a host process with a channel (two pipes), a log (its stderr) and a watchdog."""
from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from kemu.rung.uml.cache import scratch
from kemu.rung.uml.errors import BootError, BootTimeout
from kemu.rung.uml.fence import fence

# skips the calibration of the delay loop (90 ms of a boot); only udelay() depends on it
LPJ = 36675584
_LOG_KEEP = 1 << 20
_LOG_BEHIND = 1 << 14                  # bytes of the log that may lie in its pipe
_AT_ONCE = 64                          # reads of the log
_MOMENT = 0.02                         # seconds for which a full pipe may keep a kernel that logs

_PANIC = re.compile(rb"Kernel panic - not syncing: ?([^\n]*)")
_SPLAT = re.compile(r"^(?:<\d>)?(?:\[ *[\d.]+\] )?(BUG: .*|WARNING: .*|UBSAN: .*|INFO: task .* blocked for more than .*|"
                    r"INFO: rcu.*stall.*|rcu: INFO: .*stall.*|kernel BUG at .*|Oops: .*)")


def find_splat(text: str) -> str | None:
    """The first line of the kernel's log that is a splat (KASAN, WARNING, UBSAN, lockdep, ...); None if there is none."""
    for line in text.splitlines():
        m = _SPLAT.match(line)
        if m:
            return m[1]
    return None


def pick_cpu() -> int:
    """A CPU for this process's kernels: different ones for different processes, so that test workers do not share."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[os.getpid() % len(cpus)]


class Process:
    """A kernel that runs. ``send`` and ``receive`` are whole-buffer operations on the channel under a deadline.

    It dies with the thread that started it. ``share``: bytes of memory, a multiple of the page size, that it has in common with
    this process: ``shared``, which ``prepare`` fills before the kernel begins.
    """

    def __init__(self, kernel: Path, initrd: Path | bytes | None, args: Sequence[str] = (), memory: str = "256M",
                 cpu: int | None = None, share: int = 0, prepare: Callable[[memoryview], None] | None = None):
        self.folder, mark = scratch("kemu-uml-")
        self._remove = weakref.finalize(self, _remove, self.folder, mark)
        self.log = bytearray()
        self._lost = 0
        self.started = 0                               # mark of the case that runs
        self.before = 0                                # of the log, what the kernel does not count
        if isinstance(initrd, bytes):
            path = self.folder / "initrd"
            try:
                path.write_bytes(initrd)
            except OSError as e:
                self._remove()
                raise BootError(f"{self.folder.parent}: {os.strerror(e.errno or 0)}: no room for the {len(initrd)} bytes of an "
                                f"initrd") from None
            initrd = path
        argv = [str(kernel), f"mem={memory}", "con=null", "con3=fd:0,fd:1", "console=tty3", "seccomp=on", f"lpj={LPJ}",
                f"uml_dir={self.folder}", "loglevel=8", *([f"initrd={initrd}"] if initrd else []), *args]
        theirs_in, self._to = os.pipe2(os.O_CLOEXEC)
        self._from, theirs_out = os.pipe2(os.O_CLOEXEC)
        self._log, theirs_log = os.pipe2(os.O_CLOEXEC)
        # the tty that is /dev/console: pipes, because epoll does not take /dev/null; nothing comes in, and what goes out is the
        # log again
        tty_in, self._keys = os.pipe2(os.O_CLOEXEC)
        self._screen, tty_out = os.pipe2(os.O_CLOEXEC)
        argv.insert(1, f"kemu={theirs_in},{theirs_out}")        # before what the caller gives: after "--" it would be init's
        theirs = [theirs_in, theirs_out]
        self.shared: mmap.mmap | None = None
        if share:
            memfd = os.memfd_create("kemu-share", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(memfd, share)
            # a kernel that runs wild cannot take it from under this process
            fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self.shared = mmap.mmap(memfd, share)
            if prepare is not None:
                prepare(memoryview(self.shared))
            theirs.append(memfd)
            argv.insert(1, f"kemu_share={memfd},{share}")
        pin = pick_cpu() if cpu is None else cpu
        try:
            with fence(kernel, self.folder) as restrict:
                self.popen = subprocess.Popen(argv, stdin=tty_in, stdout=tty_out, stderr=theirs_log,
                                              pass_fds=theirs,
                                              start_new_session=True, preexec_fn=lambda: _in_child(pin, restrict),
                                              env=os.environ | {"TMPDIR": str(self.folder)})
        except (OSError, subprocess.SubprocessError) as e:
            self._close()
            raise BootError(f"{kernel}: {e}") from None
        finally:
            for fd in (*theirs, theirs_log, tty_in, tty_out):
                os.close(fd)
        os.set_blocking(self._screen, False)
        for fd in (self._to, self._from, self._log):
            os.set_blocking(fd, False)
        self._came = bytearray()                       # what nobody has received yet
        self._comes, self._goes = select.poll(), select.poll()
        self._comes.register(self._from, select.POLLIN)
        self._goes.register(self._to, select.POLLOUT)

    # ---- the channel ----

    def send(self, data: bytes | memoryview, timeout: float) -> None:
        """Write all of ``data``; ``BootError``/``BootTimeout`` if the kernel is gone or does not take it."""
        view = memoryview(data)
        end = time.monotonic() + timeout
        while view:
            try:
                view = view[os.write(self._to, view):]
            except BlockingIOError:
                self._wait(end, timeout, writing=True)
            except BrokenPipeError:
                raise self._ended() from None

    def receive(self, size: int, timeout: float) -> bytes:
        """Exactly ``size`` bytes of the channel."""
        came = self._came
        if len(came) < size:
            end = time.monotonic() + timeout
            while len(came) < size:
                self._wait(end, timeout)
                try:
                    part = os.read(self._from, max(size - len(came), 1 << 16))
                except BlockingIOError:
                    continue
                if not part:
                    raise self._ended()
                came += part
        out = bytes(came) if len(came) == size else bytes(came[:size])
        del came[:size]
        return out

    def receive_some(self, timeout: float) -> bytes:
        """What is in the channel, waiting up to ``timeout`` seconds for something; empty if there is nothing, or nobody."""
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        poll.register(self._log, select.POLLIN)
        got, self._came = self._came, bytearray()
        poll.poll(0 if got else timeout * 1000)
        self.drain()
        while True:
            try:
                part = os.read(self._from, 1 << 16)
            except BlockingIOError:
                return bytes(got)
            if not part:
                return bytes(got)
            got += part

    def _wait(self, end: float, timeout: float, writing: bool = False) -> None:
        left = end - time.monotonic()
        # the log can wait for a moment: mostly this is all
        if left > 0 and (self._goes if writing else self._comes).poll(min(left, _MOMENT) * 1000):
            return
        left = end - time.monotonic()
        channel = self._to if writing else self._from
        poll = select.poll()
        poll.register(self._log, select.POLLIN)
        poll.register(channel, select.POLLOUT if writing else select.POLLIN)
        ready = dict(poll.poll(max(left, 0) * 1000))
        if ready.get(self._log, 0) & select.POLLIN:
            self.drain()
        elif self._log in ready and len(ready) == 1:
            raise self._ended()                        # the log is closed: the process is gone
        if left <= 0 and channel not in ready:         # whatever it logs meanwhile
            console = self.console()
            self.kill()
            raise BootTimeout(f"the kernel said nothing for {timeout:g} s", console)

    def _ended(self) -> BootError:
        """Why the channel is closed: waits for the rest of the log and for the process."""
        self.wait(10)
        console = self.console()
        if self.panicked is not None:
            splat = find_splat(self.console(self.started)) if self.panicked in ("BUG!", "Fatal exception") else None
            return BootError(f"kernel panic: {splat or self.panicked}", console)
        code = self.popen.returncode
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        return BootError(f"the kernel ended ({how})", console)

    # ---- the log ----

    def drain(self) -> None:
        """Take what the kernel has logged so far."""
        try:
            for _ in range(_AT_ONCE):
                if not os.read(self._screen, 1 << 16):
                    break
        except BlockingIOError:
            pass
        for _ in range(_AT_ONCE):                      # a kernel that logs without end is not waited for
            try:
                part = os.read(self._log, 1 << 16)
            except BlockingIOError:
                return
            if not part:
                return
            self.log += part
            if len(self.log) > 2 * _LOG_KEEP:
                cut = len(self.log) - _LOG_KEEP
                del self.log[:cut]
                self._lost += cut

    def mark(self) -> int:
        """The place in the log where what comes now will be, for ``console(since)``."""
        self.drain()
        return self._lost + len(self.log)

    def logged(self, place: int) -> None:
        """The log is as long as this: take what there is before its pipe is full."""
        if place - self._lost - len(self.log) > _LOG_BEHIND:
            self.drain()

    def console(self, since: int = 0) -> str:
        """The log as text, from a mark on."""
        self.drain()
        text = self.log[max(since - self._lost, 0):].decode("utf-8", "replace").replace("\r\n", "\n")
        return f"[... {self._lost - since} bytes]\n{text}" if self._lost > since else text

    @property
    def panicked(self) -> str | None:
        """The panic's message, if there was one."""
        m = _PANIC.search(self.log)
        return m[1].decode(errors="replace") if m else None

    # ---- the end ----

    def wait(self, timeout: float) -> int | None:
        """Wait for the process to end while taking its log; its return code, None if it has not ended in time."""
        end = time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._log, select.POLLIN)
        while True:
            self.drain()
            code = self.popen.poll()
            if code is not None:
                self.drain()
                return code
            left = end - time.monotonic()
            if left <= 0:
                return None
            poll.poll(min(left * 1000, 20))

    def kill(self) -> None:
        """End the kernel and its helper processes at once."""
        for target in (-self.popen.pid, self.popen.pid):
            try:
                os.kill(target, signal.SIGKILL) if target > 0 else os.killpg(-target, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        self.popen.wait()

    def close(self) -> None:
        """Kill what still runs and remove its files."""
        if self.popen.poll() is None:
            self.kill()
        else:
            try:
                os.killpg(self.popen.pid, signal.SIGKILL)     # helpers of a kernel that has crashed
            except (ProcessLookupError, PermissionError):
                pass
        self._close()

    def _close(self) -> None:
        for fd in (self._to, self._from, self._log, self._keys, self._screen):
            try:
                os.close(fd)
            except OSError:
                pass
        self._to = self._from = self._log = self._keys = self._screen = -1
        self._remove()


def _remove(folder: Path, mark: int) -> None:
    shutil.rmtree(folder, True)
    os.close(mark)


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _in_child(cpu: int, restrict: Callable[[], None]) -> None:
    """Between fork and exec: die with the parent, one CPU, no core file after a panic, and the host's fence."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError:
        pass                                           # not one of ours: slower, not wrong
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    restrict()
