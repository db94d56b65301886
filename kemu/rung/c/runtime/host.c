// SPDX-License-Identifier: GPL-2.0-only
/* The host's side, compiled with the host's headers: memory, signals, the frames of a stack. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif

extern int kemu_armed;
void kemu_signal(const char *what, unsigned long address, unsigned long pc, void *frame) __attribute__((noreturn));

/* All that this kernel has of the host's memory. */
static struct {
	void *p;
	unsigned long len;
} mine[128];
static int mine_count;

static void *keep(void *p, unsigned long len)
{
	if (p == MAP_FAILED || mine_count == sizeof(mine) / sizeof(*mine))
		return NULL;
	mine[mine_count].p = p;
	mine[mine_count++].len = len;
	return p;
}

void *host_reserve(unsigned long len)
{
	void *p = keep(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), len);

	if (p && len >= 4 << 20)
		madvise(p, len, MADV_HUGEPAGE);
	return p;
}

/* Room in which nothing is yet. */
void *host_hole(unsigned long len)
{
	return keep(mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), len);
}

static unsigned long shadow;

/* The sanitizer's shadow is the process's: it stays when a kernel ends, and the next one finds it. */
void host_shadow(unsigned long at, unsigned long len)
{
	shadow = at;
	mmap((void *)at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

/* What is touched there is a signal. */
void host_forbid(void *at, unsigned long len)
{
	mprotect(at, len & ~4095ul, PROT_NONE);
}

void host_permit(void *at, unsigned long len)
{
	mprotect(at, len, PROT_READ | PROT_WRITE);
}

static int pages_fd = -1;

void *host_pages(unsigned long pages)
{
	pages_fd = memfd_create("kemu-pages", MFD_CLOEXEC);
	if (pages_fd < 0 || ftruncate(pages_fd, pages << 12))
		return NULL;
	return keep(mmap(NULL, pages << 12, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, pages_fd, 0), pages << 12);
}

void *host_alias(void *at, unsigned long page, unsigned long pages)
{
	void *p = mmap(at, pages << 12, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, pages_fd, page << 12);

	return p == MAP_FAILED ? NULL : p;
}

/* All at once is less work than a fault each; a host that cannot has faults. */
void host_populate(void *at, unsigned long pages)
{
	madvise(at, pages << 12, MADV_POPULATE_READ);
}

/* ---- signals: only while the kernel runs are they its; of several kernels one has them, which kemu_signals() decides ---- */

void host_timer(unsigned int milliseconds);

static struct sigaction before[NSIG];
static int mine_now;
static const int caught[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGVTALRM };
static const char *const names[] = { "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "hang: too much processor time" };

static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	unsigned int i;
	unsigned long pc;

	if (!kemu_armed) {
		if (sig == SIGVTALRM)		/* between two calls of a case: the next one is to end */
			host_timer(10);
		else
			sigaction(sig, &before[sig], NULL);	/* comes again, and is the other's */
		return;
	}
	for (i = 0; caught[i] != sig; i++)
		;
	pc = uc->uc_mcontext.gregs[REG_RIP];
	if (pc < 4096)			/* a call of nothing: who called has its return address on top of the stack */
		pc = *(unsigned long *)uc->uc_mcontext.gregs[REG_RSP] - 1;
	kemu_signal(names[i], (unsigned long)info->si_addr, pc, (void *)uc->uc_mcontext.gregs[REG_RBP]);
}

void host_signals(int take)
{
	struct sigaction sa;

	if (take == mine_now)
		return;
	mine_now = take;
	for (unsigned int i = 0; !take && i < sizeof(caught) / sizeof(*caught); i++)
		sigaction(caught[i], &before[caught[i]], NULL);
	if (!take)
		return;
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_signal;
	sa.sa_flags = SA_SIGINFO | SA_NODEFER;
	for (unsigned int i = 0; i < sizeof(caught) / sizeof(*caught); i++)
		sigaction(caught[i], &sa, &before[caught[i]]);
}

/* Processor time that the kernel may take from now on; 0: as much as it likes. */
void host_timer(unsigned int milliseconds)
{
	struct itimerval t = { .it_value = { milliseconds / 1000, milliseconds % 1000 * 1000 } };

	setitimer(ITIMER_VIRTUAL, &t, NULL);
}

/* The return addresses of the frames from @frame on. */
unsigned long host_stack(unsigned long *pcs, unsigned long most, void *frame)
{
	uintptr_t *f = frame, *last = NULL;
	unsigned long n = 0;

	while (n < most && f && !((uintptr_t)f & 7) && (!last || (f > last && (uintptr_t)f - (uintptr_t)last < 1 << 20))) {
		if (f[1] < 4096)
			break;
		pcs[n++] = f[1];
		last = f;
		f = (uintptr_t *)f[0];
	}
	return n;
}

void host_end(void)
{
	host_signals(0);
	while (mine_count--) {
		if (shadow)		/* whoever is there next begins without poison */
			madvise((void *)((((uintptr_t)mine[mine_count].p >> 3) + shadow) & ~4095ul),
				(mine[mine_count].len >> 3) + 8192, MADV_DONTNEED);
		munmap(mine[mine_count].p, mine[mine_count].len);
	}
	if (pages_fd >= 0)
		close(pages_fd);
}
