# SPDX-License-Identifier: GPL-2.0-only
"""Mutexes (include/linux/mutex.h)."""
from kemu.linux.include.mutex import mutex, mutex_init, mutex_is_locked, mutex_lock, mutex_lock_killable, mutex_trylock  # noqa: F401
from kemu.linux.kernel.locking.mutex import mutex_unlock  # noqa: F401
