# SPDX-License-Identifier: GPL-2.0-only
"""A back end that a series of C patches brings: how it is told to mount from a region of memory, and what is chosen of that.

    from kemu.series.backend import Backend
    backend = Backend(glue="backend.c")

glue.py a page of C as the last patch, page.py the page of Python, search.py what a review asks of it.
"""
from kemu.series.backend.page import Backend as Backend
