# SPDX-License-Identifier: GPL-2.0-only
"""Is a function that says "as Linux" as Linux? Its locks, warnings and errors are compared with those of the C that it cites.

``tables``: the words of the C and what they come to. ``ctext``, ``pytext``: what a body does, in these words. ``compare``: the
two, with the helpers that only one of them has. ``explained.txt``: differences that have a reason; ``open.txt``: those that have
none yet and may only become fewer.
"""
