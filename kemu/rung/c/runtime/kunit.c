// SPDX-License-Identifier: GPL-2.0-only
/* KUnit, as lib/kunit runs it at boot: the suites that are linked, chosen by its own parameters. There is no device model for it. */
#include <linux/moduleparam.h>
#include <linux/task_work.h>
#include <kunit/test.h>
#include "../lib/kunit/hooks-impl.h"
#include "runtime.h"

extern const struct kernel_param __start___param[], __stop___param[];

static int unknown(char *param, char *val, const char *unused, void *arg)
{
	pr_warn("kunit: no parameter %s\n", param);
	return -EINVAL;
}

int kemu_kunit(const char *parameters)
{
	static char words[4096];
	char *err;

	KEMU_ENTER(KEMU_TRAP);
	strscpy(words, parameters, sizeof(words));
	err = parse_args("kunit", words, __start___param, __stop___param - __start___param, -1, 0, NULL, unknown);
	if (IS_ERR(err)) {
		KEMU_LEAVE();
		return PTR_ERR(err);
	}
	kunit_install_hooks();
	kunit_run_all_tests();
	if (task_work_pending(current))
		task_work_run();
	tasks_settle();
	KEMU_LEAVE();
	return 0;
}
