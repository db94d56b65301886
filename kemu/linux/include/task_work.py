# SPDX-License-Identifier: GPL-2.0-only
"""How a task is told of work for it (include/linux/task_work.h)."""
from __future__ import annotations

TWA_NONE, TWA_RESUME, TWA_SIGNAL = range(3)
