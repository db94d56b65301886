# SPDX-License-Identifier: GPL-2.0-only
"""The booted kernel with every switch of its tasks chosen: programs of several tasks, plans that say who is preempted where."""
