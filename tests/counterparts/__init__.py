# SPDX-License-Identifier: GPL-2.0-only
"""What does a port have that its C has not? ``python -m tests.counterparts [--tree LINUX] [FUNCTION...]``.

Each statement of a ported function is laid beside the statements of its C, in order; what none of them has the words of is
without counterpart. So is a function between the ported ones whose name the C file has not. ``allowed.txt`` has those that stay,
with a reason of one line each.

``c_statements``, ``py_statements``: a body as statements, each a set of words. ``align``: the two beside each other.
``strangers``: the functions between. ``allowed``: the list. ``ctext`` and ``pytext`` of ``kemu port check`` read the bodies.
"""
