# SPDX-License-Identifier: GPL-2.0-only
"""What kind of change a definition has seen."""
from __future__ import annotations

import pytest

from kemu.report.rebase.alike import ARGUMENT, HAND, LOCAL, NAMES, ORDER, TYPES, kind_of, tokens

OLD = """static int f(struct a *p, int n)
{
	int found = 0;

	p->x = n;
	p->y = g(p, n);
	return found;
}
"""


@pytest.mark.parametrize("change, kind, what", [
    (("found", "seen"), LOCAL, "found is seen"),
    (("n)", "count)"), HAND, ""),                      # not everywhere
    (("g(", "other("), NAMES, "g is other"),
    (("->y", "->z"), NAMES, "y is z"),
    (("int found", "unsigned long found"), TYPES, "int is unsigned long"),
    (("static int", "int"), TYPES, "static is nothing"),
    (("g(p, n)", "g(p, n, NULL)"), ARGUMENT, ", NULL"),
    (("int n)", "int n, bool flag)"), ARGUMENT, ", bool flag"),
    (("g(p, n)", "g(p, n, h(n))"), HAND, ""),          # what is worked out is no argument passed on
    (("g(p, n)", "g(p, n + 1)"), HAND, ""),
    (("found = 0", "found = 1"), HAND, ""),
    (("p->x = n;", "p->x = n; p->w = 1;"), HAND, ""),
])
def test_a_change(change: tuple[str, str], kind: str, what: str) -> None:
    assert kind_of(OLD, OLD.replace(*change)) == (kind, what)


def test_lines_in_another_order() -> None:
    a, b = "\tp->x = n;\n", "\tp->y = g(p, n);\n"
    assert kind_of(OLD, OLD.replace(a + b, b + a))[0] == ORDER


def test_two_things_that_have_one_name_now() -> None:
    assert kind_of("f(int a, int b) { a = b; }", "f(int a, int a) { a = a; }")[0] == HAND
    assert kind_of("f(int a, int b) { a = b; }", "f(int b, int a) { b = a; }")[0] == HAND


def test_a_comment_is_no_change_and_what_looks_like_one_in_a_string_is() -> None:
    assert tokens("f(a); /* b */ // c") == tokens("f( a ) ;")
    assert tokens('f("//a");') != tokens('f("//b");')
