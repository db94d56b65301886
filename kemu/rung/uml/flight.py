# SPDX-License-Identifier: GPL-2.0-only
"""Cases under way: several may be, so that a kernel works on one while this process prepares the next and reads the last.

They are asked and answered in order. Requests and headers of answers go through the channel; images, and what an answer holds,
are in the memory that both share: a place of its own for each case under way, chosen on this side. What is too large for that
goes through the channel, alone.

A kernel that an image has corrupted can write there what it likes. It is read once, into bytes of this process, when the header,
which has come through the channel, has been looked at; the memory can be neither shrunk nor taken away by it.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kemu.rung.entries import check_entries, errno_name
from kemu.rung.protocol import Answer, Packed
from kemu.rung.uml import wire
from kemu.rung.uml.cases import Case
from kemu.rung.uml.errors import BootError, BootTimeout, ConfigError, RungError
from kemu.rung.uml.process import Process, find_splat
from kemu.rung.uml.wire import Backend, Op

DEPTH = 16                             # cases under way
IMAGE_ROOM = 1 << 16
ANSWER_ROOM = 1 << 18
OPTIONS_ROOM = 800                     # characters of options, so that all requests under way together fit into a pipe

_ANSWERS = DEPTH * IMAGE_ROOM
_LARGE = _ANSWERS + DEPTH * ANSWER_ROOM
SHARE = 64 << 20
LARGE_ROOM = SHARE - _LARGE            # for the images of one case that are larger


class Asked:
    """A case that a kernel is to answer: then ``result``, or ``error``."""

    __slots__ = ("case", "error", "id", "result", "slot", "wanted")

    def __init__(self, case: Case):
        self.case = case
        self.id = 0
        self.slot = -1
        self.wanted = True                             # else it is not asked again of another kernel
        self.result: Answer | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether there is an answer."""
        return self.result is not None or self.error is not None


class Flight:
    """The cases of one oracle that are not answered. ``boot`` gives the kernel that answers, ``lost`` says that it will not."""

    def __init__(self, boot: Callable[[], Process], lost: Callable[[], None], timeout: float):
        self._boot = boot
        self._lost = lost
        self.timeout = timeout
        self._unanswered: deque[Asked] = deque()       # the first of them are sent
        self._sent = 0
        self._slots = list(range(DEPTH))[::-1]
        self._large: Asked | None = None               # who has that room
        self._id = 0

    def ask(self, case: Case) -> Asked:
        """Put a case behind the others."""
        asked = Asked(case)
        self._unanswered.append(asked)
        self._send()
        return asked

    def answer(self, asked: Asked) -> Answer:
        """What the kernel makes of a case."""
        while not asked.done:
            self._receive()
        if asked.error is not None:
            raise asked.error
        assert asked.result is not None
        return asked.result

    # ---- questions ----

    def _send(self) -> None:
        """Send what there is room for."""
        while self._sent < len(self._unanswered):
            asked = self._unanswered[self._sent]
            if not asked.wanted:
                self._unanswered.remove(asked)
                continue
            try:
                process = self._boot()
            except Exception as e:
                asked.error = e
                self._unanswered.remove(asked)
                return
            try:
                if not self._send_one(process, asked):
                    return
            except BootError as e:
                self._release(asked)
                if not self._sent:
                    self._crashed(process, e)
                return                                 # else what has been answered is read first
            self._sent += 1

    def _send_one(self, process: Process, asked: Asked) -> bool:
        """Whether there was room."""
        case, size = asked.case, asked.case.size
        if (process.shared is None or case.rest is not None or case.backend not in (Backend.DISK, Backend.REGION)
                or size > LARGE_ROOM or len(case.options) > OPTIONS_ROOM):
            return not self._sent and self._send_alone(process, asked)
        if not self._slots or (size > IMAGE_ROOM and self._large is not None):
            return False
        asked.slot = self._slots.pop()
        at = begin = asked.slot * IMAGE_ROOM
        if size > IMAGE_ROOM:
            self._large, at, begin = asked, _LARGE, _LARGE
        for image in case.images:
            process.shared[at:at + len(image)] = image
            at += len(image)
        asked.id = self._next_id()
        process.send(case.request_shared(asked.id, begin, _ANSWERS + asked.slot * ANSWER_ROOM, ANSWER_ROOM), self.timeout)
        return True

    def _send_alone(self, process: Process, asked: Asked) -> bool:
        """A case that goes through the channel as a whole."""
        asked.id = self._next_id()
        process.send(asked.case.request(asked.id, 0 if process.shared else wire.BY_PROGRAM), self.timeout)
        if asked.case.rest is not None:
            for part in asked.case.rest():
                process.send(part, self.timeout)
        return True

    def _next_id(self) -> int:
        self._id = (self._id + 1) & 0x7FFFFFFF
        return self._id

    def _release(self, asked: Asked) -> None:
        if asked.slot >= 0:
            self._slots.append(asked.slot)
            asked.slot = -1
        if self._large is asked:
            self._large = None

    # ---- answers ----

    def _receive(self) -> None:
        """The answer to the first case, whatever it is."""
        if not self._sent:
            self._send()
            if not self._sent:
                return
        asked, process = self._unanswered[0], self._boot()
        try:
            head = wire.parse_answer(process.receive(wire.ANSWER_SIZE, self.timeout))
            if head.id != asked.id:
                raise BootError(f"the agent answered request {head.id} instead of {asked.id}", process.console())
            body = self._body(process, asked, head)
            check_entries(body[:head.entries_len], head.entries)
        except ValueError as e:
            self._crashed(process, BootError(f"the agent's answer is none: {e}", process.console()))
            return
        except BootError as e:
            self._crashed(process, e)
            return
        process.started = process.before + head.logged
        process.logged(process.started)
        self._unanswered.popleft()
        self._sent -= 1
        self._release(asked)
        try:
            asked.result = _made(asked.case, head, body)
        except RungError as e:
            asked.error = e
            return
        if asked.result.crash:                         # a tainted kernel judges nothing any more
            process.drain()
            self._gone(process)

    def _body(self, process: Process, asked: Asked, head: wire.Answer) -> bytes:
        if not head.shared:
            return process.receive(head.size, self.timeout)
        if asked.slot < 0 or head.size > ANSWER_ROOM or process.shared is None:
            raise ValueError(f"{head.size} bytes where there is no room for them")
        at = _ANSWERS + asked.slot * ANSWER_ROOM
        return process.shared[at:at + head.size]

    def _crashed(self, process: Process, e: BootError) -> None:
        """The first case has ended its kernel; the others will be asked again."""
        asked = self._unanswered.popleft()
        console = process.console(process.started)
        asked.result = _told(Answer(message=str(e), crash=_kind(e), console=console, kmsg=console.splitlines()), asked.case)
        self._release(asked)
        self._gone(process)

    def _gone(self, process: Process) -> None:
        self._lost()
        process.close()
        self.again()

    def again(self) -> None:
        """The kernel is gone: what it has not answered will be asked of the next."""
        self._sent = 0
        for asked in self._unanswered:
            self._release(asked)


