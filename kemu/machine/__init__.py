# SPDX-License-Identifier: GPL-2.0-only
"""Memory, pages, tasks, clock, log, initcalls: what the emulated API is made of."""
