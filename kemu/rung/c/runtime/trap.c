// SPDX-License-Identifier: GPL-2.0-only
/* How the kernel dies here: BUG(), panic(), a symbol that nobody stands for, a signal. And its log. */
#include <linux/bug.h>
#include <linux/panic.h>
#include <linux/printk.h>
#include <linux/kern_levels.h>
#include "runtime.h"

void *kemu_back[5];
int kemu_armed;
struct kemu_stats kemu_stats;
static char report[1 << 14];
#define STACK_LEFT	(1ul << 20)

const char *kemu_report(void)
{
	return report;
}

static int say_stack(char *to, size_t room, void *frame)
{
	unsigned long pcs[32];
	unsigned long i, n = host_stack(pcs, ARRAY_SIZE(pcs), frame);
	int len = 0;

	for (i = 0; i < n; i++)
		len += scnprintf(to + len, room - len, "\n@%lx", pcs[i]);
	return len;
}

static void __noreturn leave(void)
{
	/* the stack that the frames were on which are left: entry's stack pointer is the third word of what __builtin_setjmp() keeps */
	shadow_leave(kemu_back[2] - STACK_LEFT, STACK_LEFT);
	kemu_armed = 0;
	__builtin_longjmp(kemu_back, 1);
}

void kemu_trap(const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vscnprintf(report, sizeof(report), fmt, ap);
	va_end(ap);
	say_stack(report + len, sizeof(report) - len, __builtin_frame_address(0));
	leave();
}

static int say_pcs(char *to, size_t room, const char *what, unsigned long *pcs)
{
	int i, len = scnprintf(to, room, "\n%s:", what);

	for (i = 0; i < KEMU_STACK && pcs[i]; i++)
		len += scnprintf(to + len, room - len, "\n@%lx", pcs[i]);
	return len;
}

/* The sanitizer's: where the object was allocated and freed, if it is one. */
void kemu_trap_at(void *frame, unsigned long *allocated, unsigned long *freed, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vscnprintf(report, sizeof(report), fmt, ap);
	va_end(ap);
	len += say_stack(report + len, sizeof(report) - len, frame);
	if (allocated)
		len += say_pcs(report + len, sizeof(report) - len, "allocated", allocated);
	if (freed)
		say_pcs(report + len, sizeof(report) - len, "freed", freed);
	leave();
}

/* host.c calls it out of a signal's handler */
void kemu_signal(const char *what, unsigned long address, unsigned long pc, void *frame)
{
	int len = scnprintf(report, sizeof(report), "%s at %lx\n@%lx", what, address, pc);

	say_stack(report + len, sizeof(report) - len, frame);
	leave();
}

/* ---- leaks: one line each in the report, "LEAK what size @pc..." ---- */

static size_t report_len;

void kemu_leak(const char *what, unsigned int size, unsigned long *stack)
{
	int i;

	if (report_len > sizeof(report) - 512)
		return;
	report_len += scnprintf(report + report_len, sizeof(report) - report_len, "LEAK %s %u", what, size);
	for (i = 0; stack && i < KEMU_STACK && stack[i]; i++)
		report_len += scnprintf(report + report_len, sizeof(report) - report_len, " @%lx", stack[i]);
	report_len += scnprintf(report + report_len, sizeof(report) - report_len, "\n");
}

/* From here on what is there is no leak. */
void kemu_mark(void)
{
	slab_mark();
}

int kemu_leaks(void)
{
	report_len = 0;
	report[0] = 0;
	return slab_leaks(true);
}

/* ---- the log: "<level>text" lines ---- */

static char text[1 << 18];
static size_t text_len;
static bool in_line;

const char *kemu_log(unsigned long long *len)
{
	*len = text_len;
	return text;
}

void kemu_log_clear(void)
{
	text_len = 0;
	in_line = false;
}

/* As vprintk_store(): the level may be in what is formatted, too. */
static int log_text(const char *fmt, va_list ap)
{
	static char line[1024];
	char level = '0' + CONFIG_MESSAGE_LOGLEVEL_DEFAULT, *p = line;
	bool goes_on = false;
	int n = vscnprintf(line, sizeof(line), fmt, ap), kind;

	while ((kind = printk_get_level(p))) {
		if (kind == 'c')
			goes_on = true;
		else
			level = kind;
		p += 2;
		n -= 2;
	}
	if (text_len > sizeof(text) - 2048)
		text_len = 0;
	if (in_line && !goes_on)
		text[text_len++] = '\n';
	if (!in_line || !goes_on)
		text_len += scnprintf(text + text_len, sizeof(text) - text_len, "<%c> ", level);
	memcpy(text + text_len, p, n);
	text_len += n;
	in_line = !(n && text[text_len - 1] == '\n');
	return n;
}

int _printk(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = log_text(fmt, ap);
	va_end(ap);
	return n;
}

int _printk_deferred(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = log_text(fmt, ap);
	va_end(ap);
	return n;
}

int vprintk(const char *fmt, va_list args)
{
	return log_text(fmt, args);
}

void panic(const char *fmt, ...)
{
	static char message[512];
	va_list ap;

	va_start(ap, fmt);
	vscnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	kemu_trap("Kernel panic - not syncing: %s", message);
}

void warn_slowpath_fmt(const char *file, int line, unsigned int taint, const char *fmt, ...)
{
	kemu_stats.warnings++;
	_printk(KERN_WARNING "WARNING: %s:%d\n", file, line);
	if (fmt) {
		va_list ap;

		va_start(ap, fmt);
		log_text(fmt, ap);
		va_end(ap);
	}
}

void add_taint(unsigned int flag, enum lockdep_ok lockdep_ok)
{
}

void dump_stack(void)
{
}

void dump_stack_lvl(const char *log_lvl)
{
}

int __printk_ratelimit(const char *func)
{
	return 1;
}

void kemu_count(struct kemu_stats *stats)
{
	*stats = kemu_stats;
}

void kemu_limit(unsigned int milliseconds)
{
	host_timer(milliseconds);
}

void kemu_signals(int take)
{
	host_signals(take);
}

const char *kemu_sanitizer(void)
{
	return "";
}

void kemu_end(void)
{
	shadow_end();
	host_end();
}
