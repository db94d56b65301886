# SPDX-License-Identifier: GPL-2.0-only
"""struct kobject (include/linux/kobject.h): names and references, no files."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import custom

P = "include/linux/kobject.h"


@custom(P, "kobj_type", "release only")
class kobj_type:
    """``struct kobj_type``"""

    __slots__ = ("release",)

    def __init__(self, release: Callable[[Any], None] | None = None):
        self.release = release


@custom(P, "kobject", "a name below a parent")
class kobject:
    """``struct kobject``"""

    __slots__ = ("children", "container", "kset", "ktype", "name", "parent", "refs")

    def __init__(self, container: Any = None):
        self.container = container
        self.name = ""
        self.parent: kobject | None = None
        self.kset: kobject | None = None
        self.ktype: kobj_type | None = None
        self.children: dict[str, kobject] = {}
        self.refs = 0
