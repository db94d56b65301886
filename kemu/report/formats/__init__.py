# SPDX-License-Identifier: GPL-2.0-only
"""A review as other tools take it: ``FORMATS[name](series, progress, experiments)`` is the text."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from kemu.explore.experiment import Experiment
from kemu.explore.progress import Progress
from kemu.report import json_out, ktap_out
from kemu.report.formats.html import html
from kemu.report.formats.junit import junit
from kemu.report.formats.mail import mail
from kemu.report.formats.sarif import sarif

Format = Callable[[str, Progress, Sequence[Experiment]], str]
FORMATS: dict[str, Format] = {
    "json": lambda name, p, experiments: json_out.review(name, p),
    "ktap": lambda name, p, experiments: "\n".join(ktap_out.document(list(experiments), p)),
    "junit": junit,
    "sarif": sarif,
    "mail": mail,
    "html": html,
}
