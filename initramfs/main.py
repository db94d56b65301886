# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/main.c (Linux 7.2): the command line, the initcalls, and PID 1 until it runs a program.

Command lines are ``str``; argv_init and envp_init are lists without their NULL. What start_kernel() calls and nothing here
depends on is left out.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.async_ import async_init, async_synchronize_full
from kemu.linux.bug import WARN
from kemu.linux.completion import complete, completion, wait_for_completion
from kemu.linux.device import driver_init
from kemu.linux.err import IS_ERR, IS_ERR_OR_NULL
from kemu.linux.errno import EINVAL, ENOENT, EPERM
from kemu.linux.fcntl import O_RDWR
from kemu.linux.file import fput
from kemu.linux.fs import filp_open
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.init import (
    SYSTEM_FREEING_INITMEM,
    SYSTEM_RUNNING,
    SYSTEM_SCHEDULING,
    __setup,
    early_param,
    free_initmem,
    initcall_levels,
    initcall_t,
    kernel_execve,
    panic,
    set_system_state,
    setup_table,
    setups,
    wait_for_initramfs,
)
from kemu.linux.init_syscalls import init_dup, init_eaccess
from kemu.linux.init_task import cpu_startup_entry, kernel_thread, kernel_thread_fn, kthreadd, setup_arch, workqueue_init
from kemu.linux.initrd import initrd
from kemu.linux.kconfig import IS_ENABLED, config_value
from kemu.linux.kunit import kunit_run_all_tests
from kemu.linux.mm import page_to_pfn, virt_to_page
from kemu.linux.moduleparam import core_param, get_option, parameq, parameqn, params, parse_args, parse_takes, sysctl_is_alias
from kemu.linux.mount import mnt_init
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import per_machine, statics
from kemu.linux.printk import KERN_DEBUG, pr_crit, pr_err, pr_info, pr_notice, pr_warn, printk
from kemu.linux.sched import current, ktime_get, preempt_count, preempt_count_set
from kemu.linux.shmem_fs import shmem_init
from kemu.linux.slab import kfree, kzalloc
from kemu.linux.string import mem_read
from kemu.linux.types import NULL, FieldPtr, Ref, ptr_to, u32
from kemu.linux.unaligned import get_unaligned_le32

from initramfs.do_mounts import g as do_mounts_g
from initramfs.do_mounts import init_rootfs, prepare_namespace, rootfs_fs_type

BOOTCONFIG_MAGIC = b"#BOOTCONFIG\n"
BOOTCONFIG_MAGIC_LEN = 12
XBC_DATA_MAX = 32768 - 1
COMMAND_LINE_SIZE = 2048
CONSOLE_LOGLEVEL_DEFAULT, CONSOLE_LOGLEVEL_DEBUG, CONSOLE_LOGLEVEL_QUIET = 7, 10, 4
CONFIG_CMDLINE_LOG_WRAP_IDEAL_LEN = 1021
KERNEL_CMDLINE_PREFIX = "Kernel command line: "
KERNEL_CMDLINE_CONTINUATION = " \\"
IDEAL_CMDLINE_LEN = CONFIG_CMDLINE_LOG_WRAP_IDEAL_LEN - len(KERNEL_CMDLINE_PREFIX)
IDEAL_CMDLINE_SPLIT_LEN = IDEAL_CMDLINE_LEN - len(KERNEL_CMDLINE_CONTINUATION)
min_low_pfn = 1


@statics
class g:
    argv_init: list[str] = ["init"] + [NULL] * 200
    envp_init: list[str] = ["HOME=/", "TERM=linux"] + [NULL] * 200
    panic_later: str = NULL
    panic_param: str = NULL
    execute_command: str = NULL
    ramdisk_execute_command: str = "/init"
    ramdisk_execute_command_set = False
    boot_command_line = ""
    saved_command_line = ""
    static_command_line = ""
    kthreadd_done = per_machine(lambda: completion("rest_init()"))
    initcall_debug = False
    blacklisted_initcalls: list[str] = []
    bootconfig_found = False
    done = False                        # static int done of parse_early_param()
    initcall_calltime = 0
    console_loglevel = CONSOLE_LOGLEVEL_DEFAULT


