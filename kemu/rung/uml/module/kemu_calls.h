/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that the walk makes inside a kernel: what the call returns, -errno if it fails. The Linux rung's are in kemu_calls.c,
 * the C rung's in its runtime.
 */
#ifndef _KEMU_CALLS_H
#define _KEMU_CALLS_H

long kemu_sys_open(const char *path, int flags);
long kemu_sys_close(int fd);
long kemu_sys_read(int fd, void *buffer, unsigned long len);
long kemu_sys_getdents(int fd, void *buffer, unsigned long len);
long kemu_sys_statx(int fd, const char *path, unsigned int flags, unsigned int mask, void *buffer);
long kemu_sys_readlink(const char *path, char *buffer, unsigned long len);
long kemu_sys_llistxattr(const char *path, char *list, unsigned long len);
long kemu_sys_lgetxattr(const char *path, const char *name, void *value, unsigned long len);
long kemu_sys_fchdir(int fd);
long kemu_sys_chdir(const char *path);
long kemu_sys_lseek(int fd, long at, int whence);
long kemu_sys_statfs(const char *path, void *buffer);
long kemu_sys_ioctl(int fd, unsigned int cmd, unsigned long arg);
long kemu_sys_map(int fd, unsigned long len);
int kemu_map_copy(void *map, unsigned long at, void *to, unsigned long len);
void kemu_map_end(void *map);

/* of the Linux rung only */
long kemu_sys_chroot(const char *path);
long kemu_sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options);
long kemu_sys_umount(const char *target, int flags);
long long kemu_sys_now(void);
int kemu_has_spoken(void);
void *kemu_more(void *p, __SIZE_TYPE__ size);
void kemu_free(void *p);

#endif
