# SPDX-License-Identifier: GPL-2.0-only
"""The workbench of the port: mounting, experiments, the command. It may use all of kemu."""