def pr_debug(fmt: str, *args: Any) -> None:
    """This file defines DEBUG."""
    printk(KERN_DEBUG + fmt, *args)


def MAX_INIT_ARGS() -> int:
    """CONFIG_INIT_ENV_ARG_LIMIT: 32 but for UML, whose is 128"""
    return min(config_value("CONFIG_INIT_ENV_ARG_LIMIT", 32), 198)


MAX_INIT_ENVS = MAX_INIT_ARGS


@port_of("init/main.c", "obsolete_checksetup")
def obsolete_checksetup(line: str) -> bool:
    had_early_param = False

    for p in setups():
        n = len(p.str)
        if parameqn(line, p.str, n):
            if p.early:
                # Already done in parse_early_param? (Needs exact match on param part). Keep iterating, as we can have early
                # params and __setups of same names 8(
                if line[n:n + 1] in ("", "="):
                    had_early_param = True
            elif p.setup_func(line[n:]):
                return True

    return had_early_param or parse_takes(line, {p.str for p in setup_table})


@port_of("init/main.c", "get_boot_config_from_initrd")
def get_boot_config_from_initrd() -> tuple[int, int] | None:
    """Cuts the boot configuration off the initrd's end; (address, size), or None."""
    if (not initrd.initrd_end or initrd.initrd_end < initrd.initrd_start
            or initrd.initrd_end - initrd.initrd_start < BOOTCONFIG_MAGIC_LEN + 8):
        return None

    data = initrd.initrd_end - BOOTCONFIG_MAGIC_LEN
    # Since Grub may align the size of initrd to 4, we must check the preceding 3 bytes as well.
    for i in range(4):
        if mem_read(data, BOOTCONFIG_MAGIC_LEN) == BOOTCONFIG_MAGIC:
            break
        data -= 1
    else:
        return None

    # found:
    hdr = data - 8
    if hdr < initrd.initrd_start:
        return None

    size = get_unaligned_le32(hdr)
    csum = get_unaligned_le32(hdr + 4)

    if size > XBC_DATA_MAX:
        pr_err("bootconfig size %u is greater than max size %d\n", size, XBC_DATA_MAX)
        return None

    if size > hdr - initrd.initrd_start:
        pr_err("bootconfig size %u is greater than initrd size %lu\n", size, initrd.initrd_end - initrd.initrd_start)
        return None

    data = hdr - size

    if xbc_calc_checksum(data, size) != csum:
        pr_err("bootconfig checksum failed\n")
        return None

    # Remove bootconfig from initramfs/initrd
    initrd.initrd_end = data
    return data, size


@port_of("include/linux/bootconfig.h", "xbc_calc_checksum")
def xbc_calc_checksum(data: int, size: int) -> int:
    return u32(sum(mem_read(data, size))) if size else 0


@port_of("init/main.c", "setup_boot_config")
def setup_boot_config() -> None:
    # Remove bootconfig data from initrd
    if IS_ENABLED("CONFIG_BLK_DEV_INITRD"):
        get_boot_config_from_initrd()


@early_param("bootconfig")
@port_of("init/main.c", "warn_bootconfig")
def warn_bootconfig(str: str) -> int:
    pr_warn("WARNING: 'bootconfig' found on the kernel command line but CONFIG_BOOT_CONFIG is not set.\n")
    return 0


@port_of("init/main.c", "set_init_arg")
def set_init_arg(param: str, val: str, unused: str, arg: Any) -> int:
    """Anything after -- gets handed straight to init."""
    if g.panic_later:
        return 0

    param = repair_env_string(param, val)

    i = 0
    while g.argv_init[i] is not None:
        if i == MAX_INIT_ARGS():
            g.panic_later = "init"
            g.panic_param = param
            return 0
        i += 1
    g.argv_init[i] = param
    return 0


@port_of("init/main.c", "repair_env_string")
def repair_env_string(param: str, val: str) -> str:
    """Change NUL term back to "=", to make "param" the whole string."""
    return param if val is None else f"{param}={val}"


