# SPDX-License-Identifier: GPL-2.0-only
"""What headers have themselves: types, constants and inline functions. One file per header; the header that a port imports hands
it on.
"""
