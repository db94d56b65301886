# SPDX-License-Identifier: GPL-2.0-only
"""PAGE_SIZE and its kin (include/vdso/page.h): ``arch.PAGE_SIZE`` and so on, a parameter of the machine."""
from kemu.machine.current import arch  # noqa: F401
