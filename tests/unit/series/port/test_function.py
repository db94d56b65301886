# SPDX-License-Identifier: GPL-2.0-only
"""C to Python by rule: what is converted where, goto by the idioms, and what is marked."""
from __future__ import annotations

import pytest

from kemu.series.emit.declarations import Declarations
from kemu.series.port.function import NoPython, Ported, translate
from kemu.series.port.names import Names

HEADER = """
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long loff_t;
typedef u64 erofs_off_t;
struct inode { loff_t i_size; struct super_block *i_sb; unsigned int i_flags; };
struct super_block { unsigned long s_blocksize; };
struct erofs_buf { void *base; };
void erofs_put_metabuf(struct erofs_buf *buf);
int mutex_lock(struct mutex *m);
void kfree(const void *p);
void *erofs_read_metabuf(struct erofs_buf *buf, struct super_block *sb, erofs_off_t offset, bool in_metabox);
int f(struct inode *inode, u32 a, u64 b);
"""


def _python(c: str) -> Ported:
    return translate(c, "f", Declarations(HEADER), Names(("erofs_memback",), "erofs_memback.inode"))


def _body(c: str) -> list[str]:
    return _python(c).text.split("\n")[1:]


@pytest.mark.parametrize(("c", "python"), [
    ("a = a + 1;", "a = u32(a + 1)"),                               # wraps at 32 bits
    ("b = a - 1;", "b = u32(a - 1)"),                               # at 32, and is widened then
    ("b = (u64)a << 4;", "b = u64(u64(a) << 4)"),
    ("a = b;", "a = u32(b)"),
    ("a = b & 0xff;", "a = u32(b & 0xff)"),
    ("a &= ~3;", "a &= ~3"),
    ("inode->i_size = b;", "inode.i_size = loff_t(b)"),
    ("if (unlikely(!inode)) return -EFSCORRUPTED;", "if not inode:"),
    ("if (a - 1 > b) return 1;", "if u32(a - 1) > b:"),
    ("if (inode->i_size < b) return 1;", "if u64(inode.i_size) < b:"),
    ("b = READ_ONCE(b) ?: 3;", "b = b or 3"),
    ("a = IS_ENABLED(CONFIG_X) ? 1 : 2;", 'a = 1 if IS_ENABLED("CONFIG_X") else 2'),
    ("a = min_t(u32, b, 7);", "a = min(u32(b), 7)"),
    ("a++;", "a = u32(a + 1)"),
    ("inode->i_sb = NULL;", "inode.i_sb = NULL"),
])
def test_one_statement(c: str, python: str) -> None:
    made = _python(f"int f(struct inode *inode, u32 a, u64 b)\n{{\n\t{c}\n\treturn 0;\n}}")
    assert made.missing == [] and made.text.split("\n")[1] == f"    {python}"


def test_one_label_that_every_path_takes() -> None:
    c = """int f(struct inode *inode, u32 a, u64 b)
{
	struct erofs_buf buf = {};
	void *ptr;
	int err = 0;

	ptr = erofs_read_metabuf(&buf, inode->i_sb, b, false);
	if (IS_ERR(ptr)) {
		err = PTR_ERR(ptr);
		goto out;
	}
	a = 1;
out:
	erofs_put_metabuf(&buf);
	return err;
}"""
    assert _body(c) == ["    buf = erofs_buf()", "    err = 0", "    try:",
                        "        ptr = erofs_read_metabuf(buf, inode.i_sb, b, False)", "        if IS_ERR(ptr):",
                        "            err = s32(PTR_ERR(ptr))", "            return err", "        a = 1", "        return err",
                        "    finally:", "        erofs_put_metabuf(buf)"]


def test_labels_that_undo() -> None:
    c = """int f(struct inode *inode, u32 a, u64 b)
{
	int err = 0;

	if (a)
		goto err_a;
	if (b)
		goto err_b;
	return 0;
err_b:
	kfree(inode);
err_a:
	kfree(inode);
	return err;
}"""
    text = _python(c).text
    assert text.index("def err_b() -> None:") < text.index("def err_a() -> None:") < text.index("return out_.goto(err_a, err)")
    assert "return out_.goto(err_b, err)" in text and text.count("Labels()") == 1
    compile(text, "f", "exec")


def test_loops() -> None:
    c = """int f(struct inode *inode, u32 a, u64 b)
{
	for (a = 0; a < 8; ++a) {
		if (b)
			continue;
		b = 1;
	}
	do {
		if (a == 3)
			continue;
		a = 4;
	} while (a < 9);
	return 0;
}"""
    body = "\n".join(_body(c))
    assert "    while a < 8:\n        if b:\n            a = u32(a + 1)\n            continue\n" in body
    assert "        if a == 3:\n            if not (a < 9):\n                break\n            continue\n" in body


def test_a_switch() -> None:
    c = """int f(struct inode *inode, u32 a, u64 b)
{
	switch (a) {
	case 1:
	case 2:
		b = 1;
		break;
	case 3:
		b = 2;
		fallthrough;
	default:
		return -EFSCORRUPTED;
	}
	return 0;
}"""
    assert _body(c) == ["    if a in (1, 2):", "        b = 1", "    elif a == 3:", "        b = 2",
                        "        return -EFSCORRUPTED", "    else:", "        return -EFSCORRUPTED", "    return 0"]


@pytest.mark.parametrize("c", ["nobody_has_this(a);", "goto nowhere;", "a = *(u32 *)inode;", "a = -1 / (int)b;", "asm(\"nop\");",
                               "if (b && (a = 3)) return 1;", "inode->nothing = 1;"])
def test_what_no_rule_translates_is_marked(c: str) -> None:
    made = _python(f"int f(struct inode *inode, u32 a, u64 b)\n{{\n\t{c}\n\treturn 0;\n}}")
    assert len(made.missing) == 1 and made.missing[0].why and "TODO(" in made.text
    compile(made.text, "f", "exec")


def test_a_null_is_no_view() -> None:
    """A pointer that may be NULL is tested afterwards."""
    header = HEADER + "struct erofs_dirent { u64 nid; };\nint f(void *p);\n"
    made = translate("int f(void *p)\n{\n\tstruct erofs_dirent *de = p;\n\n\tif (!de)\n\t\treturn 1;\n\treturn 0;\n}", "f",
                     Declarations(header), Names(("erofs_memback",), "erofs_memback.dir"))
    assert "de = erofs_dirent(p) if p else NULL" in made.text


def test_no_function() -> None:
    for c in ("int f(int a, ...)\n{\n\treturn 0;\n}", "int f;"):
        with pytest.raises(NoPython):
            _python(c)
