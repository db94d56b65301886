# SPDX-License-Identifier: GPL-2.0-only
"""Statements: blocks, branches, loops, and goto by the idioms of docs/explanation/porting.md."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kemu.series.emit.cparse import parse
from kemu.series.emit.ctype import INT, VOID, CType
from kemu.series.port.core import Ex, NoPython
from kemu.series.port.expr import Expressing
from kemu.series.port.names import spelt
from kemu.series.port.parse import LOOP, named, text_of

if TYPE_CHECKING:                       # start-up
    from tree_sitter import Node

STEP = "    "
_TWO = {"idr_for_each_entry": (0, 1, 2), "xa_for_each": (0, 1, 2)}      # (index, entry) of the loop; what is walked
_ONE = {"list_for_each": 1, "bio_for_each_segment": 1, "bio_for_each_folio_all": 1, "for_each_set_bit": 1,
        "list_for_each_entry": 1, "list_for_each_entry_safe": 2, "list_for_each_safe": 2}


@dataclass
class Marked:
    """What is not translated: the C, and why."""

    line: int
    c: str
    why: str


@dataclass
class Frame:
    """A loop or a switch that break and continue belong to. ``step``: what stands before a continue."""

    kind: str
    step: list[str] = field(default_factory=list)


class Stating:
    """Writes the statements of one function."""

    def __init__(self, x: Expressing, returns: CType):
        self.x = x
        self.returns = returns
        self.out: list[str] = []
        self.missing: list[Marked] = []
        self.frames: list[Frame] = []
        self.gotos: dict[str, str] = {}         # label -> how Python leaves to it: a text with %s for the value
        self.falls: set[str] = set()            # labels that are jumped to by leaving a try block
        self.result = ""                        # what is returned behind labels

    # ---- blocks ----

    def block(self, body: list[Node], depth: int) -> None:
        """Statements, one after the other; one that no rule translates is marked."""
        start = len(self.out)
        for n in body:
            self.one(n, depth)
        if len(self.out) == start or all(line.strip().startswith("#") for line in self.out[start:]):
            self.say(depth, "pass")

    def one(self, n: Node, depth: int) -> None:
        """A statement, or the mark of one."""
        mark, self.x.before = len(self.out), []
        frames = list(self.frames)
        if n.type == "comment":
            self._comment(n, depth)
            return
        try:
            self.statement(n, depth)
        except (NoPython, AssertionError, IndexError, AttributeError, KeyError) as e:
            del self.out[mark:]
            self.frames = frames
            text = " ".join(text_of(n).split())
            why = str(e) if isinstance(e, NoPython) else type(e).__name__
            self.missing.append(Marked(n.start_point[0], text, why))
            self.say(depth, f"TODO({text[:90]!r})")

    def _comment(self, n: Node, depth: int) -> None:
        for row in text_of(n).strip("/*").split("\n"):
            if row.strip(" *\t"):
                self.say(depth, f"# {row.strip(' *' + chr(9))}")

    def say(self, depth: int, text: str) -> None:
        """A line of Python."""
        self.out.append(STEP * depth + text)

    def flush(self, depth: int) -> None:
        """What expressions want to stand before their statement."""
        for text in self.x.before:
            self.say(depth, text)
        self.x.before = []

    def statement(self, n: Node, depth: int) -> None:
        """One statement."""
        method = getattr(self, f"_{n.type}", None)
        if method is None or (n.has_error and n.type in ("expression_statement", "return_statement", "declaration")):
            raise NoPython(text_of(n).split("\n")[0])
        method(n, depth)

    def body(self, n: Node) -> list[Node]:
        """The statements of a branch."""
        return list(n.named_children) if n.type == "compound_statement" else [n]

    def _compound_statement(self, n: Node, depth: int) -> None:
        for c in n.named_children:
            self.one(c, depth)

    # ---- simple ones ----

    def _declaration(self, n: Node, depth: int) -> None:
        if any(c.type == "storage_class_specifier" and text_of(c) == "static" for c in n.children):
            raise NoPython("a static variable of a function")
        head = text_of(n)
        for d in n.children_by_field_name("declarator"):
            value = d.child_by_field_name("value") if d.type == "init_declarator" else None
            bare = d.child_by_field_name("declarator") if d.type == "init_declarator" else d
            name = self._name(bare)
            t = parse(head, name) or self.x.types.get(name)
            if t is None:
                raise NoPython(head.split("\n")[0])
            self.x.types[name] = t
            self._declared(name, t, value, depth)

    def _name(self, n: Node | None) -> str:
        while n is not None and n.type != "identifier":
            n = n.child_by_field_name("declarator") or next(iter(named(n)), None)
        if n is None:
            raise NoPython("a declaration without a name")
        return text_of(n)

    def _declared(self, name: str, t: CType, value: Node | None, depth: int) -> None:
        x = self.x
        struct = x.is_struct(t)
        if struct or t.kind == "array":
            text = text_of(value) if value is not None else ""
            if struct and value is not None and value.type != "initializer_list":
                e = x.ex(value)
                text = e.text if e.text.endswith(")") else x.whole(value, Ex(name), e, x.d.resolve(t).name).partition(" = ")[2]
            elif struct and x.names.is_view(x.d.resolve(t).name):
                return
            else:
                text = x.initialised(t, value if value is not None and value.type == "initializer_list" else None).text
            self.flush(depth)
            self.say(depth, f"{spelt(name)} = {text}")
            return
        if name in x.cells:
            x.use("Ref")
            zero = "NULL" if x.d.is_pointer(t) else "False" if x.d.resolve(t).name in ("bool", "_Bool") else "0"
            given = x.into(x.ex(value), t).text if value is not None else zero
            self.flush(depth)
            self.say(depth, f"{spelt(name)} = Ref({given})")
        elif value is not None:
            e = x.into(x.ex(value), t)
            self.flush(depth)
            self.say(depth, f"{spelt(name)} = {e.text}")

    def _expression_statement(self, n: Node, depth: int) -> None:
        inner = named(n)
        if inner:
            self.effect(inner[0], depth)

    def effect(self, n: Node, depth: int) -> None:
        """An expression for what it does."""
        x = self.x
        if n.type == "comma_expression":
            for c in named(n):
                self.effect(c, depth)
        elif n.type == "assignment_expression":
            left, right, op = (n.child_by_field_name(f) for f in ("left", "right", "operator"))
            assert left is not None and right is not None and op is not None
            lines = x.assigned(left, text_of(op), x.ex(right))
            self.flush(depth)
            for text in lines:
                self.say(depth, text)
        elif n.type == "update_expression":
            place = n.child_by_field_name("argument")
            assert place is not None
            word = "+=" if "++" in text_of(n) else "-="
            for text in x.assigned(place, word, Ex("1", type=INT, weak=True)):
                self.say(depth, text)
        elif n.type == "cast_expression":
            value = n.child_by_field_name("value")
            assert value is not None
            self.effect(value, depth)
        elif n.type == "parenthesized_expression":
            self.effect(named(n)[0], depth)
        else:
            e = x.ex(n)
            self.flush(depth)
            if e.text:
                self.say(depth, e.text)

    def _return_statement(self, n: Node, depth: int) -> None:
        inner = named(n)
        if not inner:
            self.say(depth, "return")
            return
        e = self.x.into(self.x.ex(inner[0]), self.returns)
        self.flush(depth)
        self.say(depth, f"return {e.text}")

    def _goto_statement(self, n: Node, depth: int) -> None:
        label = text_of(named(n)[0])
        how = self.gotos.get(label)
        if how is None:
            raise NoPython(f"goto {label}: by no idiom")
        if any(f.kind == "end" for f in self.frames):
            raise NoPython(f"goto {label}: out of a label")
        self.say(depth, how)

    def _break_statement(self, n: Node, depth: int) -> None:
        if not self.frames or self.frames[-1].kind == "switch":
            raise NoPython("a break in the middle of a case")
        self.say(depth, "break")

    def _continue_statement(self, n: Node, depth: int) -> None:
        loop = next((f for f in reversed(self.frames) if f.kind != "switch"), None)
        if loop is None or self.frames[-1].kind == "once":
            raise NoPython("continue")
        for text in loop.step:
            self.say(depth, text)
        self.say(depth, "continue")

    # ---- branches and loops ----

    def _if_statement(self, n: Node, depth: int, word: str = "if") -> None:
        test, then, other = (n.child_by_field_name(f) for f in ("condition", "consequence", "alternative"))
        assert test is not None and then is not None
        e = self.x.cond(test)
        if word == "elif" and self.x.before:
            raise NoPython(text_of(test))
        self.flush(depth)
        self.say(depth, f"{word} {e.text}:")
        self.block(self.body(then), depth + 1)
        if other is None:
            return
        inner = named(other)[0] if other.type == "else_clause" else other
        if inner.type == "if_statement" and self._plain_test(inner):
            self._if_statement(inner, depth, "elif")
        else:
            self.say(depth, "else:")
            self.block(self.body(inner), depth + 1)

    def _plain_test(self, n: Node) -> bool:
        test = n.child_by_field_name("condition")
        before = self.x.before
        self.x.before = []
        try:
            assert test is not None
            self.x.cond(test)
            return not self.x.before
        except NoPython:
            return True
        finally:
            self.x.before = before

    def _while_statement(self, n: Node, depth: int) -> None:
        test, body = n.child_by_field_name("condition"), n.child_by_field_name("body")
        assert test is not None and body is not None
        inner = named(test)[0]
        f = inner.child_by_field_name("function") if inner.type == "call_expression" else None
        if f is not None and text_of(f) == LOOP:
            self._for_each(inner, body, depth)
            return
        e = self.x.cond(test)
        if self.x.before:
            self.say(depth, "while True:")
            self.flush(depth + 1)
            self.say(depth + 1, f"if not ({e.text}):")
            self.say(depth + 2, "break")
            self._loop(Frame("loop"), self.body(body), depth)
            return
        self.say(depth, f"while {'True' if e.text == '1' else e.text}:")
        self._loop(Frame("loop"), self.body(body), depth)

    def _loop(self, frame: Frame, body: list[Node], depth: int) -> None:
        self.frames.append(frame)
        self.block(body, depth + 1)
        self.frames.pop()

    def _do_statement(self, n: Node, depth: int) -> None:
        test, body = n.child_by_field_name("condition"), n.child_by_field_name("body")
        assert test is not None and body is not None
        e = self.x.cond(test)
        if self.x.before and "continue" in text_of(body):
            raise NoPython("continue in a do loop whose condition does something")
        before, self.x.before = self.x.before, []
        self.say(depth, "while True:")
        ends = [f"if not ({e.text}):", f"{STEP}break"] if e.text != "0" else ["break"]
        self._loop(Frame("loop", ends), self.body(body), depth)
        self.x.before = before
        self.flush(depth + 1)
        if e.text != "0":
            self.say(depth + 1, f"if not ({e.text}):")
            self.say(depth + 2, "break")
        else:
            self.say(depth + 1, "break")

    def _for_statement(self, n: Node, depth: int) -> None:
        first, test, step, body = (n.child_by_field_name(f) for f in ("initializer", "condition", "update", "body"))
        assert body is not None
        if first is not None:
            if first.type == "declaration":
                self._declaration(first, depth)
            else:
                self.effect(first, depth)
        e = self.x.cond(test) if test is not None else Ex("True")
        if self.x.before:
            raise NoPython("a for loop whose condition does something")
        self.say(depth, f"while {e.text}:")
        steps: list[str] = []
        if step is not None:
            mark = len(self.out)
            self.effect(step, 0)
            steps = self.out[mark:]
            del self.out[mark:]
        self._loop(Frame("loop", steps), self.body(body), depth)
        for text in steps:
            self.say(depth + 1, text)

    def _for_each(self, n: Node, body: Node, depth: int) -> None:
        x = self.x
        arguments = n.child_by_field_name("arguments")
        assert arguments is not None
        args = named(arguments)
        macro, args = text_of(args[0]), args[1:]
        if macro in ("scoped_guard",) or macro.startswith("scoped_with"):
            x.use(macro)
            self.say(depth, f"with {macro}({', '.join([repr(text_of(args[0]))] + [x.ex(a).text for a in args[1:]])}):")
            self._loop(Frame("with"), self.body(body), depth)
            self.frames[:] = self.frames
            return
        at = _ONE.get(macro)
        macro = macro.removesuffix("_safe")
        x.use(macro)
        if macro in _TWO:
            over, *_ = (x.ex(args[0]).text,)
            entry, index = (text_of(args[1]), text_of(args[2])) if macro == "idr_for_each_entry" else (text_of(args[2]),
                                                                                                     text_of(args[1]))
            self.say(depth, f"for {spelt(index)}, {spelt(entry)} in {macro}({over}):")
        elif at is not None:
            extra = [x.value(a).text for a in args[2:]] if macro == "for_each_set_bit" else []
            self.say(depth, f"for {spelt(text_of(args[0]))} in {macro}({', '.join([x.ex(args[at]).text, *extra])}):")
        else:
            raise NoPython(f"{macro}()")
        self._loop(Frame("loop"), self.body(body), depth)

    def _switch_statement(self, n: Node, depth: int) -> None:
        test, body = n.child_by_field_name("condition"), n.child_by_field_name("body")
        assert test is not None and body is not None
        e = self.x.cond(test)
        self.flush(depth)
        cases = self._cases(body)
        nested = any("break" in text_of(c) for _, some in cases for c in some)
        subject = e.text
        if len(cases) > 1 and not subject.isidentifier():
            subject = "case"
            while subject in self.x.types:
                subject += "_"
            self.say(depth, f"{subject} = {e.text}")
        inner = depth
        if nested:
            if any("continue" in text_of(c) for _, some in cases for c in some):
                raise NoPython("break and continue in the cases of a switch")
            self.say(depth, "while True:")
            inner = depth + 1
        self.frames.append(Frame("once" if nested else "switch"))
        word = "if"
        for labels, some in [c for c in cases if "default" not in c[0]] + [c for c in cases if "default" in c[0]]:
            if "default" in labels:
                self.say(inner, "else:" if word == "elif" else "if True:")
            elif len(labels) == 1:
                self.say(inner, f"{word} {subject} == {labels[0]}:")
            else:
                self.say(inner, f"{word} {subject} in ({', '.join(labels)}):")
            word = "elif"
            self.block(some, inner + 1)
        self.frames.pop()
        if nested:
            self.say(inner, "break")

    def _cases(self, body: Node) -> list[tuple[list[str], list[Node]]]:
        """(labels, statements) of each; what falls through has the statements of the next behind its own."""
        rows: list[tuple[list[str], list[Node], bool]] = []
        for c in named(body):
            if c.type != "case_statement":
                raise NoPython(text_of(c).split("\n")[0])
            value = c.child_by_field_name("value")
            label = self.x.value(value).text if value is not None else "default"
            some = [s for s in c.named_children if s != value and s.type != "comment"]
            ends = bool(some) and some[-1].type in ("break_statement", "return_statement", "goto_statement", "continue_statement")
            if some and some[-1].type == "break_statement":
                some = some[:-1]
                ends = True
            elif some and text_of(some[-1]).rstrip(";") == "fallthrough":
                some, ends = some[:-1], False
            rows.append(([label], some, ends))
        out: list[tuple[list[str], list[Node]]] = []
        waiting: list[str] = []
        for i, (labels, some, ends) in enumerate(rows):
            if not some and not ends:
                waiting += labels
                continue
            behind = list(some)
            k = i
            while not rows[k][2] and k + 1 < len(rows):
                k += 1
                behind += rows[k][1]
            out.append((waiting + labels, behind))
            waiting = []
        if waiting:
            out.append((waiting, []))
        return out

    # ---- what the configuration leaves out ----

    def _preproc_ifdef(self, n: Node, depth: int) -> None:
        name = n.child_by_field_name("name")
        assert name is not None
        if not text_of(name).startswith("CONFIG_"):
            raise NoPython(f"#ifdef {text_of(name)}")
        self.x.use("IS_ENABLED")
        negated = "not " if text_of(n).startswith("#ifndef") else ""
        other = n.child_by_field_name("alternative")
        some = [c for c in n.named_children if c not in (name, other)]
        self.say(depth, f'if {negated}IS_ENABLED("{text_of(name)}"):')
        self.block(some, depth + 1)
        if other is not None:
            self.say(depth, "else:")
            self.block(list(other.named_children), depth + 1)

    def tail(self, labels: list[tuple[str, list[Node]]], depth: int) -> None:
        """The statements of a label, where it is the end of a try block."""
        for _, some in labels:
            self.block(some, depth)


__all__ = ["VOID", "Marked", "Stating"]
