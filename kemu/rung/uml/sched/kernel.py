# SPDX-License-Identifier: GPL-2.0-only
"""A booted kernel whose schedules are chosen: programs are run under plans, a thousand in a second and more."""
from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kemu.report.manifest import Entry
from kemu.rung.entries import errno_name, parse_entries
from kemu.rung.uml import wire as agent
from kemu.rung.uml.errors import BootError, BootTimeout, RungError
from kemu.rung.uml.process import Process, find_splat
from kemu.rung.uml.sched import wire
from kemu.rung.uml.sched.program import Plan, Program, packed
from kemu.rung.uml.sched.wire import End

TIME = ("time-travel=inf-cpu", "time-travel-start=1767225600000000000")       # virtual, from 2026 on
ARGS = ("rdinit=/.kemu-agent", "kunit.enable=0", "kasan_multi_shot", "init_on_alloc=1", "con3=null", "norandmaps",
        *TIME)
# by default the injectors spare those that may sleep
WARM = 12               # runs of a program before it is run under plans
FAULTS = (("failslab/ignore-gfp-wait", "N"), ("failslab/verbose", "0"), ("fail_page_alloc/ignore-gfp-wait", "N"),
          ("fail_page_alloc/ignore-gfp-highmem", "N"), ("fail_page_alloc/min-order", "0"), ("fail_page_alloc/verbose", "0"))


_HOSTS = re.compile(r" ?\b(?:uml_dir|kemu|kemu_share|initrd)=\S+")     # words of the command line: numbers of files, folders


@dataclass(frozen=True)
class Switched:
    """A switch that was: at which scheduling question, who ran and who then did, where the first one stands."""

    point: int
    frm: str
    to: str
    pc: int


@dataclass(frozen=True)
class Said:
    """What a step came to: the number that the call gives (-errno), and a digest of the bytes or names."""

    value: int
    digest: int


@dataclass
class Outcome:
    """What one plan came to. ``wrong``: number of the first step that said something else than what is right, ``wire.LOG`` if it
    is the kernel's log that has more lines, None if all is right.
    ``fresh``: edges of the code that no plan before it had run, of the plans since the program was learnt.
    ``signature``: of all that the steps said. ``crash``: as an Answer's, with ``message``.
    """

    end: End
    points: int = 0
    wrong: int | None = None
    signature: int = 0
    switches: list[Switched] = field(default_factory=list)
    crash: str | None = None
    message: str = ""
    console: str = ""
    fresh: int = 0


