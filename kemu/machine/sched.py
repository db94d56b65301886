# SPDX-License-Identifier: GPL-2.0-only
"""Tasks, the scheduler and the virtual clock.

Tasks are greenlets: ported code stays plain calls and is switched only where the kernel could switch it. With no Chooser attached
the order is first in, first out and a task runs until it waits; with one, every scheduling point asks it.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from greenlet import getcurrent, greenlet

from kemu.machine.current import this
from kemu.machine.splat import Deadlock, HungTask

PF_KTHREAD = 0x00200000
HZ = 100
NSEC_PER_JIFFY = 1_000_000_000 // HZ
MAX_ALONE = 100_000             # naps of one task with nobody else around
BOOT_EPOCH = 5_000_000_000      # later than anything that a cpio archive can say (32 bits): a time from then on is the clock's


class Clock:
    """Virtual time: it moves when something sleeps or when work is charged to it, never by itself."""

    __slots__ = ("boot_epoch", "now_ns")

    def __init__(self) -> None:
        self.now_ns = 0
        self.boot_epoch = BOOT_EPOCH

    @property
    def jiffies(self) -> int:
        """The clock in jiffies."""
        return self.now_ns // NSEC_PER_JIFFY


class Task:
    """``struct task_struct``, as far as ported code and the scheduler use it."""

    __slots__ = ("comm", "pid", "flags", "greenlet", "fn", "state", "waiting_on", "wake_at", "kmap_depth", "locks",
                 "preempt_count", "rcu_depth",
                 "memalloc", "fs", "cred", "task_works", "journal_info", "bio_list", "pending_signal", "exit_code", "stack_depth",
                 "plug", "woken", "extra")

    def __init__(self, comm: str, pid: int, flags: int = 0, fn: Callable[[], Any] | None = None):
        self.comm = comm
        self.pid = pid
        self.flags = flags
        self.fn = fn
        self.greenlet: greenlet | None = None
        self.state = "running"              # running, runnable, waiting, dead
        self.waiting_on: Any = None
        self.wake_at = -1
        self.kmap_depth = 0
        self.locks: list[Any] = []
        self.preempt_count = 0
        self.rcu_depth = 0
        self.memalloc = 0
        self.fs: Any = None
        self.cred: Any = None
        self.task_works: list[Any] = []
        self.journal_info: Any = None
        self.bio_list: Any = None
        self.pending_signal = False
        self.exit_code = 0
        self.stack_depth = 0
        self.plug: Any = None
        self.woken = False
        self.extra: Any = None

    def __repr__(self) -> str:
        return f"<task {self.comm}/{self.pid} {self.state}>"


class WaitQueue:
    """``wait_queue_head_t``: the tasks that sleep on something; ``what`` names it in a deadlock report."""

    __slots__ = ("owner", "tasks", "what")

    def __init__(self, what: str = "", owner: Any = None):
        self.tasks: list[Task] = []
        self.what = what
        self.owner = owner          # callable or object that tells who should wake the sleepers

    def wake(self, nr: int = 0) -> None:
        """Make ``nr`` sleepers runnable (0: all)."""
        if not self.tasks:
            return
        if nr and nr < len(self.tasks):
            woken, self.tasks = self.tasks[:nr], self.tasks[nr:]
        else:
            woken, self.tasks = self.tasks, []
        for t in woken:
            this.sched.make_runnable(t)


class Scheduler:
    """Runs tasks. The task that made the machine is the first one and owns the main greenlet."""

    __slots__ = ("alone", "clock", "current", "idlers", "main", "next_pid", "polls", "runnable", "sleepers", "spins", "tasks",
                 "max_switches", "switches")

    def __init__(self, clock: Clock, first: Task):
        self.clock = clock
        self.main = first
        self.current = first
        first.greenlet = getcurrent()
        self.runnable: deque[Task] = deque()
        self.sleepers: list[Task] = []
        self.tasks: list[Task] = [first]
        self.next_pid = first.pid + 1
        self.alone = 0              # times in a row that the only thing to do was to wake the task that had just gone to sleep
        self.switches = 0
        self.max_switches = 5_000_000
        self.spins = 0
        self.polls = 0              # calls of cond_resched()
        self.idlers: list[Task] = []            # tasks in run_others(): they go on when nothing else can

    def spawn(self, comm: str, fn: Callable[[], Any], flags: int = 0, pid: int = 0) -> Task:
        """A new task that is runnable at once and calls ``fn()``."""
        if not pid:
            pid = self.next_pid
            self.next_pid += 1
        t = Task(comm, pid, flags, fn)
        t.state = "runnable"
        self.tasks.append(t)
        self.runnable.append(t)
        return t

    def make_runnable(self, t: Task) -> None:
        """A task that waits goes on as soon as it is chosen."""
        if t.state == "waiting":
            t.state = "runnable"
            t.waiting_on = None
            if t.wake_at >= 0:
                t.wake_at = -1
                self.sleepers.remove(t)
            t.woken = True
            self.runnable.append(t)

    # ------------------------------------------------------------ switching

    def _run(self, t: Task) -> None:
        """Switch to ``t``; returns when the caller is switched to again."""
        prev = self.current
        if t is prev:
            t.state = "running"
            return
        self.switches += 1
        if self.switches > self.max_switches:
            raise HungTask(f"INFO: task {t.comm}:{t.pid} keeps the machine busy: {self.switches} task switches",
                           self.describe_waiters())
        this.counters.task_switches += 1
        if this.watch is not None:
            this.watch.event("sched_switch", prev=prev, next=t)
        t.state = "running"
        self.current = t
        this.task = t
        g = t.greenlet
        if g is None:
            g = t.greenlet = greenlet(lambda: self._body(t), parent=self.main.greenlet)
        g.switch()
        # back here: whoever switched to us has set current and this.task

    def _body(self, t: Task) -> None:
        assert t.fn is not None
        try:
            t.fn()
        except BaseException:
            # a splat in this task ends the experiment: it surfaces in the main task, whose state must be right
            t.state = "dead"
            self.current = self.main
            this.task = self.main
            self.main.state = "running"
            raise
        t.state = "dead"
        self.tasks.remove(t)
        self._pick_and_run()

    def _pick(self) -> Task:
        while not self.runnable:
            if self.idlers:
                return self.idlers.pop()
            if not self.sleepers:
                raise Deadlock("INFO: task hung: every task waits and nothing will wake one", self.describe_waiters())
            t = min(self.sleepers, key=lambda s: s.wake_at)
            self.clock.now_ns = max(self.clock.now_ns, t.wake_at)
            self.make_runnable(t)
            t.woken = False
            self.alone = self.alone + 1 if t is self.current else 0
            if self.alone > MAX_ALONE:
                raise HungTask(f"INFO: task {t.comm}:{t.pid} sleeps and looks again for ever: there is no other task that could "
                               f"change anything",
                               self.describe_waiters())
        ch = this.chooser
        if ch is not None and len(self.runnable) > 1:
            i = ch.task(list(self.runnable), None, "schedule")
            t = self.runnable[i]
            del self.runnable[i]
            return t
        return self.runnable.popleft()

    def _pick_and_run(self) -> None:
        self._run(self._pick())

    def block(self, wq: WaitQueue, timeout_ns: int = -1) -> bool:
        """Sleep on ``wq`` until woken; False if the timeout ended it first."""
        t = self.current
        t.state = "waiting"
        t.waiting_on = wq
        t.woken = False
        wq.tasks.append(t)
        if timeout_ns >= 0:
            t.wake_at = self.clock.now_ns + timeout_ns
            self.sleepers.append(t)
        try:
            nxt = self._pick()
        except Deadlock:
            t.state = "running"
            wq.tasks.remove(t)
            raise
        self._run(nxt)
        if t in wq.tasks:
            wq.tasks.remove(t)
        return t.woken

    def yield_(self, where: str = "cond_resched") -> None:
        """A point where another task may run instead: asks the Chooser; without one the current task goes on."""
        ch = this.chooser
        if ch is None or not self.runnable:
            return
        cur = self.current
        order = [cur, *self.runnable]
        i = ch.task(order, cur, where)
        if i == 0:
            return
        nxt = order[i]
        self.runnable.remove(nxt)
        cur.state = "runnable"
        self.runnable.append(cur)
        self._run(nxt)

    def relax(self, where: str) -> None:
        """A busy loop's turn (``cpu_relax``, a retry): others must run, or nothing changes."""
        if self.runnable:
            cur = self.current
            cur.state = "runnable"
            self.runnable.append(cur)
            self._run(self._pick())
            return
        self.spins += 1
        if self.sleepers:
            t = min(self.sleepers, key=lambda s: s.wake_at)
            self.clock.now_ns = max(self.clock.now_ns, t.wake_at)
            self.make_runnable(t)
            t.woken = False
        elif self.spins > 100_000:
            raise HungTask(f"watchdog: BUG: soft lockup - task {self.current.comm}:{self.current.pid} spins in {where}",
                           self.describe_waiters())

    def run_others(self) -> None:
        """Let every other task run until none is runnable (the end of an experiment, a return to user mode). Timers are not
        waited for.
        """
        cur = self.current
        if self.runnable:
            cur.state = "waiting"
            self.idlers.append(cur)
            self._run(self._pick())

    def sleep(self, ns: int) -> None:
        """``msleep`` and its kind."""
        self.block(WaitQueue("timer"), ns)

    def describe_waiters(self) -> list[str]:
        """One line a waiting task: what it waits for and who holds that."""
        out = []
        for t in self.tasks:
            if t.state == "waiting" and t.waiting_on is not None:
                owner = t.waiting_on.owner
                if callable(owner):
                    owner = owner()
                held = (f", held by {owner.comm}/{owner.pid}" if isinstance(owner, Task)
                        else (f", to be completed by {owner}" if owner else ""))
                out.append(f"task {t.comm}/{t.pid} waits for {t.waiting_on.what or 'an event'}{held}")
        return out

    def kill_all(self) -> None:
        """Drop the greenlets of the tasks that are left when the machine ends. What a task's ``finally`` does on its way out is
        no step of the kernel's: it is the task's own, and whatever comes of it is no report.
        """
        self.runnable.clear()
        self.sleepers.clear()
        for t in list(self.tasks):
            g = t.greenlet
            if t is not self.main and g is not None and not g.dead:
                t.greenlet = None
                g.parent = getcurrent()
                self.current = this.task = t
                with suppress(Exception):
                    g.throw()
        self.current = this.task = self.main
        self.tasks.clear()
