# SPDX-License-Identifier: GPL-2.0-only
"""What stands around the port: mounting, reading, experiments, comparison with Linux. It may import all of kemu; the port may
not.
"""
