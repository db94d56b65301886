# SPDX-License-Identifier: GPL-2.0-only
"""What each idiom of docs/explanation/porting.md becomes in C, for a file that declares little."""
from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from kemu.series.emit import source
from kemu.series.emit.declarations import Declarations
from kemu.series.emit.expr import Untranslated
from kemu.series.emit.function import Emitted, emit

DECLARED = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32;
__extension__ typedef unsigned long long __u64; typedef __u64 u64; typedef long long loff_t; typedef unsigned short __le16;
typedef _Bool bool; typedef u64 nid_t; typedef unsigned int __le32; typedef unsigned long size_t;
struct list_head { struct list_head *next, *prev; };
typedef struct spinlock { int x; } spinlock_t;
struct inode { loff_t i_size; unsigned long i_ino; unsigned short i_mode; struct super_block *i_sb; };
struct outer { int nid; struct inode vfs_inode; };
struct super_block { unsigned char bits; unsigned long size; void *s_fs_info; spinlock_t lock; char s_id[32]; };
struct info { u64 epoch; struct super_block *sb; spinlock_t lock; struct list_head list; int count; };
struct dirent { nid_t nid; __le16 nameoff; u8 type; __le32 hi; } __attribute__((packed));
struct buf { void *base; struct inode *host; };
struct ops { int (*open)(struct inode *inode, int flags); };
extern const struct ops plain_ops;
static inline void *bread(struct buf *buf, u64 pos) { return buf->base; }
static inline int find(struct inode *dir, nid_t *nid, unsigned int *type) { return 0; }
void put(struct buf *buf); void spin_lock(spinlock_t *lock); void kfree(const void *p); bool IS_ERR(const void *p);
long PTR_ERR(const void *p); void *ERR_PTR(long error); struct inode *lookup(struct super_block *sb, u64 ino, void *data);
void say(struct super_block *sb, const char *fmt, ...); void take(struct inode *inode); size_t strlen(const char *);
static int busy(struct info *i, int *left) { return secret_of_the_body(); }
struct qstr { const char *name; u32 len; }; struct span { const char *name, *end; };
int span_of(struct span *s); void taken(struct info *i, struct buf *out); void list_del(struct list_head *entry);
char *kstrndup(const char *s, size_t n, unsigned int gfp); char *kstrdup(const char *s, unsigned int gfp);
int snprintf(char *to, size_t n, const char *fmt, ...);
#define FLAG_A 0x10
#define FLAG_B 0x20
#define PAGE_SIZE 4096UL
#define ENOMEM 12
#define set_opt(opt, name) ((opt)->count |= FLAG_ ##name)
#define container_of(p, t, m) ((t *)p)
#define OUTER(ptr) container_of(ptr, struct outer, vfs_inode)
#define list_for_each_entry(pos, head, member) for (;;)
#define min(a, b) 0
#define min_t(t, a, b) 0
#define IS_ENABLED(x) 0
"""

IMPORTS = "from kemu.linux.types import NULL, Ref, u64\n"


def whole(python: str, head: str, folder: Path) -> Emitted:
    path = folder / "port.py"
    path.write_text(IMPORTS + textwrap.dedent(python))
    module = source.read("port", path)
    node = next(iter(module.functions.values()))
    return emit(module, node, Declarations(DECLARED), head)


def c(python: str, head: str, folder: Path) -> list[str]:
    """The lines of the body, without their indentation and empty ones."""
    made = whole(python, head, folder)
    assert made.missing == []
    return [line.strip() for line in made.text.split("\n")[2:-1] if line.strip()]


@pytest.mark.parametrize(("python", "head", "lines"), [
    # . and -> by the type; an embedded structure is given by its address
    ("def f(sb):\n    spin_lock(sb.lock)\n    take(sb.s_fs_info)", "void f(struct super_block *sb)",
     ["spin_lock(&sb->lock);", "take(sb->s_fs_info);"]),
    # a Ref is a local whose address is given; a parameter that is one is written through
    ("def f(dir, out: Ref):\n    nid, kind = Ref(0), Ref(0)\n    err = find(dir, nid, kind)\n    out.v = nid.v\n    return err",
     "int f(struct inode *dir, u64 *out)",
     ["nid_t nid = 0;", "unsigned int kind = 0;", "int err = find(dir, &nid, &kind);", "*out = nid;", "return err;"]),
    # views of what is on disk are read in its byte order, and indexed by C's []
    ("def f(p):\n    de = dirent(p)\n    return de[1].nameoff + de.type", "int f(void *p)",
     ["struct dirent *de = (struct dirent *)p;", "return le16_to_cpu(de[1].nameoff) + de->type;"]),
    ("def f(de, n):\n    return de.p + n", "void *f(struct dirent *de, int n)", ["return (void *)de + n;"]),
    # numbers do not wrap where Python's do not
    ("def f(de):\n    return u64(de.nid | de.hi << 32)", "u64 f(struct dirent *de)",
     ["return de->nid | ((u64)le32_to_cpu(de->hi) << 32);"]),
    ("def f(a, b):\n    return a * b", "u64 f(u32 a, u32 b)", ["return (u64)a * b;"]),
    # structures made and copied
    ("def f(pos):\n    buf = buf_()\n    return bread(buf, pos)".replace("buf_()", "buf_t()"), "void *f(u64 pos)", None),
    # conditions, chained and negated
    ("def f(x, y):\n    if 1 <= x < 9 and not y:\n        return 1\n    elif x in (20, 30):\n        return 2\n    return 0",
     "int f(int x, int y)",
     ["if (1 <= x && x < 9 && !y)", "return 1;", "else if (x == 20 || x == 30)", "return 2;", "return 0;"]),
    # a do-while
    ("def f(x):\n    while True:\n        x -= 1\n        if not x > 3:\n            break\n    return x", "int f(int x)",
     ["do {", "x--;", "} while (x > 3);", "return x;"]),
    ("def f(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total", "int f(int n)",
     ["int total = 0;", "int i;", "for (i = 0; i < n; ++i) {", "total += i;", "}", "return total;"]),
    # a loop's else
    ("def f(n):\n    while n:\n        n -= 1\n        if n == 7:\n            break\n    else:\n        return 0\n"
     "    return -ENOMEM", "int f(int n)",
     ["while (n) {", "n--;", "if (n == 7)", "goto out_loop;", "}", "return 0;", "out_loop:", ";", "return -ENOMEM;"]),
    # try/finally: one label
    ("def f(b):\n    try:    # out\n        if not b.base:\n            return -ENOMEM\n        return 0\n    finally:\n"
     "        put(b)", "int f(struct buf *b)",
     ["int err;", "if (!b->base) {", "err = -ENOMEM;", "goto out;", "}", "err = 0;", "out:", "put(b);", "return err;"]),
    # what the tree's callbacks are given by void *
    ("def f(inode, opaque: int):\n    return inode.i_ino == opaque", "int f(struct inode *inode, void *opaque)",
     ["return inode->i_ino == *(unsigned long *)opaque;"]),
    ("def f(sb, nid):\n    return lookup(sb, nid, nid)", "struct inode *f(struct super_block *sb, u64 nid)",
     ["return lookup(sb, nid, &nid);"]),
    # a class that is derived from another is a structure that embeds it
    ("def f(inode):\n    vi = OUTER(inode)\n    take(vi)\n    return vi.i_size", "loff_t f(struct inode *inode)",
     ["struct outer *vi = OUTER(inode);", "take(&vi->vfs_inode);", "return vi->vfs_inode.i_size;"]),
    # macros that paste, function pointers, tables
    ("def f(i):\n    set_opt(i, FLAG_A)", "void f(struct info *i)", ["set_opt(i, A);"]),
    ("def f(o, inode):\n    if o is not plain_ops and o.open:\n        return o.open(inode, 0)\n    return 0",
     "int f(const struct ops *o, struct inode *inode)",
     ["if (o != &plain_ops && o->open)", "return o->open(inode, 0);", "return 0;"]),
    ("def f(i):\n    return IS_ENABLED('CONFIG_X') and i is not None", "bool f(struct info *i)",
     ["return IS_ENABLED(CONFIG_X) && !!i;"]),
    ("def f(sb, a):\n    sb.s_id = '%u:%u' % (a, 1)", "void f(struct super_block *sb, int a)",
     ['snprintf(sb->s_id, sizeof(sb->s_id), "%u:%u", a, 1);']),
    # a or b, as a value and as a test
    ("def f(a, b):\n    return a or b", "int f(int a, int b)", ["return a ?: b;"]),
    ("def f(a, b):\n    if a or b:\n        return 1\n    return 0", "int f(int a, int b)",
     ["if (a || b)", "return 1;", "return 0;"]),
    ("def f(sb):\n    for i in list_for_each_entry(sb.list):\n        i.count += 1", "void f(struct info *sb)",
     ["struct info *i;", "list_for_each_entry(i, &sb->list, list) {", "i->count++;", "}"]),
    # what C gives through its last parameter
    ("def f(i) -> int:\n    busy_, left = busy(i)\n    return left", "int f(struct info *i)",
     ["int busy_, left;", "busy_ = busy(i, &left);", "return left;"]),
    # what is part of a structure is not freed, and is not made
    ("def f(i):\n    i.list = list_head(i)\n    kfree(i.lock)\n    kfree(i)", "void f(struct info *i)",
     ["/* i->lock is part of what holds it */;", "kfree(i);"]),
    # a loop that takes entries off its list; a bound that is computed once
    ("def f(i):\n    for p in list_for_each(i.list):\n        list_del(p)", "void f(struct info *i)",
     ["struct list_head *p, *n;", "list_for_each_safe(p, n, &i->list) {", "list_del(p);", "}"]),
    ("def f(i, left: Ref):\n    for j in range(busy(i, left)):\n        i.count += 1", "void f(struct info *i, int *left)",
     ["int j, j_end;", "j_end = busy(i, left);", "for (j = 0; j < j_end; ++j) {", "i->count++;", "}"]),
    # what C gives through a parameter, and the port returns
    ("def f(i):\n    held = taken(i)\n    put(held)\n\ndef taken(i) -> struct_buf:\n    return struct_buf()",
     "void f(struct info *i)",
     ["struct buf held;", "taken(i, &held);", "put(&held);"]),
    # a name with its NUL is where it begins and ends
    ("def f(q):\n    qn = q.name + b'\\0'\n    return span_of(qn)", "int f(struct qstr *q)",
     ["struct span qn = { .name = q->name, .end = q->name + q->len };", "return span_of(&qn);"]),
    # an address that is a long is cast, a number is given by its place; text that is at most so long
    ("def f(sb, at):\n    return lookup(sb, 1, at)", "struct inode *f(struct super_block *sb, unsigned long at)",
     ["return lookup(sb, 1, (void *)(unsigned long)at);"]),
    ("def f(b):\n    tag = mem_read(b.base, 64)\n    return kstrdup(os.fsdecode(tag.split(b'\\0', 1)[0]), 0)",
     "char *f(struct buf *b)", ["void *tag = b->base;", "return kstrndup(tag, 64, 0);"]),
    # min() of two kinds of number is min_t()
    ("def f(a, b):\n    return min(a, b)", "loff_t f(loff_t a, u64 b)", ["return min_t(u64, a, b);"]),
])
def test_an_idiom(python: str, head: str, lines: list[str] | None, tmp_path: Path) -> None:
    if lines is None:
        python, lines = python.replace("buf_t()", "struct_buf()"), ["struct buf buf = {};", "return bread(&buf, pos);"]
    assert c(python, head, tmp_path) == lines


def test_labels_are_a_ladder(tmp_path: Path) -> None:
    python = """
        def f(b, i):
            out = Labels()

            @out.label
            def err_put():
                put(b)

            @out.label
            def err_free():
                kfree(i)

            err = find(b.host, NULL, NULL)
            if err:
                return out.goto(err_free, err)
            if i.count:
                err = -ENOMEM
                return out.goto(err_put, err)
            return 0
        """
    assert c(python, "int f(struct buf *b, struct info *i)", tmp_path) == [
        "int err;", "err = find(b->host, NULL, NULL);", "if (err) {", "goto err_free;", "}", "if (i->count) {", "err = -ENOMEM;",
        "goto err_put;", "}", "return 0;", "err_put:", "put(b);", "err_free:", "kfree(i);", "return err;"]


def test_what_cannot_be_translated_is_marked_and_counted(tmp_path: Path) -> None:
    made = whole("def f(i):\n    if i.count:\n        i.count = sorted([1])[0]\n    else:\n        i.count = 2\n",
                 "void f(struct info *i)", tmp_path)
    assert len(made.missing) == 1 and "/* kemu: not translated: i.count = sorted([1])[0] */;" in made.text
    with pytest.raises(Untranslated, match="nothing declares it"):
        whole("def nobody_knows(i):\n    pass", "", tmp_path)
    with pytest.raises(Untranslated, match="2 parameters, 1 in C"):
        whole("def f(i, j):\n    pass", "void f(struct info *i)", tmp_path)


def test_no_body_is_ever_read() -> None:
    d = Declarations(DECLARED)
    assert "secret_of_the_body" not in repr(vars(d))
    t = d.type_of("busy")
    assert t is not None and t.declare("busy") == "int busy(struct info *i, int *left)"


def test_types_by_name() -> None:
    d = Declarations(DECLARED)
    said = {n: str(d.type_of(n)) for n in ("plain_ops", "bread", "say")}
    assert said == {"plain_ops": "const struct ops", "bread": "void *(struct buf *buf, u64 pos)",
                    "say": "void (struct super_block *sb, const char *fmt, ... ...)"}
    from kemu.series.emit.ctype import base

    assert d.integer(base("u64")) == (8, False) and d.integer(base("nid_t")) == (8, False)
    assert [str(t) for t in d.fields(base("struct dirent")).values()] == ["nid_t", "__le16", "u8", "__le32"]
    open_ = d.member(base("struct ops"), "open")
    assert open_ is not None and open_.declare("open") == "int (*open)(struct inode *inode, int flags)"
    assert d.holders("list", base("struct list_head")) == ["struct info"]
