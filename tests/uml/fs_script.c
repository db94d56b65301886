// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the scripts of tests/fs_script.py on a real kernel, as /init: /script in, results to a file of the host.
 * A line "case N" unmounts everything below /t, makes /t anew, and prints itself; "case N ns" runs what follows in a child with a mount
 * namespace of its own, in which nothing but the root is mounted.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "agent.h"

static FILE *out;
static int at;
static int proc = -1;
static int held[64], nr_held;

static void done(long ret)
{
	if (ret < 0)
		fprintf(out, "%d %d\n", at, errno);
	else
		fprintf(out, "%d ok\n", at);
}

static size_t unhex(const char *s, unsigned char *to)
{
	size_t n = 0;

	for (; s[0] && s[1]; s += 2) {
		char b[3] = { s[0], s[1], 0 };

		to[n++] = strtoul(b, NULL, 16);
	}
	return n;
}

static void do_open(const char *path, const char *flags, const unsigned char *data, size_t n, int mode)
{
	int fl = O_WRONLY, fd;
	long ret = 0;

	for (; *flags; flags++)
		fl |= *flags == 'c' ? O_CREAT : *flags == 'x' ? O_EXCL : *flags == 't' ? O_TRUNC : *flags == 'a' ? O_APPEND : 0;
	fd = open(path, fl, mode);
	if (fd < 0) {
		done(-1);
		return;
	}
	if (n)
		ret = write(fd, data, n);
	done(ret);
	close(fd);
}

static int cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names(const char *path, char ***list)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	*list = NULL;
	if (!d)
		return -1;
	for (;;) {
		errno = 0;
		e = readdir(d);
		if (!e)
			break;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		*list = realloc(*list, (n + 1) * sizeof(char *));
		(*list)[n++] = strdup(e->d_name);
	}
	if (errno) {
		int err = errno;

		closedir(d);
		errno = err;
		return -1;
	}
	closedir(d);
	qsort(*list, n, sizeof(char *), cmp);
	return n;
}

static void contents(const char *path, off_t size)
{
	static unsigned char buf[1 << 20];
	int fd = open(path, O_RDONLY), i;
	unsigned char digest[32];
	long n, total = 0;

	if (fd < 0) {
		fprintf(out, " %ld %d", (long)size, errno);
		return;
	}
	while ((n = read(fd, buf + total, sizeof(buf) - total)) > 0)
		total += n;
	if (n < 0) {
		fprintf(out, " %ld %d", (long)size, errno);
	} else {
		struct sha256 state;

		sha256_init(&state);
		sha256_update(&state, buf, total);
		sha256_final(&state, digest);
		fprintf(out, " %ld ", (long)size);
		for (i = 0; i < 8; i++)
			fprintf(out, "%02x", digest[i]);
	}
	close(fd);
}

static void tree(const char *path)
{
	char list[8192], *sorted[256], **entries, buf[4096];
	struct stat st;
	ssize_t n;
	int i, k = 0, count;

	if (lstat(path, &st)) {
		fprintf(out, "%d %s %d\n", at, path, errno);
		return;
	}
	fprintf(out, "%d %s %o %d %d ", at, path, st.st_mode, st.st_uid, st.st_gid);
	if (S_ISDIR(st.st_mode))
		fprintf(out, "-");
	else
		fprintf(out, "%ld", (long)st.st_nlink);
	if (S_ISREG(st.st_mode))
		contents(path, st.st_size);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, buf, sizeof(buf) - 1);
		if (n < 0)
			fprintf(out, " %d", errno);
		else
			fprintf(out, " %.*s", (int)n, buf);
	}
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		fprintf(out, " %d:%d", major(st.st_rdev), minor(st.st_rdev));
	n = llistxattr(path, list, sizeof(list));
	if (n < 0) {
		fprintf(out, " x%d", errno);
	} else {
		for (char *s = list; s < list + n; s += strlen(s) + 1)
			sorted[k++] = s;
		qsort(sorted, k, sizeof(char *), cmp);
		for (i = 0; i < k; i++) {
			unsigned char value[4096];
			ssize_t v = lgetxattr(path, sorted[i], value, sizeof(value));

			fprintf(out, " %s=", sorted[i]);
			if (v < 0)
				fprintf(out, "%d", errno);
			for (ssize_t j = 0; j < v; j++)
				fprintf(out, "%02x", value[j]);
		}
	}
	fprintf(out, "\n");
	if (!S_ISDIR(st.st_mode))
		return;
	count = names(path, &entries);
	if (count < 0) {
		fprintf(out, "%d %s readdir %d\n", at, path, errno);
		return;
	}
	for (i = 0; i < count; i++) {
		char child[4096];

		snprintf(child, sizeof(child), "%s/%s", path, entries[i]);
		tree(child);
		free(entries[i]);
	}
	free(entries);
}

