# SPDX-License-Identifier: GPL-2.0-only
"""overlayfs as early boot uses it: a translation of fs/overlayfs, file by file.

Not here: the inode index, NFS export and file handles (so no copy-up origin: inode numbers of files change when they are copied up), metacopy and
data-only layers, fs-verity, casefolding, and following redirects: renaming a directory that has a lower part is -EXDEV, as without
redirect_dir=on.
"""
