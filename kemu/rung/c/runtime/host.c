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

/* ---- what Linux mends: arch/x86/mm/extable.c ---- */

struct exception_table_entry {
	int insn, fixup, data;		/* places, each as far from itself as it says */
};

extern const struct exception_table_entry __start___ex_table[], __stop___ex_table[] __attribute__((weak, visibility("hidden")));

#define EX_TYPE_ZEROPAD	20

/* The registers by their numbers in an instruction. */
static const int by_number[] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11,
				 REG_R12, REG_R13, REG_R14, REG_R15 };

/* The register that "mov mem, reg" of eight bytes loads, and the address that it loads from; -1: it is another instruction. */
static int loaded(const unsigned char *insn, const greg_t *regs, unsigned long *address)
{
	unsigned char rex = *insn++, modrm, sib;
	unsigned int mod, base, index;
	int near;

	if ((rex & 0xf8) != 0x48 || *insn++ != 0x8b)
		return -1;
	modrm = *insn++;
	mod = modrm >> 6;
	base = modrm & 7;
	if (mod == 3 || (mod == 0 && base == 5))
		return -1;
	*address = 0;
	if (base == 4) {
		sib = *insn++;
		index = (sib >> 3 & 7) | (rex & 2) << 2;
		base = sib & 7;
		if (index != 4)
			*address = (unsigned long)regs[by_number[index]] << (sib >> 6);
	}
	if (mod == 0 && base == 5)
		mod = 2;		/* a displacement and no base */
	else
		*address += regs[by_number[base | (rex & 1) << 3]];
	if (mod == 1) {
		*address += (signed char)*insn;
	} else if (mod == 2) {
		memcpy(&near, insn, sizeof(near));
		*address += near;
	}
	return by_number[(modrm >> 3 & 7) | (rex & 4) << 1];
}

/* A word that crosses into a page that is not there has zeroes for what is missing: load_unaligned_zeropad(), ex_handler_zeropad(). */
static int mended(ucontext_t *uc)
{
	greg_t *regs = uc->uc_mcontext.gregs;
	const struct exception_table_entry *e;
	unsigned long address, offset;
	int reg;

	for (e = __start___ex_table; e < __stop___ex_table; e++) {
		if ((uintptr_t)&e->insn + e->insn != (uintptr_t)regs[REG_RIP] || (e->data & 0xff) != EX_TYPE_ZEROPAD)
			continue;
		reg = loaded((const unsigned char *)regs[REG_RIP], regs, &address);
		if (reg < 0)
			return 0;
		offset = address & (sizeof(long) - 1);
		address &= ~(sizeof(long) - 1);
		/* the word's beginning is there, or this is another fault */
		if (!offset || (address ^ (uintptr_t)uc->uc_mcontext.gregs[REG_CR2]) < 4096)
			return 0;
		regs[reg] = *(unsigned long *)address >> offset * 8;
		regs[REG_RIP] = (uintptr_t)&e->fixup + e->fixup;
		return 1;
	}
	return 0;
}

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
	if ((sig == SIGSEGV || sig == SIGBUS) && mended(uc))
		return;
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