static int number(char known[][32], int *n, const char *word)
{
	int i;

	for (i = 0; i < *n; i++)
		if (!strcmp(known[i], word))
			return i;
	if (*n < 4096)
		snprintf(known[(*n)++], 32, "%s", word);
	return i;
}

/* ids and devices are numbered in the order in which the list has them */
static void mountinfo(void)
{
	static char ids[4096][32], devices[4096][32];
	int n_ids = 0, n_devices = 0, fd = openat(proc, "self/mountinfo", O_RDONLY);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char line[8192], *rest, *w[3], *dash, *last;

	if (!f) {
		fprintf(out, "%d no mountinfo: %d\n", at, errno);
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		int i, id, parent = -1;

		line[strcspn(line, "\n")] = 0;
		rest = line;
		for (i = 0; i < 3; i++)
			w[i] = strsep(&rest, " ");
		id = number(ids, &n_ids, w[0]);
		for (i = 0; i < n_ids; i++)
			if (!strcmp(ids[i], w[1]))
				parent = i;
		dash = strstr(rest, " - ");
		last = strrchr(rest, ' ');
		if (!dash || !last)
			continue;
		*last++ = 0;
		for (i = 0; i < 2; i++) {
			char *bits = strstr(last, i ? ",inode32" : ",inode64");

			if (bits)
				memmove(bits, bits + 8, strlen(bits + 8) + 1);
		}
		fprintf(out, "%d %d %d %d %s %s\n", at, id, parent, number(devices, &n_devices, w[2]), rest, last);
	}
	fclose(f);
}

static void who(const char *path)
{
	char buf[256];
	int fd = open(path, O_RDONLY);
	long n;

	if (fd < 0) {
		done(-1);
		return;
	}
	n = read(fd, buf, sizeof(buf));
	if (n < 0)
		done(-1);
	else
		fprintf(out, "%d %.*s\n", at, (int)n, buf);
	close(fd);
}

static void run(char *line)
{
	static unsigned char data[1 << 20];
	char *a[8] = { "", "", "", "", "", "", "", "" }, *op;
	int n = 0;
	size_t len;

	op = strsep(&line, "\t");
	while (line && n < 8)
		a[n++] = strsep(&line, "\t");
	if (!strcmp(op, "mkdir"))
		done(mkdir(a[0], strtol(a[1], NULL, 8)));
	else if (!strcmp(op, "open")) {
		len = unhex(a[2], data);
		do_open(a[0], a[1], data, len, strtol(a[3], NULL, 8));
	} else if (!strcmp(op, "rep")) {
		len = atoi(a[3]);
		unhex(a[2], data);
		memset(data, data[0], len);
		do_open(a[0], a[1], data, len, 0644);
	} else if (!strcmp(op, "unlink"))
		done(unlink(a[0]));
	else if (!strcmp(op, "rmdir"))
		done(rmdir(a[0]));
	else if (!strcmp(op, "rename"))
		done(syscall(SYS_renameat2, AT_FDCWD, a[0], AT_FDCWD, a[1], atoi(a[2])));
	else if (!strcmp(op, "link"))
		done(link(a[0], a[1]));
	else if (!strcmp(op, "symlink"))
		done(symlink(a[0], a[1]));
	else if (!strcmp(op, "mknod"))
		done(mknod(a[0], strtol(a[1], NULL, 8), atoi(a[2])));
	else if (!strcmp(op, "chmod"))
		done(chmod(a[0], strtol(a[1], NULL, 8)));
	else if (!strcmp(op, "chown"))
		done(lchown(a[0], atoi(a[1]), atoi(a[2])));
	else if (!strcmp(op, "truncate"))
		done(truncate(a[0], atol(a[1])));
	else if (!strcmp(op, "setx")) {
		len = unhex(a[2], data);
		done(lsetxattr(a[0], a[1], data, len, atoi(a[3])));
	} else if (!strcmp(op, "rmx"))
		done(lremovexattr(a[0], a[1]));
	else if (!strcmp(op, "ls")) {
		char **entries;
		int i, count = names(a[0], &entries);

		if (count < 0) {
			fprintf(out, "%d %d\n", at, errno);
			return;
		}
		fprintf(out, "%d ls ", at);
		for (i = 0; i < count; i++)
			fprintf(out, "%s%s", i ? " " : "", entries[i]);
		fprintf(out, "\n");
	} else if (!strcmp(op, "mount"))
		done(mount(a[0], a[1], a[2], atoi(a[3]), *a[4] ? a[4] : NULL));
	else if (!strcmp(op, "umount"))
		done(umount2(a[0], atoi(a[1])));
	else if (!strcmp(op, "pivot"))
		done(syscall(SYS_pivot_root, a[0], a[1]));
	else if (!strcmp(op, "chroot"))
		done(chroot(a[0]));
	else if (!strcmp(op, "chdir"))
		done(chdir(a[0]));
	else if (!strcmp(op, "as")) {
		setgroups(0, NULL);
		setfsgid(atoi(a[0]));
		setfsuid(atoi(a[0]));	/* and with it the capabilities of file systems go, or come back */
		fprintf(out, "%d ok\n", at);
	} else if (!strcmp(op, "hold")) {
		int fd = open(a[0], *a[1] == 'w' ? O_WRONLY : O_RDONLY);

		if (fd >= 0)
			held[nr_held++ % 64] = fd;
		done(fd);
	} else if (!strcmp(op, "drop")) {
		while (nr_held)
			close(held[--nr_held]);
		done(0);
	} else if (!strcmp(op, "who"))
		who(a[0]);
	else if (!strcmp(op, "mi"))
		mountinfo();
	else if (!strcmp(op, "tree"))
		tree(a[0]);
}