def _made(case: Case, head: wire.Answer, body: bytes) -> Answer:
    """What an answer says."""
    text = body[head.entries_len:head.entries_len + head.text_len].decode("utf-8", "surrogateescape")
    kmsg = body[head.entries_len + head.text_len:].decode("utf-8", "replace")
    if head.full:
        raise RungError(f"the tree is larger than an answer can be: its first {head.entries} inodes take "
                        f"{head.entries_len >> 20} MiB")
    if head.error and text == "fail-nth":
        raise ConfigError("no fault injection in this kernel: --flavour debug")
    if head.error and text == "place":
        raise RungError(f"no memory of that kind for {case.size} bytes ({errno_name(head.error)}): "
                        "backend file sends no holes, and another kind of memory takes larger ones")
    if head.error and text == "region":
        raise ConfigError("backend region: no series that is built into this kernel has kemu_backend_mount()")
    result = Answer(errno_name(head.error), Packed(body[:head.entries_len], head.entries, case.op is not Op.CPIO),
                    [line.partition(">")[2] for line in kmsg.splitlines()], text or None)
    splat = find_splat(kmsg)
    if splat:
        result.crash, result.message, result.console = "splat", splat, "\n".join(result.kmsg)
    return _told(result, case)


def _told(result: Answer, case: Case) -> Answer:
    """What the text of an answer says."""
    if case.flags & wire.WANTS_FACTS and result.message is not None and not result.crash:
        result.facts, result.message = (result.message.removesuffix("fired").splitlines(),
                                        "fired" if result.message.endswith("fired") else None)
    if case.op is Op.EROFS and case.arg:
        result.fired, result.message = result.message == "fired", None if result.message == "fired" else result.message
    return result


def _kind(e: BootError) -> str:
    if isinstance(e, BootTimeout):
        return "hang"
    return "panic" if str(e).startswith("kernel panic") else "exit"
