# SPDX-License-Identifier: GPL-2.0-only
"""What a C file defines."""
from __future__ import annotations

from kemu.report.rebase.definitions import definitions

SOURCE = """\
// SPDX-License-Identifier: GPL-2.0
#define LIMIT 8
#define twice(x) \\
	((x) * 2)
#ifdef CONFIG_A
struct pair {
	int a;	/* the first */
};
#endif
enum { Opt_one, Opt_two };
static const struct spec table[] = {
	{ "one", Opt_one },
};
static int *helper(int x);

static int *
helper(int x)
{
	list_for_each_entry(p, &head, list) {
		if (called(p))
			return NULL;
	}
	return table;
}
EXPORT_SYMBOL(helper);
int __init first(void) { return LIMIT; }
"""


def test_each_kind_by_its_name() -> None:
    found = {key: d.line for key, d in definitions(SOURCE).items()}
    assert found == {("macro", "LIMIT"): 2, ("macro", "twice"): 3, ("structure", "pair"): 6, ("structure", "enum of Opt_one"): 10,
                     ("table", "table"): 11, ("function", "helper"): 16, ("function", "first"): 26}


def test_the_text_is_whole() -> None:
    d = definitions(SOURCE)
    assert d["function", "helper"].text.startswith("static int *\nhelper(int x)\n{")
    assert d["function", "helper"].text.endswith("return table;\n}")
    assert "Opt_one }," in d["table", "table"].text and "a;" in d["structure", "pair"].text


def test_of_two_branches_the_longest() -> None:
    source = "#if A\nint f(int x)\n{\n\treturn x + 1;\n}\n#else\nint f(int x) { }\n#endif\n"
    assert "x + 1" in definitions(source)["function", "f"].text