class Sched:
    """A kernel of a flavour ``sched``, booted when it is needed and again after each crash; it holds images for its programs.

    ``images``: at dev/kemuN (``backend`` disk), dev/loopN (loop) or files/N (file), below ``program.ROOM``.
    """

    def __init__(self, kernel: Path, images: Sequence[bytes] = (), backend: str = "disk", memory: str = "linear", at: int = 0,
                 ram: str = "256M", timeout: float = 20.0, cpu: int | None = None):
        self.path = kernel
        self.images = list(images)
        self.boots = 0
        self.timeout = timeout
        self._how = backend, memory, at
        self._patient = False
        self._ram = ram
        self._cpu = cpu
        self._process: Process | None = None
        self._serves = False                    # programs, not the agent's other requests
        self._program: Program | None = None
        self._ops = 0
        self.said: list[Said | None] = []       # what the steps of the last plan that was run came to; None: not reached

    def __enter__(self) -> Sched:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the kernel."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def load(self, images: Sequence[bytes], backend: str = "disk", memory: str = "linear", at: int = 0, patient: bool = False
             ) -> None:
        """Other images, for the programs to come. ``patient``: of the calls that can fail only those do that may not wait."""
        if (list(images), (backend, memory, at), patient) != (self.images, self._how, self._patient):
            self._ask()
            self.images, self._how, self._patient = list(images), (backend, memory, at), patient

    def _ask(self) -> None:
        """The running kernel's agent listens again."""
        process = self._process
        if process is not None and self._serves:
            self._serves = False
            self._program = None
            try:
                process.send(b"q", self.timeout)
                self._answer(process)
            except BootError:
                self.close()

    def walk(self, image: bytes, most: int = 1000) -> list[Entry]:
        """What the kernel shows of an image, contents apart; empty if it does not mount it."""
        self._ask()
        process = self._boot()
        self._share_images(process, [image])
        process.send(agent.request(2, agent.Op.EROFS, [], memory=_kind_for(image), cap=0, entries=most, sizes=[len(image)],
                                   flags=agent.IS_SHARED | agent.BY_PROGRAM, images_at=wire.AT_IMAGES), self.timeout)
        head = agent.parse_answer(process.receive(agent.ANSWER_SIZE, self.timeout))
        body = process.receive(head.entries_len + head.text_len + head.kmsg_len, self.timeout)
        return parse_entries(body[:head.entries_len], head.entries)

    def _answer(self, process: Process) -> agent.Answer:
        head = agent.parse_answer(process.receive(agent.ANSWER_SIZE, self.timeout))
        process.receive(head.entries_len + head.text_len + head.kmsg_len, self.timeout)
        return head

    def _boot(self) -> Process:
        if self._process is None:
            from kemu.rung.uml.agentbin import initrd_with_agent  # noqa: PLC0415  (start-up)

            process = Process(self.path, initrd_with_agent(), ARGS, self._ram, self._cpu, share=wire.SHARE)
            self.boots += 1
            try:
                agent.parse_answer(process.receive(agent.ANSWER_SIZE, 60.0))      # ready
            except BaseException:
                process.close()
                raise
            self._process = process
            self._program = None
            self._serves = False
            self._write(process, FAULTS)
        return self._process

    def _write(self, process: Process, settings: Sequence[tuple[str, str]]) -> None:
        """Settings of the injectors."""
        for name, value in settings:
            process.send(agent.request(3, agent.Op.WRITE, [], f"debug/{name}\n{value}"), self.timeout)
            if error := self._answer(process).error:
                raise RungError(f"no fault injection in this kernel: {name}: {errno_name(error)}")

    def boot(self) -> Process:
        """The running kernel, with the images in their places."""
        process = self._boot()
        if not self._serves:
            self._place(process)
            self._serves = True
        return process

    @staticmethod
    def _share_images(process: Process, images: Sequence[bytes]) -> None:
        assert process.shared is not None
        if sum(map(len, images)) > wire.IMAGES:
            raise RungError(f"{sum(map(len, images))} bytes of images: at most {wire.IMAGES}")
        at = wire.AT_IMAGES
        for image in images:
            process.shared[at:at + len(image)] = image
            at += len(image)

    def _place(self, process: Process) -> None:
        backend, memory, at = self._how
        self._write(process, [(f"{name}/ignore-gfp-wait", "NY"[self._patient]) for name in ("failslab", "fail_page_alloc")])
        sizes = [len(i) for i in self.images]
        self._share_images(process, self.images)
        process.send(agent.request(1, agent.Op.SCHED, [], backend=agent.Backend[backend.upper()],
                                   memory=agent.Memory[memory.upper()], at=at, sizes=sizes, flags=agent.IS_SHARED,
                                   images_at=wire.AT_IMAGES), self.timeout)
        head = self._answer(process)
        if head.error:
            raise RungError(f"no memory of that kind for {sum(sizes)} bytes ({errno_name(head.error)})")

    # ---- programs ----

    @property
    def console(self) -> str:
        """What the running kernel has said since its boot, without what is the host's; empty if none runs."""
        return same(self._process.console()) if self._process is not None else ""

    def learn(self, program: Program) -> Outcome:
        """Run the program with nobody preempted: what its steps say then is right. A crash is the outcome's. It is run a few
        times, so that what caches and allocators keep is much as it will be when it has been run a thousand times.
        """
        return self.run(program, [Plan()] * WARM, learn=True)[-1]

    def trace(self, program: Program, plan: Plan) -> list[int]:
        """Run the program under a plan; where the task that ran was at each scheduling question (addresses of the kernel)."""
        out = self.run(program, [plan], trace=True)[0]
        share = self._process.shared if self._process is not None else None
        return [] if out.crash or share is None else places_of(share)

    def run(self, program: Program, plans: Sequence[Plan], learn: bool = False, trace: bool = False) -> list[Outcome]:
        """Run the program under each plan; one that crashes the kernel, or under which a step said something wrong, is the last.
        """
        process = self.boot()
        share = process.shared
        assert share is not None
        if program is not self._program:
            ops, strings = program.packed()
            share[wire.AT_OPS:wire.AT_OPS + len(ops)] = ops
            share[wire.AT_STRINGS:wire.AT_STRINGS + len(strings)] = strings
            self._program = program
            self._ops = len(program.numbered())
        data = b"".join(map(packed, plans))
        share[wire.AT_PLANS:wire.AT_PLANS + len(data)] = data
        share[:wire.HEAD.size] = wire.HEAD.pack(wire.MAGIC, self._ops, len(plans), 0, 0, learn, True,
                                                    program.late, trace, program.talks, 0, 0)
        process.started = process.mark()
        try:
            process.send(b"r", self.timeout)
            word = process.receive(1, self.timeout)
        except BootError as e:
            return self._crashed(process, e, plans)
        if word != b"d":
            self.close()
            raise RungError("the kernel does not take the program")
        done = wire.HEAD.unpack_from(share)[3]
        if not 0 < done <= len(plans):
            self.close()
            raise RungError(f"the kernel says that {done} of {len(plans)} plans were run")
        out = results(share, done)
        self._take_said(share)
        last = out[-1]
        last.console = process.console(process.started)
        if last.end is not End.DONE:
            self._spoilt(last)
        return out

    def _take_said(self, share: mmap.mmap) -> None:
        self.said = []
        for i in range(self._ops):
            value, digest, run = wire.SAID.unpack_from(share, wire.AT_SAID + i * wire.SAID.size)
            self.said.append(Said(value, digest) if run else None)

    def _crashed(self, process: Process, e: BootError, plans: Sequence[Plan]) -> list[Outcome]:
        """The kernel is gone: what the plans before had come to, and what it said."""
        share = process.shared
        assert share is not None
        running = min(wire.HEAD.unpack_from(share)[4], len(plans) - 1)
        out = results(share, running)
        kind = "hang" if isinstance(e, BootTimeout) else "panic" if str(e).startswith("kernel panic") else "exit"
        at = wire.AT_RESULTS + running * wire.RESULT_BYTES
        last = _result(share[at:at + wire.RESULT_BYTES])
        out.append(Outcome(End.HANG if kind == "hang" else End.SPLAT, last.points, switches=last.switches, crash=kind,
                           message=str(e), console=process.console(process.started)))
        self.close()
        return out

    def _spoilt(self, last: Outcome) -> None:
        """A kernel that has warned, or has a task that does not come back, is no judge any more."""
        last.crash = "hang" if last.end is End.HANG else "splat"
        last.message = find_splat(last.console) or ("a task does not come back" if last.end is End.HANG else "tainted")
        self.close()