@port_of("init/main.c", "unknown_bootoption")
def unknown_bootoption(param: str, val: str, unused: str, arg: Any) -> int:
    """Unknown boot options get handed to init, unless they look like unused parameters."""
    len_ = len(param)
    bootloader = ("BOOT_IMAGE=", "kexec")

    # Handle params aliased to sysctls
    if sysctl_is_alias(param):
        return 0

    param = repair_env_string(param, val)

    # Handle bootloader identifier
    if param.startswith(bootloader):
        return 0

    # Handle obsolete-style parameters
    if obsolete_checksetup(param):
        return 0

    # Unused module parameter.
    if "." in param[:len_]:
        return 0

    if g.panic_later:
        return 0

    if val is not None:
        # Environment option
        i = 0
        while g.envp_init[i] is not None:
            if i == MAX_INIT_ENVS():
                g.panic_later = "env"
                g.panic_param = param
            if param[:len_ + 1] == g.envp_init[i][:len_ + 1]:
                break
            i += 1
        g.envp_init[i] = param
    else:
        # Command line option
        i = 0
        while g.argv_init[i] is not None:
            if i == MAX_INIT_ARGS():
                g.panic_later = "init"
                g.panic_param = param
            i += 1
        g.argv_init[i] = param
    return 0


@__setup("init=")
@port_of("init/main.c", "init_setup")
def init_setup(str: str) -> int:
    g.execute_command = str
    # In case LILO is going to boot us with default command line, it prepends "auto" before the whole cmdline which makes the
    # shell think it should execute a script with such name. So we ignore all arguments entered _before_ init=... [MJ]
    for i in range(1, MAX_INIT_ARGS()):
        g.argv_init[i] = NULL
    return 1


@__setup("rdinit=")
@port_of("init/main.c", "rdinit_setup")
def rdinit_setup(str: str) -> int:
    g.ramdisk_execute_command = str
    g.ramdisk_execute_command_set = True
    # See "auto" comment in init_setup
    for i in range(1, MAX_INIT_ARGS()):
        g.argv_init[i] = NULL
    return 1


@port_of("init/main.c", "setup_command_line")
def setup_command_line(command_line: str) -> None:
    g.saved_command_line = g.boot_command_line
    g.static_command_line = command_line


@port_of("init/main.c", "rest_init")
def rest_init() -> None:
    # We need to spawn init first so that it obtains pid 1, however the init task will end up wanting to create kthreads, which,
    # if we schedule it before we create kthreadd, will OOPS.
    kernel_thread_fn(kernel_init, None, "swapper/0")
    kernel_thread(kthreadd, None, "kthreadd")

    # Enable might_sleep() and smp_processor_id() checks.
    set_system_state(SYSTEM_SCHEDULING)

    complete(g.kthreadd_done)

    # The boot idle thread must execute schedule() at least once to get things moving:
    cpu_startup_entry()


@port_of("init/main.c", "do_early_param")
def do_early_param(param: str, val: str, unused: str, arg: Any) -> int:
    """Check for early params."""
    for p in setups():
        if p.early and parameq(param, p.str):
            if p.setup_func(val) != 0:
                pr_warn("Malformed early option '%s'\n", param)
    # We accept everything at this stage.
    return 0


@port_of("init/main.c", "parse_early_options")
def parse_early_options(cmdline: str) -> None:
    parse_args("early options", cmdline, [], 0, 0, None, do_early_param)


@port_of("init/main.c", "parse_early_param")
def parse_early_param() -> None:
    """Arch code calls this early on, or if not, just before other parsing."""
    if g.done:
        return

    # All fall through to do_early_param.
    parse_early_options(g.boot_command_line[:COMMAND_LINE_SIZE - 1])
    g.done = True


@early_param("debug")
@port_of("init/main.c", "debug_kernel")
def debug_kernel(str: str) -> int:
    g.console_loglevel = CONSOLE_LOGLEVEL_DEBUG
    return 0


@early_param("quiet")
@port_of("init/main.c", "quiet_kernel")
def quiet_kernel(str: str) -> int:
    g.console_loglevel = CONSOLE_LOGLEVEL_QUIET
    return 0


@early_param("loglevel")
@port_of("init/main.c", "loglevel")
def loglevel(str: str) -> int:
    newlevel = Ref(0)

    # Only update loglevel value when a correct setting was passed, to prevent blind crashes (when loglevel being set to 0) that
    # are quite hard to debug
    if get_option(str, newlevel):
        g.console_loglevel = newlevel.v
        return 0

    return -EINVAL


