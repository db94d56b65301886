# SPDX-License-Identifier: GPL-2.0-only
"""The place of KUnit in a boot (include/kunit/test.h)."""
from kemu.linux.lib.kunit.executor import Suites, kunit_run_all_tests  # noqa: F401
