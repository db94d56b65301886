# SPDX-License-Identifier: GPL-2.0-only
"""Lists (include/linux/list.h). An entry knows the structure that it is embedded in."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kemu.linux.port.honesty import custom, dup
from kemu.linux.types import list_head
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/list.h"


@dup(P)
def INIT_LIST_HEAD(head: list_head) -> None:
    """``void INIT_LIST_HEAD(struct list_head *list)``"""
    head.next = head.prev = head


def _add(new: list_head, prev: list_head, next_: list_head) -> None:
    if prev.next is not next_ or next_.prev is not prev or new is prev or new is next_:
        func = caller_function()[0]
        raise KernelBug(f"list_add corruption in {func}", function=func)
    next_.prev = new
    new.next = next_
    new.prev = prev
    prev.next = new


@dup(P)
def list_add(new: list_head, head: list_head) -> None:
    """``void list_add(struct list_head *new, struct list_head *head)``"""
    _add(new, head, head.next)


@dup(P)
def list_add_tail(new: list_head, head: list_head) -> None:
    """``void list_add_tail(struct list_head *new, struct list_head *head)``"""
    _add(new, head.prev, head)


@dup(P)
def list_del(entry: list_head) -> None:
    """``void list_del(struct list_head *entry)``"""
    if entry.prev.next is not entry or entry.next.prev is not entry:
        func = caller_function()[0]
        raise KernelBug(f"list_del corruption in {func}", function=func)
    entry.next.prev = entry.prev
    entry.prev.next = entry.next
    entry.next = entry.prev = list_head()      # LIST_POISON: deleting it again is a corruption


@dup(P)
def list_del_init(entry: list_head) -> None:
    """``void list_del_init(struct list_head *entry)``"""
    list_del(entry)
    entry.next = entry.prev = entry


@dup(P)
def list_move_tail(entry: list_head, head: list_head) -> None:
    """``void list_move_tail(struct list_head *list, struct list_head *head)``"""
    list_del(entry)
    list_add_tail(entry, head)


@dup(P)
def list_empty(head: list_head) -> bool:
    """``int list_empty(const struct list_head *head)``"""
    return head.next is head


@dup(P)
def list_entry(ptr: list_head) -> Any:
    """``list_entry(ptr, type, member)``"""
    return ptr.container


@custom(P, "list_for_each", "a generator; safe against removal of the current entry")
def list_for_each(head: list_head) -> Iterator[list_head]:
    """``list_for_each_safe(pos, n, head)``"""
    pos = head.next
    while pos is not head:
        nxt = pos.next
        yield pos
        pos = nxt


@custom(P, "list_for_each_entry", "a generator of containers; safe against removal of the current entry")
def list_for_each_entry(head: list_head) -> Iterator[Any]:
    """``list_for_each_entry_safe(pos, n, head, member)``"""
    pos = head.next
    while pos is not head:
        nxt = pos.next
        yield pos.container
        pos = nxt


@dup(P)
def list_first_entry(head: list_head) -> Any:
    """``list_first_entry(ptr, type, member)``"""
    return head.next.container
