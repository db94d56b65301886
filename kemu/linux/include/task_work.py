# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/task_work.h: its types, constants and inline functions."""
from __future__ import annotations

TWA_NONE, TWA_RESUME, TWA_SIGNAL = range(3)
