/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What both sides share: the runtime includes it, Python gives it to cffi. Plain C types only. A call returns 0, a count or an address,
 * -errno, or KEMU_TRAP when the kernel died in it: then kemu_report() says how, and this instance is not to be used again.
 */
#define KEMU_TRAP		-4096
#define KEMU_DISKS		8

/* Where an image is placed. */
#define KEMU_PLACE_LINEAR	0
#define KEMU_PLACE_VMALLOC	1
#define KEMU_PLACE_SLAB		2

/* What an image is mounted from. */
#define KEMU_BACKEND_BDEV	0
#define KEMU_BACKEND_FILE	1
#define KEMU_BACKEND_REGION	2	/* a series' own: its function is given where the image is placed */

/* flags of kemu_start() */
#define KEMU_FILL_PATTERN	1	/* memory that nobody has written is not zeros but this byte: flags >> 8 */

struct kemu_map {
	unsigned long long la, pa, llen, plen;
	unsigned int flags, deviceid;
	int algorithm, error;
};

struct kemu_walk {
	const char *entries;		/* as the agent of the Linux rung writes them */
	unsigned long long entries_len;
	const char *facts;
	unsigned long long facts_len;
	unsigned int count, full;
};

/* flags of kemu_walk() */
#define KEMU_WALK_FACTS		1	/* what else can be seen of each inode */
#define KEMU_WALK_CLOCK		2	/* times that the clock has set are not shown: an unpacked archive */
#define KEMU_WALK_UNREAD	4	/* contents are not read */

/* Images that are placed in the slots from 0 on, the first of them mounted at /mnt, and walked; then all of that goes, unless it stays. */
#define KEMU_CASE_NO_ROOM	1	/* there was no memory to place them */
#define KEMU_CASE_BUSY		2	/* it could not be unmounted */

struct kemu_case {
	/* asked */
	const void *image[KEMU_DISKS];
	unsigned long long len[KEMU_DISKS];
	unsigned int images, backend, memory, at;
	const char *source, *options;
	const void *mount;		/* of KEMU_BACKEND_REGION: kemu_backend_mount() */
	unsigned long long cap;
	unsigned int most, flags;	/* of the walk */
	unsigned int fail_nth, milliseconds, stays;
	/* answered */
	int refused, error;		/* -errno: of the mount; of the runtime, */
	unsigned int slot;		/* and which image there was no memory for */
	struct kemu_walk tree;
	unsigned long long points;
	unsigned int fired;
	const char *log;
	unsigned long long log_len;
};

/* All files below a folder, or every @of-th of them from the @part-th on, read to their ends and dropped. */
struct kemu_reading {
	unsigned int part, of, most;	/* asked: and how many names are looked at */
	unsigned int names, failed;
	unsigned long long files, bytes;
	const char *failures;		/* an errno as an int, and what it is of, "" or "/a/name", with its NUL */
	unsigned long long failures_len;
};

struct kemu_statfs {
	unsigned long long type, block_size, blocks, files, free_files, name_max;
};

struct kemu_stats {
	unsigned long long slab_objects, slab_bytes, pages, pages_peak, allocations, bios, bio_bytes, switches, works, warnings;
	unsigned long long faults;	/* places where a fault could have been injected */
	unsigned int fired;		/* whether it was */
};

/* One choice: what is chosen from and how many there are; returns which. */
typedef unsigned int (*kemu_choose_t)(unsigned int kind, unsigned int n);

int kemu_start(unsigned long long page_count, unsigned long long flags);
int kemu_initcall(void *function);
int kemu_module_init(void *function);
int kemu_exitcall(void *function);
void kemu_end(void);
int kemu_ready(void);
void kemu_choose(kemu_choose_t choose);
const char *kemu_report(void);
const char *kemu_sanitizer(void);
const char *kemu_log(unsigned long long *len);
void kemu_log_clear(void);
void kemu_count(struct kemu_stats *stats);
#define KEMU_FAIL_NTH		0xfffff		/* the bits that say which; those above: how many behind it fail, too */
void kemu_fail_nth(unsigned int nth);
const unsigned int *kemu_fault_sites(void);	/* of the calls that could have failed since then; at most 16384 */
void kemu_fault_around(const unsigned long *ranges, unsigned int n);	/* n times from and to, from where the library begins */
const unsigned char *kemu_fault_near(void);	/* of the same calls, whether they come from within one of these ranges */
unsigned int kemu_fault_stack(unsigned long *pcs, unsigned int most);
void kemu_limit(unsigned int milliseconds);
void kemu_signals(int take);		/* whether the process's signals are this kernel's: of several, one's at a time */

int kemu_place(unsigned int slot, const void *data, unsigned long long len, unsigned int memory, unsigned int at);
int kemu_place_file(unsigned int slot, const void *data, unsigned long long at, unsigned long long len, unsigned long long size);
int kemu_drop(unsigned int slot, unsigned int backend);

int kemu_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options);
int kemu_mount_region(const void *function, unsigned int slot, const char *target, const char *options);
int kemu_umount(const char *target, int flags);
int kemu_walk(const char *root, unsigned long long cap, unsigned int most, int flags, struct kemu_walk *out);
int kemu_case(struct kemu_case *c);
int kemu_case_end(struct kemu_case *c);
int kemu_read_tree(const char *root, struct kemu_reading *reading);
int kemu_statfs(const char *path, struct kemu_statfs *out);
int kemu_list(const char *path, char *names, unsigned int room);
int kemu_settle(void);
int kemu_leaks(void);
void kemu_mark(void);

