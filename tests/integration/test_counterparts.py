# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.counterparts`` on functions made up for it: what it tells, and what it takes for the same."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.counterparts import allowed, c_statements, ratchet
from tests.counterparts.bodies import c_side, is_absent
from tests.counterparts.ported import compare_texts
from tests.counterparts.ratchet import Held

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


def test_of_a_body_the_numbers_do_not_grow() -> None:
    held = {"fs/x.c:f": Held(2, 3, ""), "fs/x.c:g": Held(20, 20, "done in another way")}
    assert ratchet.judge({"fs/x.c:f": (2, 3), "fs/x.c:g": (20, 20)}, held) == []
    assert "only +2 -3 is allowed" in ratchet.judge({"fs/x.c:f": (3, 3), "fs/x.c:g": (20, 20)}, held)[0]
    assert "only +0 -0" in ratchet.judge({"fs/x.c:f": (2, 3), "fs/x.c:g": (20, 20), "fs/x.c:new": (0, 1)}, held)[0]


def test_what_fell_is_written_down_and_what_grew_is_not(tmp_path: Path) -> None:
    held = {"fs/x.c:f": Held(2, 3, ""), "fs/x.c:g": Held(1, 0, "for a reason"), "fs/x.c:h": Held(1, 1, "")}
    now = {"fs/x.c:f": (1, 3), "fs/x.c:h": (2, 0)}
    assert len(ratchet.judge(now, held)) == 3
    ratchet.write(ratchet.lowered(now, held), tmp_path / "b")
    assert ratchet.read(tmp_path / "b") == {"fs/x.c:f": Held(1, 3, ""), "fs/x.c:h": Held(1, 0, "")}


def test_many_need_a_reason() -> None:
    many = ratchet.LARGE
    assert "needs a reason" in ratchet.judge({"f.c:f": (many, 1)}, {"f.c:f": Held(many, 1, "")})[0]
    assert not ratchet.judge({"f.c:f": (many, 1)}, {"f.c:f": Held(many, 1, "for this reason")})


def test_what_the_emulated_kernel_has_not_is_no_statement() -> None:
    c = ("int f(struct inode *inode)\n{\n\tint error;\n\n\terror = security_inode_mkdir(inode);\n\tgo(inode);\nout:\n\treturn "
         "error;\n}\n")
    assert [t for t, _ in c_side(c)] == ["go(inode)"]
    assert is_absent("fsnotify_open") and not is_absent("security_inode_need_killpriv") and not is_absent("secure")


def test_the_list_of_bodies_has_a_reason_for_each_large_one() -> None:
    assert [w for w, h in ratchet.read().items() if h.more + h.less > ratchet.LARGE and len(h.reason.split()) < 3] == []
