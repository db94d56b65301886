# SPDX-License-Identifier: GPL-2.0-only
"""What the check of "as Linux" sees: locks, warnings and errors of a C body and of a Python one. No kernel tree needed."""
from __future__ import annotations

from pathlib import Path
from types import FunctionType

import pytest

from kemu.linux.bug import WARN_ON
from kemu.linux.errno import EINVAL, EIO
from kemu.linux.mutex import mutex_lock, mutex_unlock
from kemu.linux.port import honesty
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.types import u32, u64
from kemu.linux.unaligned import get_unaligned_le32
from kemu.report.samecheck import ctext, known, pytext
from kemu.report.samecheck.compare import Checker, Difference, Subject, differences
from kemu.report.samecheck.events import Events

FILE = "fs/planted.c"
C = """
static void helper(struct thing *t)
{
	spin_lock_irqsave(&t->lock, flags);	/* mutex_lock(&no) */
	t->n++;
	spin_unlock_irqrestore(&t->lock, flags);
}

int locked(struct thing *t)
{
	if (WARN_ON(!t))
		return -EINVAL;
	helper(t);
	return 0;
}

int guarded(struct thing *t)
{
	guard(mutex)(&t->m);
	scoped_guard(spinlock, &t->lock) {
		t->n++;
	}
	pr_info("-EIO spin_lock(x)");
	return t->n;
}

int chosen(struct thing *t)
{
#ifdef CONFIG_PREEMPT_RT
	mutex_lock(&t->rt);
#else
	spin_lock(&t->lock);
#endif
#ifdef CONFIG_BUFFER_HEAD
	return -EIO;
#endif
	return 0;
}
"""


def as_c(t):
    if WARN_ON(t is None):
        return -EINVAL
    spin_lock(t.lock)
    t.n += 1
    spin_unlock(t.lock)
    return 0


def forgotten(t):
    if t is None:
        return -EIO
    t.n += 1
    return 0


def guards(t):
    mutex_lock(t.m)
    spin_lock(t.lock)
    spin_unlock(t.lock)
    mutex_unlock(t.m)


def through_an_import_of_its_own(t):
    from tests.unit.report.samecheck.test_compare import as_c as called

    return called(t)


@pytest.fixture
def checker(tmp_path: Path) -> Checker:
    f = tmp_path / FILE
    f.parent.mkdir(parents=True)
    f.write_text(C)
    return Checker(tmp_path)


def words(checker: Checker, c_name: str, fn: FunctionType) -> list[str]:
    return [d.what for d in checker.compare(Subject(__name__, fn.__name__, FILE, c_name, fn))]


def test_a_port_that_locks_as_its_helper_does(checker):
    assert words(checker, "locked", as_c) == []


def test_what_a_function_imports_itself_is_looked_at_too():
    assert pytext.resolve(through_an_import_of_its_own, "called") is as_c


def test_a_port_that_forgot_the_lock_the_warning_and_the_error(checker):
    assert (words(checker, "locked", forgotten) == ["-lock spin lock lock", "-lock spin unlock lock", "-warn WARN 1",
                                                    "-error EINVAL", "+error EIO"])
    found = checker.compare(Subject(__name__, "forgotten", FILE, "locked", forgotten))
    assert [d.via for d in found][:2] == ["helper", "helper"]


def test_guards_lock_and_unlock_and_strings_do_not(checker):
    assert words(checker, "guarded", guards) == []
    assert words(checker, "guarded", as_c)[:2] == ["-lock mutex lock m", "-lock mutex unlock m"]


def test_branches_that_no_machine_has_are_left_out():
    ev = ctext.events(C[C.index("int chosen"):])
    assert ev.locks == {("lock", "spin", "lock"): 1} and ev.errors == {"EIO"}


def test_a_lock_of_another_name_is_the_same_lock_if_there_are_as_many():
    c, py = ctext.events("void f(void)\n{\n\tspin_lock(&a->b.i_lock);\n}"), pytext.function_events(as_c)
    assert ("lock", "spin", "i_lock") in c.locks
    assert "-lock spin lock i_lock" not in differences(c, py, Events(), Events())


def test_every_line_of_the_two_files_can_be_read_and_has_a_reason():
    reasons = known.explained()
    assert reasons and all(len(why) > 20 and not why.lower().startswith(("simplified", "not needed")) for why in reasons.values())
    assert all(word[:1] in "+-" for _, word in [*reasons, *known.still_open()])
    assert not set(reasons) & known.still_open()


def test_no_difference_is_open():
    assert known.still_open() == set()


def test_a_line_that_nothing_needs_is_stale_and_a_new_difference_is_new():
    (where, word), *_ = sorted(known.explained())
    path, _, c_name = where.partition(":")
    v = known.judge([Difference(path, c_name, word, "m", "n"), Difference("fs/x.c", "y", "-lock spin lock z", "m", "n")])
    assert ([d.what for d in v.new] == ["-lock spin lock z"] and len(v.explained) == 1 and f"{where} | {word}" not in v.stale
            and v.stale)


def test_what_has_to_be_as_linux_is_still_said():
    """The functions that once said @dup and were not."""
    said = {s.c_name: s.honesty for s in honesty.symbols.values()}
    assert said["iomap_fail_buffered_read"] == said["kernel_write"] == said["filemap_read"] == "dup"


WIDE = """
static int wide(u64 pos, unsigned int len)
{
	u64 cur = pos, end;
	unsigned int i = 0, left = 4096;

	end = cur + len;
	while (cur < end) {
		cur += len;
		left -= len;
		++i;
	}
	return le32_to_cpup(p) << i;
}
"""


def narrow(pos, len_):
    cur, i, left = pos, 0, 4096
    end = u64(cur + len_)
    while cur < end:
        cur += len_
        left = u32(left - len_)
        i += 1
    return get_unaligned_le32(pos) << i


def test_what_is_assigned_without_its_width_is_seen():
    from kemu.report.samecheck import widths

    assert widths.unsigned_locals(WIDE) == {"pos": 64, "len": 32, "cur": 64, "end": 64, "i": 32, "left": 32}
    assert widths.forgotten(WIDE, narrow) == ["-load le32_to_cpup", "-width u64 cur"]