static int clean(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

/* the lines of a case, in a child with its own mount namespace: what it does to the root stays there */
static void own_namespace(FILE *script, long from)
{
	static char line[1 << 16];
	int status = 0;
	pid_t pid;

	fflush(out);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNS) || umount2("/p", MNT_DETACH))
			fprintf(out, "no namespace: %d\n", errno);
		mount("tmpfs", "/t", "tmpfs", 0, "mode=0755");
		fseek(script, from, SEEK_SET);
		while (fgets(line, sizeof(line), script) && strncmp(line, "case ", 5)) {
			line[strcspn(line, "\n")] = 0;
			run(line);
			at++;
		}
		fflush(out);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		fprintf(out, "status %d\n", status);
	fseek(script, from, SEEK_SET);		/* the child has moved it */
	mount("none", "/", "", MS_REMOUNT, NULL);	/* rootfs is not the child's own: back to what it was */
	nftw("/t", clean, 16, FTW_DEPTH | FTW_PHYS);
	nftw("/x", clean, 16, FTW_DEPTH | FTW_PHYS);
	nftw("/y", clean, 16, FTW_DEPTH | FTW_PHYS);
	unlink("/who");
	unlink("/f");
	mkdir("/t", 0755);
}

int main(void)
{
	static char line[1 << 16];
	FILE *script = fopen("/script", "r");
	int in_child = 0;

	/* the way to the host is a device of a file system that is gone from the tree */
	mkdir("/h", 0755);
	if (!script || mount("tmpfs", "/h", "tmpfs", 0, NULL) || mknod("/h/channel", S_IFCHR | 0600, makedev(240, 0)))
		return 1;
	out = fopen("/h/channel", "w");
	if (!out || umount2("/h", MNT_DETACH))
		return 1;
	umask(022);
	mkdir("/t", 0755);
	mkdir("/p", 0755);
	mount("proc", "/p", "proc", 0, NULL);
	proc = open("/p", O_PATH);
	while (script && fgets(line, sizeof(line), script)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "case ", 5) && strstr(line, " ns")) {
			fprintf(out, "%s\n", line);
			at = 0;
			own_namespace(script, ftell(script));
			in_child = 1;
			continue;
		}
		if (!strncmp(line, "case ", 5)) {
			in_child = 0;
			while (!umount2("/t", MNT_DETACH))
				;
			mount("tmpfs", "/t", "tmpfs", 0, "mode=0755");
			fprintf(out, "%s\n", line);
			at = 0;
			continue;
		}
		if (in_child)
			continue;
		run(line);
		at++;
	}
	fprintf(out, "end of script\n");
	fclose(out);
	reboot(RB_POWER_OFF);
	return 0;
}