core_param("initcall_debug", ptr_to(g, "initcall_debug"), "bool")


@port_of("init/main.c", "print_unknown_bootoptions")
def print_unknown_bootoptions() -> None:
    if g.panic_later or (g.argv_init[1] is None and g.envp_init[2] is None):
        return

    unknown_options = " ".join(g.argv_init[1:g.argv_init.index(NULL)] + g.envp_init[2:g.envp_init.index(NULL)])
    pr_notice("Unknown kernel command line parameters \"%s\", will be passed to user space.\n", unknown_options)


@port_of("init/main.c", "print_kernel_cmdline")
def print_kernel_cmdline(cmdline: str) -> None:
    """Print the kernel command line, with wrapping at spaces."""
    # Config option of 0 or anything longer than the max disables wrapping
    if CONFIG_CMDLINE_LOG_WRAP_IDEAL_LEN == 0 or IDEAL_CMDLINE_LEN >= COMMAND_LINE_SIZE - 1:
        pr_notice("%s%s\n", KERNEL_CMDLINE_PREFIX, cmdline)
        return

    while len(cmdline) > IDEAL_CMDLINE_LEN:
        # Find the last ' ' that wouldn't make the line too long
        prev_cutoff = None
        cutoff = 0
        while True:
            cutoff = cmdline.find(" ", cutoff + 1)
            if cutoff < 0 or cutoff > IDEAL_CMDLINE_SPLIT_LEN:
                break
            prev_cutoff = cutoff
        if prev_cutoff is not None:
            cutoff = prev_cutoff
        elif cutoff < 0:
            break

        # Find the beginning and end of the string of spaces
        first_space = cutoff
        while first_space > 0 and cmdline[first_space - 1] == " ":
            first_space -= 1
        used = cutoff
        while cmdline[used:used + 1] == " ":
            used += 1

        # If the whole string is used, break and do the final printout
        if len(cmdline) == used:
            break

        if first_space:
            pr_notice("%s%.*s%s\n", KERNEL_CMDLINE_PREFIX, first_space, cmdline, KERNEL_CMDLINE_CONTINUATION)
        cmdline = cmdline[used:]
    if cmdline:
        pr_notice("%s%s\n", KERNEL_CMDLINE_PREFIX, cmdline)


@port_of("init/main.c", "start_kernel")
def start_kernel() -> None:
    g.boot_command_line = command_line = setup_arch()
    setup_boot_config()
    setup_command_line(command_line)
    print_kernel_cmdline(g.saved_command_line)
    # parameters may set static keys
    parse_early_param()
    after_dashes = parse_args("Booting kernel", g.static_command_line, params, -1, -1, None, unknown_bootoption)
    print_unknown_bootoptions()
    if not IS_ERR_OR_NULL(after_dashes):
        parse_args("Setting init args", after_dashes, [], -1, -1, None, set_init_arg)

    if g.panic_later:
        panic("Too many boot %s vars at `%s'", g.panic_later, g.panic_param)

    if (IS_ENABLED("CONFIG_BLK_DEV_INITRD") and initrd.initrd_start and not initrd.initrd_below_start_ok
            and page_to_pfn(virt_to_page(initrd.initrd_start)) < min_low_pfn):
        pr_crit("initrd overwritten (0x%08lx < 0x%08lx) - disabling it.\n", page_to_pfn(virt_to_page(initrd.initrd_start)),
                min_low_pfn)
        initrd.initrd_start = 0

    # vfs_caches_init() -> mnt_init() -> shmem_init(), init_rootfs(), init_mount_tree()
    shmem_init()
    init_rootfs()
    mnt_init(rootfs_fs_type, do_mounts_g.initramfs_options)

    # Do the rest non-__init'ed, we're now alive
    rest_init()


@__setup("initcall_blacklist=")
@port_of("init/main.c", "initcall_blacklist")
def initcall_blacklist(str: str) -> int:
    # str argument is a comma-separated list of functions
    for str_entry in str.split(","):
        pr_debug("blacklisting initcall %s\n", str_entry)
        g.blacklisted_initcalls.insert(0, str_entry)
    return 1


