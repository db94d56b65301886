# SPDX-License-Identifier: GPL-2.0-only
"""Sleeping where that is not allowed."""
from __future__ import annotations

from kemu.check.watch import Detector
from kemu.machine.current import this
from kemu.machine.splat import Splat, call_trace, caller_function


class AtomicSleep(Detector):
    """CONFIG_DEBUG_ATOMIC_SLEEP: might_sleep() under a spinlock, with preemption off or inside an RCU read section."""

    name = "atomic sleep"

    def on_might_sleep(self, what: str = "") -> None:
        t = this.task
        if t.preempt_count or t.rcu_depth:
            func, line = caller_function()
            raise Splat(f"BUG: sleeping function called from invalid context in {func}",
                        [f"{what or 'might_sleep'}: in_atomic(): {int(t.preempt_count > 0)}, pid: {t.pid}, name: {t.comm}",
                         f"preempt_count: {t.preempt_count}, RCU nest depth: {t.rcu_depth}",
                         f"Virtual time: {this.machine.clock.now_ns} ns",
                         "Call Trace:", *call_trace()], function=func, line=line)

    def finish(self) -> None:
        for t in this.sched.tasks:
            if t.preempt_count or t.rcu_depth:
                func = f"{t.comm}/{t.pid}"
                raise Splat(f"BUG: task {func} leaked atomic or RCU state",
                            [f"preempt_count: {t.preempt_count}, RCU nest depth: {t.rcu_depth}"], function="")