def _kind_for(image: bytes) -> agent.Memory:
    return agent.Memory.LINEAR if len(image) < 1 << 21 else agent.Memory.VMALLOC


def same(console: str) -> str:
    """A kernel's log without what is the host's, which is another in each process."""
    return _HOSTS.sub("", console[max(console.find("Linux version"), 0):])


def places_of(share: mmap.mmap) -> list[int]:
    """Where the tasks were at each scheduling question, if that was asked for."""
    n = min(wire.HEAD.unpack_from(share)[8], wire.TRACE)
    return [word & (1 << wire.TRACE_PID) - 1 for word in struct.unpack_from(f"<{n}Q", share, wire.AT_TRACE)]


def results(share: mmap.mmap, n: int) -> list[Outcome]:
    """What the first ``n`` plans came to."""
    size = wire.RESULT_BYTES
    return [_result(share[at:at + size]) for at in range(wire.AT_RESULTS, wire.AT_RESULTS + n * size, size)]


def _result(data: bytes) -> Outcome:
    end, points, switches, wrong, _, fresh, signature = wire.RESULT.unpack_from(data)
    taken = [wire.SWITCHED.unpack_from(data, wire.RESULT.size + i * wire.SWITCHED.size)
             for i in range(min(switches, wire.SWITCHES))]
    return Outcome(End(end or End.SPLAT), points, wrong - 1 if wrong else None, signature,
                   [Switched(point, f"{_comm(frm)}/{frm_pid}", f"{_comm(to)}/{to_pid}", pc)
                    for point, to_pid, frm_pid, pc, frm, to in taken], fresh=fresh)


def _comm(name: bytes) -> str:
    return name.split(b"\0")[0].decode(errors="replace")
