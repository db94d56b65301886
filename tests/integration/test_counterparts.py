# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.counterparts`` on functions made up for it: what it tells, and what it takes for the same."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.counterparts import allowed, c_statements
from tests.counterparts.ported import compare_texts

C = """
static int thing_read(struct super_block *sb, struct thing *t, unsigned int len)
{
	struct thing_sb_info *sbi = THING_SB(sb);
	void *buf;
	int err = -ENOMEM, i;

	/* if (never) lose(); */
	buf = kmalloc(len, GFP_KERNEL);
	if (!buf)
		goto out;
	for (i = 0; i < len; i += sbi->step) {
		err = thing_step(sb, t->pos + i, buf);
		if (err)
			goto out_free;
	}
	switch (t->mode & S_IFMT) {
	case S_IFREG:
		t->ops = &thing_file_ops;
		break;
	default:
		pr_err("bogus mode %o", t->mode);
	}
	spin_lock_irqsave(&sbi->lock, flags);
	++sbi->reads;
	spin_unlock_irqrestore(&sbi->lock, flags);
out_free:
	kfree(buf);
out:
	return err;
}
"""

PORT = '''
def thing_read(sb, t, len_):
    """Reads."""
    sbi = THING_SB(sb)
    err = -ENOMEM
    labels = Labels()

    @labels.label
    def out_free():
        kfree(buf)

    buf = kmalloc(len_, GFP_KERNEL)
    if not buf:
        return err
    for i in range(0, len_, sbi.step):
        err = thing_step(sb, u64(t.pos + i), buf)
        if err:
            return labels.goto(out_free, err)
    fmt = t.mode & S_IFMT
    if fmt == S_IFREG:
        t.ops = thing_file_ops
    else:
        pr_err("bogus mode %o", t.mode)
    spin_lock(sbi.lock)
    sbi.reads += 1
    spin_unlock(sbi.lock)
    return labels.goto(out_free, err)
'''


def told(python: str) -> list[str]:
    return [s.text for s in compare_texts(C, python)]


def test_a_port_in_the_idioms_has_all_its_counterparts() -> None:
    assert told(PORT) == []


@pytest.mark.parametrize(("before", "more", "line"), [
    ("    buf = kmalloc", "    if this.watch is None:\n        return quick_read(sb, t)\n", "if this.watch is None:"),
    ("    fmt = t.mode", "    t.cached = remember(t)\n", "t.cached = remember(t)"),
    ("    spin_lock(sbi.lock)", "    mutex_lock(t.other)\n", "mutex_lock(t.other)"),
    ("    err = -ENOMEM", "    def quick(x):\n        return x.fast\n", "def quick(x):"),
])
def test_what_c_has_not_is_told(before: str, more: str, line: str) -> None:
    assert line in told(PORT.replace(before, more + before, 1))


def test_a_second_form_of_what_c_has_once_is_told() -> None:
    loop = PORT[PORT.index("    for i in"):PORT.index("    fmt =")]
    assert told(PORT.replace("    fmt =", loop + "    fmt =")) != []


def test_comments_and_strings_of_the_c_are_no_counterpart() -> None:
    assert (told(PORT.replace("    buf = kmalloc", "    if never:\n        lose()\n    buf = kmalloc", 1))
            == ["if never:", "lose()"])
    assert "bogus" not in " ".join(c_statements.texts(C))


def test_the_third_part_of_a_loop_stands_where_the_loop_ends() -> None:
    texts = c_statements.texts(C)
    assert texts.index("i += sbi->step") == texts.index("err = thing_step(sb, t->pos + i, buf)") + 3


def test_the_list_is_read_and_its_mistakes_are_told(tmp_path: Path) -> None:
    f = tmp_path / "allowed.txt"
    f.write_text("# comment\nfs/x.c:f | a = b | c | because\n")
    assert allowed.read(f) == {("fs/x.c:f", "a = b | c"): "because"}
    for wrong in ("fs/x.c:f | a = b\n", "fs/x.c:f | a = b | \n", "fs/x.c:f | a | why\nfs/x.c:f | a | why else\n"):
        f.write_text(wrong)
        with pytest.raises(allowed.Malformed):
            allowed.read(f)


def test_the_list_that_is_kept_has_a_reason_for_each() -> None:
    assert all(len(why.split()) >= 3 for why in allowed.read().values())