int kemu_mkdir(const char *path, unsigned int mode);
int kemu_open(const char *path, int flags);
int kemu_close(int fd);
long long kemu_pread(int fd, void *buffer, unsigned long long len, long long at);

long long kemu_write(int fd, const void *data, unsigned long long len);
int kemu_doors(const char *path);

/* Errands of several tasks at once: what each does one after the other, and what came of it. */
#define KEMU_TASKS		4
#define KEMU_READ		0	/* the bytes of a file */
#define KEMU_LIST		1	/* the entries of a folder */
#define KEMU_XATTRS		2	/* names and values */
#define KEMU_DROP		3	/* the pages of a file's cache go */
#define KEMU_MEMORY		4	/* memory is short */
#define KEMU_MOUNTED		5	/* the device is mounted at the folder, the file read there, and it is unmounted */

struct kemu_errand {
	int what;
	const char *path, *device, *folder;
	long long result;		/* bytes, or -errno */
	unsigned long long hash;	/* of what was read */
};

int kemu_errands(struct kemu_errand *errands, const unsigned int *counts, unsigned int tasks);
void kemu_delay(int on);
int kemu_shrink(void);
void kemu_rcu_soon(int on);		/* grace periods are over at once, or later again */

int kemu_erofs_open(const char *path, void **inode);
int kemu_erofs_map(void *inode, unsigned long long la, int flags, struct kemu_map *out);
int kemu_erofs_maps(void *inode, const unsigned long long *la, unsigned int n, int flags, struct kemu_map *out);
unsigned long long kemu_erofs_size(void *inode);

int kemu_read_ahead(const char *path, unsigned int bytes);	/* as blockdev --setra, of what is mounted there */
int kemu_enter(const char *path);
int kemu_leave(void);

/* a boot, as far as init/initramfs.c is concerned: parameters, the initrd in a slot, populate_rootfs() into the root */
int kemu_parameter(const void *entry, const char *word, int early);
unsigned long long kemu_physical(unsigned int slot);
int kemu_initrd(unsigned int slot);
int kemu_populate(void *initcall, const void *builtin, unsigned long long len);
int kemu_wait_for_initramfs(void);
int kemu_parameters(const char *words);

/* flavours kunit and kunit-asan: lib/kunit's own run of the suites, after kemu_parameters("kunit.filter_glob=..."); KTAP in the log */
int kemu_kunit(void);

/* flavour cov: which blocks of the files under test have run since kemu_cov_reset(), in KEMU_CELLS cells */
#define KEMU_CELLS		65536
void kemu_cov_reset(void);
int kemu_cov_merge(unsigned char *seen, unsigned int *cells);

/* flavour gcov: the counters of one object under test, as a .gcda file; 0 behind the last object */
unsigned long long kemu_gcov(unsigned int object, const char **name, char *room);

/* flavour asan-review: what the objects under test have done since kemu_watch(1, ...): basic blocks, calls outside, locks by their kinds */
#define KEMU_TOLD_LOCKS	1016	/* numbers of calls are below; then spinlocks of a file, shared, of an object, shared; RCU and its like */
#define KEMU_TOLD	1024
#define KEMU_SITES	12
struct kemu_told {
	unsigned int times, first;	/* how often; the first of them was called as the how many-eth */
	unsigned int near, held;	/* whether from within the ranges of kemu_fault_around(); locks that nobody has left */
	unsigned int last, sites;	/* as first, of the last one whose first argument was not 0; how many of these: */
	struct kemu_site {
		unsigned int stack, number;	/* a hash of where it was called from, by way of those ranges; which call that was */
	} site[KEMU_SITES];		/* of one that can fail */
};
void kemu_watch(int on, unsigned int what, unsigned int nth, int error);	/* the nth call of that number fails, with that */
void kemu_watch_lock(unsigned int what, int way);
void kemu_watch_fallible(unsigned int what);
struct kemu_cmp {
	unsigned long long a, b;
	unsigned int size, at;
};
unsigned int kemu_watch_cmps(const struct kemu_cmp **cmps);	/* what was compared within the ranges of kemu_fault_around(), and differs */
unsigned int kemu_watch_ran(const unsigned int **offsets);
struct kemu_value {
	unsigned long long value;
	unsigned short bytes, from;	/* where in a page it was; the size of one: nowhere */
	unsigned short hash;
	unsigned short close;		/* something was compared within the ranges of kemu_fault_around() soon behind it */
};
unsigned int kemu_watch_values(const struct kemu_value **values);	/* what was converted from the disk's byte order, each value once */
struct kemu_guarded {
	char of[32];			/* what it is in: a cache of slab; "": a variable */
	unsigned long long at;		/* from its beginning; of a variable the offset in this library */
	unsigned int size;		/* of what it is in */
	unsigned int locks;		/* those that whoever touched it has held each time, since the first time that anybody held one */
	unsigned long long pc;		/* where it was touched without one of them, in the ranges of kemu_fault_around(); 0: nowhere */
	unsigned int before;		/* the locks until then */
	unsigned int unused;
};
unsigned int kemu_guards(const struct kemu_guarded **places);
unsigned int kemu_guard_locks(const struct kemu_guarded **locks);	/* which they are: bit n of a place's locks is the nth */
const struct kemu_told *kemu_watch_told(void);

/* What a name of a mounted file system shows when it is asked more than a walk asks: lines, added to those since kemu_look_clear() */
int kemu_look(const char *path);
void kemu_look_clear(void);
const char *kemu_look_lines(unsigned long long *len);
