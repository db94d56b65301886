// SPDX-License-Identifier: GPL-2.0-only
/* KUnit, as lib/kunit runs it at boot: the suites that are linked, chosen by its own parameters. There is no device model for it. */
#include <linux/task_work.h>
#include <kunit/test.h>
#include "../lib/kunit/hooks-impl.h"
#include "runtime.h"

int kemu_kunit(void)
{
	KEMU_ENTER(KEMU_TRAP);
	kunit_install_hooks();
	kunit_run_all_tests();
	if (task_work_pending(current))
		task_work_run();
	tasks_settle();
	KEMU_LEAVE();
	return 0;
}
