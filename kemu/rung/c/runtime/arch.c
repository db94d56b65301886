// SPDX-License-Identifier: GPL-2.0-only
/* What arch/um and the machine's clock, CPU and randomness are here: one CPU, no interrupts, the caller's memory is the user's. */
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <asm/uaccess.h>
#include "runtime.h"

/* ---- interrupts ---- */

static int enabled = 1;

int um_get_signals(void)
{
	return enabled;
}

int um_set_signals(int enable)
{
	int was = enabled;

	enabled = enable;
	return was;
}

void block_signals(void)
{
	enabled = 0;
}

void unblock_signals(void)
{
	enabled = 1;
}

void __local_bh_enable_ip(unsigned long ip, unsigned int cnt)
{
	preempt_count_sub(cnt);
}

void ___migrate_enable(void)
{
}

const unsigned long cpu_bit_bitmap[BITS_PER_LONG + 1][BITS_TO_LONGS(NR_CPUS)] = {
	[1] = { 1 },
};
struct cpumask __cpu_online_mask __read_mostly = { { 1 } };
struct cpumask __cpu_possible_mask __read_mostly = { { 1 } };
struct cpumask __cpu_active_mask __read_mostly = { { 1 } };

int __cpuhp_setup_state(enum cpuhp_state state, const char *name, bool invoke, int (*startup)(unsigned int cpu),
			int (*teardown)(unsigned int cpu), bool multi_instance)
{
	return invoke && startup ? startup(0) : 0;
}

void __cpuhp_remove_state(enum cpuhp_state state, bool invoke)
{
}

int __cpuhp_state_add_instance(enum cpuhp_state state, struct hlist_node *node, bool invoke)
{
	return 0;
}

int __cpuhp_state_remove_instance(enum cpuhp_state state, struct hlist_node *node, bool invoke)
{
	return 0;
}

/* ---- the user's memory ---- */

unsigned long raw_copy_from_user(void *to, const void __user *from, unsigned long n)
{
	memcpy(to, (const void __force *)from, n);
	return 0;
}

unsigned long raw_copy_to_user(void __user *to, const void *from, unsigned long n)
{
	memcpy((void __force *)to, from, n);
	return 0;
}

unsigned long __clear_user(void __user *mem, unsigned long len)
{
	memset((void __force *)mem, 0, len);
	return 0;
}

long strncpy_from_user(char *dst, const char __user *src, long count)
{
	long n = strnlen((const char __force *)src, count);

	memcpy(dst, (const void __force *)src, n < count ? n + 1 : n);
	return n;
}

long strnlen_user(const char __user *str, long len)
{
	return strnlen((const char __force *)str, len) + 1;
}

long copy_from_kernel_nofault(void *dst, const void *src, size_t size)
{
	memcpy(dst, src, size);
	return 0;
}

size_t fault_in_readable(const char __user *uaddr, size_t size)
{
	return 0;
}

size_t fault_in_safe_writeable(const char __user *uaddr, size_t size)
{
	return 0;
}

size_t fault_in_writeable(char __user *uaddr, size_t size)
{
	return 0;
}

void __copy_overflow(int size, unsigned long count)
{
	kemu_trap("Buffer overflow detected (%d < %lu)!", size, count);
}

/* ---- time stands still but for what is waited for ---- */

#define NOW	5000000000ll	/* as the Linux rung's kernels */

void ktime_get_real_ts64(struct timespec64 *tv)
{
	*tv = (struct timespec64){ NOW, 0 };
}

void ktime_get_coarse_real_ts64(struct timespec64 *ts)
{
	*ts = (struct timespec64){ NOW, 0 };
}

void ktime_get_coarse_real_ts64_mg(struct timespec64 *ts)
{
	*ts = (struct timespec64){ NOW, 0 };
}

void ktime_get_real_ts64_mg(struct timespec64 *ts)
{
	*ts = (struct timespec64){ NOW, 0 };
}

void ktime_get_ts64(struct timespec64 *ts)
{
	*ts = (struct timespec64){ 0, 0 };
}

time64_t ktime_get_real_seconds(void)
{
	return NOW;
}

ktime_t ktime_get(void)
{
	return 0;
}

void timer_init_key(struct timer_list *timer, void (*func)(struct timer_list *), unsigned int flags, const char *name,
		    struct lock_class_key *key)
{
	timer->entry.pprev = NULL;
	timer->function = func;
	timer->flags = flags;
}

int mod_timer(struct timer_list *timer, unsigned long expires)
{
	return 0;
}

int timer_delete(struct timer_list *timer)
{
	return 0;
}

int timer_delete_sync(struct timer_list *timer)
{
	return 0;
}

/* ---- randomness that is the same each time ---- */

static u64 seed = 0x9e3779b97f4a7c15ull;

u64 get_random_u64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

u32 get_random_u32(void)
{
	return get_random_u64();
}

u32 __get_random_u32_below(u32 ceil)
{
	return ceil ? get_random_u32() % ceil : 0;
}

void get_random_bytes(void *buf, size_t len)
{
	u8 *p = buf;

	while (len--)
		*p++ = get_random_u64();
}

int execute_with_initialized_rng(struct notifier_block *nb)
{
	return 0;
}

bool rng_is_initialized(void)
{
	return true;
}
