# SPDX-License-Identifier: GPL-2.0-only
"""Kernel objects in sysfs (include/linux/kobject.h): names and references, no files."""
from kemu.linux.include.kobject import kobj_type, kobject  # noqa: F401
from kemu.linux.lib.kobject import (  # noqa: F401
    kobject_del,
    kobject_init_and_add,
    kobject_put,
    kobject_set_name,
    kset_register,
    kset_unregister,
)
