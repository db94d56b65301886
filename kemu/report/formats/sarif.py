# SPDX-License-Identifier: GPL-2.0-only
"""SARIF 2.1.0, as editors and code hosts read it: each finding at its line of C."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.progress import Progress
from kemu.plugins import installed_version
from kemu.report import splat_report
from kemu.report.formats.place import confirmed_in_words, place_of

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}


def sarif(name: str, p: Progress, experiments: Sequence[Experiment]) -> str:
    """The document."""
    found = p.sorted_findings()
    rules = {e.name: {"id": e.name, "shortDescription": {"text": e.doc or e.name}} for e in experiments}
    for f in found:
        rules.setdefault(f.experiment, {"id": f.experiment, "shortDescription": {"text": f.experiment}})
    run = {"tool": {"driver": {"name": "kemu", "version": installed_version("kemu") or "0", "rules": list(rules.values())}},
           "automationDetails": {"id": f"kemu review/{name}"},
           "columnKind": "utf16CodeUnits",
           "results": [_result(f) for f in found],
           "invocations": [{"executionSuccessful": not p.interrupted and p.lost is None}]}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def _result(f: Finding) -> dict[str, Any]:
    out: dict[str, Any] = {"ruleId": f.experiment, "level": _LEVELS[f.severity],
                           "message": {"text": f"{f.title}\n\n{f.trigger}\n\nkemu replay {f.ref(f.token)}".encode(
                               "utf-8", "replace").decode()},
                           "partialFingerprints": {"cause/v1": _hash(f.cause)},
                           "properties": {"detector": f.detector, "severity": f.severity, "token": f.ref(f.token),
                                          "confirmed": confirmed_in_words(f), "config": f.config,
                                          "report": "\n".join(splat_report.lines(f)).encode("utf-8", "replace").decode()}}
    where = place_of(f)
    if where is not None:
        physical: dict[str, Any] = {"artifactLocation": {"uri": where.file, "uriBaseId": "%SRCROOT%"}}
        if where.line:
            physical["region"] = {"startLine": where.line}
        location: dict[str, Any] = {"physicalLocation": physical}
        if where.function:
            location["logicalLocations"] = [{"name": where.function, "kind": "function"}]
        out["locations"] = [location]
    return out
