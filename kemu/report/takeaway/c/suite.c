// SPDX-License-Identifier: GPL-2.0-only
static struct kunit_case __refdata t_cases[] = {
	KUNIT_CASE(t_case),
	{}
};

static struct kunit_suite __refdata t_suite = {
	.name = "NAME",
	.suite_init = t_suite_init,
	.suite_exit = t_suite_exit,
	.test_cases = t_cases,
};
kunit_test_init_section_suites(&t_suite);

MODULE_DESCRIPTION("A KUnit case by kemu");
MODULE_LICENSE("GPL");
