# SPDX-License-Identifier: GPL-2.0-only
"""Short forms: functions that leave what others of kemu.linux would leave, in fewer steps. No part of the API.

A command that only wants the result gives them to its machine (``Machine(short=...)``) where nobody decides and nobody is told; what is
fuzzed, reviewed and stepped through is always the functions themselves.
"""
