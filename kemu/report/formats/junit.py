# SPDX-License-Identifier: GPL-2.0-only
"""JUnit's XML, as test dashboards read it: each experiment is a test, each finding a failure of one."""
from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from kemu.explore.experiment import Experiment
from kemu.explore.progress import Progress
from kemu.report import splat_report

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(name: str, p: Progress, experiments: Sequence[Experiment]) -> str:
    """The document. An experiment without an example is skipped."""
    rows: list[tuple[str, list[ET.Element]]] = []
    for e in experiments:
        own = [f for f in p.sorted_findings() if f.experiment == e.name]
        marks = []
        for f in own:
            mark = ET.Element("failure", message=_text(f.title), type=_text(f.detector))
            mark.text = _text("\n".join(splat_report.lines(f)))
            marks.append(mark)
        marks += [ET.Element("failure", message=_text(line)) for line in p.others(e.name)]
        if not marks and not p.per_experiment.get(e.name):
            marks.append(ET.Element("skipped", message="not run: the time was over"))
        rows.append((e.name, marks))
    suite = ET.Element("testsuite", name=_text(name), tests=str(len(rows)), time=f"{p.seconds:.1f}",
                       failures=str(sum(any(m.tag == "failure" for m in marks) for _, marks in rows)),
                       skipped=str(sum(any(m.tag == "skipped" for m in marks) for _, marks in rows)))
    for test, marks in rows:
        case = ET.SubElement(suite, "testcase", classname=_text(name), name=_text(test))
        case.extend(marks)
    document = ET.Element("testsuites")
    document.append(suite)
    ET.indent(document)
    return ET.tostring(document, encoding="unicode", xml_declaration=True)


def _text(text: str) -> str:
    return _NOT_XML.sub("?", text)
