# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs comes and goes as a module does: its init, in which a call fails, and its exit. Nothing may be left of either."""
from __future__ import annotations

from kemu.rung.c.kernel import Instance, Kernel
from kemu.rung.c.sources import UNDER_TEST
from kemu.rung.entries import errno_name
from kemu.rung.protocol import Answer
from kemu.rung.uml.errors import RungError

_LATE = ("erofs_module_init",)
_CAP, _MOST = 1 << 20, 256             # what is read of the image


class Left(Exception):
    """Something is there that should have gone: ``title``, and a report with the frames that made it."""

    def __init__(self, title: str, report: str = ""):
        super().__init__(title)
        self.title = title
        self.report = report


def come_and_go(kernel: Kernel, image: bytes = b"", fail_nth: int = 0, parameters: str = "",
                others_fail: bool = False) -> Answer:
    """In a fresh kernel: erofs_module_init(), in which the n-th call that can fail does; again, if it was refused; an image
    mounted, walked and unmounted, in which that call fails if it did not before: what is made for the first mount only is
    made then; erofs_module_exit(); and all that twice more without a failure. ``parameters``: of the module, in words
    (``lzma_streams=2``); those that it refuses are left as they are. ``others_fail``: it may be refused for another reason.

    ``mount_error``: what the first init, or the mount, was refused with. A ``crash`` whose message begins with ``LEAK``: an
    object of slab, or a page, was left behind when init was refused, or behind the exit (flavour asan knows who allocated it).
    ``behind``: what is there after the first exit, of which others keep some.
    """
    k = kernel.fresh(without=_LATE)
    try:
        return kernel.case(lambda k: _come_and_go(kernel, k, image, fail_nth, parameters, others_fail))
    except Left as e:
        frames = [line.strip().partition(" at ") for line in e.report.splitlines()]
        function, _, place = next((f for f in frames if f[2].startswith(UNDER_TEST)), ("", "", ""))
        return Answer(message=e.title, crash="splat", console=f"{e.title}\n{e.report}", function=function, place=place)
    finally:
        k.dead = True


def _come_and_go(kernel: Kernel, k: Instance, image: bytes, fail_nth: int, parameters: str,
                 others_fail: bool) -> Answer:
    answer = Answer()
    k.check(k.lib.kemu_wait_for_initramfs())           # nobody has begun with it: the kernel says so, and does not wait
    pages = k.counters()["pages"]
    k.lib.kemu_mark()
    k.lib.kemu_fail_nth(fail_nth)
    error = k.load(parameters)
    refused = _mounted(kernel, k, image, answer) if image and not error else 0
    counters = k.counters()
    answer.fired, answer.points = bool(counters["fired"]), counters["faults"]
    k.lib.kemu_fail_nth(0)
    if error:
        if not answer.fired and not others_fail:
            raise RungError(f"erofs_module_init(): {errno_name(-error)}")
        _nothing_left(k, "a refused erofs_module_init()", pages)
        _loaded(k, parameters, "which was refused once")
    answer.mount_error = errno_name(-error or -refused)
    if image:
        refused = _mounted(kernel, k, image, answer)
    k.unload()
    answer.behind = k.lib.kemu_leaks(), k.counters()["pages"] - pages
    k.lib.kemu_mark()                                  # what others keep since the first mount is no leak: it is there once
    pages = k.counters()["pages"]
    _loaded(k, parameters, "after erofs_module_exit()")
    if image and _mounted(kernel, k, image, answer) != refused:
        raise Left("erofs_module_init(): after erofs_module_exit() the same image is mounted otherwise")
    k.unload()
    _nothing_left(k, "erofs_module_exit()", pages)
    return answer


def _loaded(k: Instance, parameters: str, when: str) -> None:
    error = k.load(parameters)
    if error:
        raise Left(f"erofs_module_init(): {errno_name(-error)} {when}")


def _mounted(kernel: Kernel, k: Instance, image: bytes, answer: Answer) -> int:
    kernel.place(k, 0, image)
    error = k.check(k.lib.kemu_mount(b"/dev/kemu0", b"/mnt", b"erofs", 1, b""))
    if not error:
        answer.packed, _ = k.walk(b"/mnt", _CAP, _MOST)
    kernel.take_down(k, 1, 0, not error)
    return error


def _nothing_left(k: Instance, behind: str, pages: int) -> None:
    objects, more = k.lib.kemu_leaks(), k.counters()["pages"] - pages
    if objects:
        report = k.leaks()
        raise Left(f"{report.splitlines()[0]} behind {behind}", report)
    if more > 0:
        raise Left(f"LEAK of {more} pages behind {behind}")