@port_of("init/main.c", "initcall_blacklisted")
def initcall_blacklisted(fn: initcall_t) -> bool:
    if not g.blacklisted_initcalls:
        return False
    # fn will be "function_name [module_name]" where [module_name] is not displayed for built-in init functions.
    fn_name = fn.__name__
    if fn_name in g.blacklisted_initcalls:
        pr_debug("initcall %s blacklisted\n", fn_name)
        return True

    return False


@port_of("init/main.c", "trace_initcall_start_cb")
def trace_initcall_start_cb(data: Any, fn: initcall_t) -> None:
    calltime: FieldPtr = data

    printk(KERN_DEBUG + "calling  %s @ %i\n", fn.__name__, current().pid)
    calltime.v = ktime_get()


@port_of("init/main.c", "trace_initcall_finish_cb")
def trace_initcall_finish_cb(data: Any, fn: initcall_t, ret: int) -> None:
    calltime: FieldPtr = data

    rettime = ktime_get()
    printk(KERN_DEBUG + "initcall %s returned %d after %lld usecs\n", fn.__name__, ret, (rettime - calltime.v) // 1000)


@port_of("init/main.c", "trace_initcall_level_cb")
def trace_initcall_level_cb(data: Any, level: str) -> None:
    printk(KERN_DEBUG + "entering initcall level: %s\n", level)


@port_of("init/main.c", "do_trace_initcall_start")
def do_trace_initcall_start(fn: initcall_t) -> None:
    if not g.initcall_debug:
        return
    trace_initcall_start_cb(ptr_to(g, "initcall_calltime"), fn)


@port_of("init/main.c", "do_trace_initcall_finish")
def do_trace_initcall_finish(fn: initcall_t, ret: int) -> None:
    if not g.initcall_debug:
        return
    trace_initcall_finish_cb(ptr_to(g, "initcall_calltime"), fn, ret)


@port_of("init/main.c", "do_trace_initcall_level")
def do_trace_initcall_level(level: str) -> None:
    if not g.initcall_debug:
        return
    trace_initcall_level_cb(NULL, level)


@port_of("init/main.c", "do_one_initcall")
def do_one_initcall(fn: initcall_t) -> int:
    count = preempt_count()
    msgbuf = ""

    if initcall_blacklisted(fn):
        return -EPERM

    do_trace_initcall_start(fn)
    ret = fn()
    do_trace_initcall_finish(fn, ret)

    if preempt_count() != count:
        msgbuf = "preemption imbalance "
        preempt_count_set(count)
    if msgbuf:
        WARN(msgbuf, "initcall %s returned with %s\n", fn.__name__, msgbuf)
    return ret


@port_of("init/main.c", "ignore_unknown_bootoption")
def ignore_unknown_bootoption(param: str, val: str, unused: str, arg: Any) -> int:
    return 0


# Keep these in sync with initcalls in include/linux/init.h
initcall_level_names = ("pure", "core", "postcore", "arch", "subsys", "fs", "device", "late")


@port_of("init/main.c", "do_initcall_level")
def do_initcall_level(level: int, command_line: str) -> None:
    parse_args(initcall_level_names[level], command_line, params, level, level, None, ignore_unknown_bootoption)

    do_trace_initcall_level(initcall_level_names[level])
    for fn in initcall_levels()[initcall_level_names[level]]:
        do_one_initcall(fn)


@port_of("init/main.c", "do_initcalls")
def do_initcalls() -> None:
    length = len(g.saved_command_line) + 1
    command_line = kzalloc(length, GFP_KERNEL)
    if not command_line:
        panic("%s: Failed to allocate %zu bytes\n", "do_initcalls", length)

    for level in range(len(initcall_level_names)):
        # Parser modifies command_line, restore it each time
        do_initcall_level(level, g.saved_command_line)

    kfree(command_line)


@port_of("init/main.c", "do_basic_setup")
def do_basic_setup() -> None:
    # cpuset_init_smp(), ksysfs_init(): neither is here
    driver_init()
    # init_irq_proc(), do_ctors(): neither is here
    do_initcalls()


@port_of("init/main.c", "do_pre_smp_initcalls")
def do_pre_smp_initcalls() -> None:
    do_trace_initcall_level("early")
    for fn in initcall_levels()["early"]:
        do_one_initcall(fn)


@port_of("init/main.c", "run_init_process")
def run_init_process(init_filename: str) -> int:
    g.argv_init[0] = init_filename
    pr_info("Run %s as init process\n", init_filename)
    pr_debug("  with arguments:\n")
    for p in g.argv_init[:g.argv_init.index(NULL)]:
        pr_debug("    %s\n", p)
    pr_debug("  with environment:\n")
    for p in g.envp_init[:g.envp_init.index(NULL)]:
        pr_debug("    %s\n", p)
    return kernel_execve(init_filename, g.argv_init[:g.argv_init.index(NULL)], g.envp_init[:g.envp_init.index(NULL)])


@port_of("init/main.c", "try_to_run_init_process")
def try_to_run_init_process(init_filename: str) -> int:
    ret = run_init_process(init_filename)

    if ret and ret != -ENOENT:
        pr_err("Starting init: %s exists but couldn't execute it (error %d)\n", init_filename, ret)

    return ret


@port_of("init/main.c", "mark_readonly")
def mark_readonly() -> None:
    if not IS_ENABLED("CONFIG_STRICT_KERNEL_RWX"):
        if IS_ENABLED("CONFIG_ARCH_HAS_STRICT_KERNEL_RWX"):
            pr_warn("Kernel memory protection not selected by kernel config.\n")
        else:
            pr_warn("This architecture does not have kernel memory protection.\n")


@port_of("init/main.c", "kernel_init")
def kernel_init(unused: Any) -> int:
    # Wait until kthreadd is all set-up.
    wait_for_completion(g.kthreadd_done)

    kernel_init_freeable()
    # need to finish all async __init code before freeing the memory
    async_synchronize_full()

    set_system_state(SYSTEM_FREEING_INITMEM)
    free_initmem()
    mark_readonly()

    set_system_state(SYSTEM_RUNNING)

    if g.ramdisk_execute_command:
        ret = run_init_process(g.ramdisk_execute_command)
        if not ret:
            return 0
        pr_err("Failed to execute %s (error %d)\n", g.ramdisk_execute_command, ret)

    # We try each of these until one succeeds.
    #
    # The Bourne shell can be used instead of init if we are trying to recover a really broken machine.
    if g.execute_command:
        ret = run_init_process(g.execute_command)
        if not ret:
            return 0
        panic("Requested init %s failed (error %d).", g.execute_command, ret)

    if config_value("CONFIG_DEFAULT_INIT", ""):
        ret = run_init_process(config_value("CONFIG_DEFAULT_INIT", ""))
        if ret:
            pr_err("Default init %s failed (error %d)\n", config_value("CONFIG_DEFAULT_INIT", ""), ret)
        else:
            return 0

    if (not try_to_run_init_process("/sbin/init") or not try_to_run_init_process("/etc/init")
            or not try_to_run_init_process("/bin/init") or not try_to_run_init_process("/bin/sh")):
        return 0

    panic("No working init found.  Try passing init= option to kernel. "
          "See Linux Documentation/admin-guide/init.rst for guidance.")


@port_of("init/main.c", "console_on_rootfs")
def console_on_rootfs() -> None:
    """Open /dev/console, for stdin/stdout/stderr, this should never fail."""
    file = filp_open("/dev/console", O_RDWR, 0)

    if IS_ERR(file):
        pr_err("Warning: unable to open an initial console.\n")
        return
    init_dup(file)
    init_dup(file)
    init_dup(file)
    fput(file)


@port_of("init/main.c", "kernel_init_freeable")
def kernel_init_freeable() -> None:
    workqueue_init()

    do_pre_smp_initcalls()

    async_init()

    do_basic_setup()

    kunit_run_all_tests()

    wait_for_initramfs()
    console_on_rootfs()

    # check if there is an early userspace init.  If yes, let it do all the work
    ramdisk_command_access = init_eaccess(g.ramdisk_execute_command)
    if ramdisk_command_access != 0:
        if g.ramdisk_execute_command_set:
            pr_warn("check access for rdinit=%s failed: %i, ignoring\n", g.ramdisk_execute_command, ramdisk_command_access)
        g.ramdisk_execute_command = NULL
        prepare_namespace()

    # Ok, we have completed the initial bootup, and we're essentially up and running. Get rid of the initmem segments and start
    # the user-mode stuff..
