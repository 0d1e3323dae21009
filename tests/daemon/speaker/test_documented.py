# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the documentation says can be seen, and what can be."""

from __future__ import annotations

import re
from pathlib import Path

from vipcast.daemon.metrics import Registry
from vipcast.speaker.metrics import SpeakerMetrics
from vipcast.speaker.reasons import NotAnnounced

PAGE = (Path(__file__).parents[3] / "docs/observability.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_metric_of_a_speaker_is_in_the_table_with_its_labels() -> None:
    registry = Registry()
    registry.add_process("0")
    SpeakerMetrics(registry)
    exposed = {metric.name: set(metric.labels) for metric in registry._metrics.values()}
    told: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (`.*?) \| (.*?) \|", section("Metrics of the speaker"), re.MULTILINE):
        labels = set(re.findall(r"`(\w+)`", row[1].split("(")[0]))
        told |= dict.fromkeys(re.findall(r"`(\w+)`", row[0]), labels)
    assert told.keys() == exposed.keys()
    process = {name for name in exposed if name.startswith(("process_", "vipcast_build_info"))}
    assert {n: told[n] for n in told.keys() - process} == {n: exposed[n] for n in exposed.keys() - process}


def test_every_reason_not_to_announce_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", section("vipcast status"), re.MULTILINE))
    assert explained == {reason.value for reason in NotAnnounced}
