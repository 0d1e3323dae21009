# SPDX-License-Identifier: GPL-3.0-or-later
"""Values are set in place; everything else keeps its letters."""

from __future__ import annotations

import difflib
import typing as t

import pytest
import yaml
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.settings import (
    SettingsError,
    edited,
    merged,
)

TEXT = """\
kind: KubeProxyConfiguration   # what it is
clientConnection:
  acceptContentTypes: ""
  qps: 0
# by hand
conntrack: {max: 1}
ipvs:
  excludeCIDRs: null
  # inside
  scheduler: ''
  strictARP: false # why
mode: ""
nodePortAddresses:
- 192.0.2.0/24
- primary   # both

# before the range
portRange:
udpIdleTimeout: null
"""

CHANGES: list[tuple[dict[str, t.Any], list[str]]] = [
    ({"ipvs": {"strictARP": False}}, []),
    ({"nodePortAddresses": ["192.0.2.0/24", "primary"]}, []),
    ({"ipvs": {"strictARP": True}}, ["-  strictARP: false # why", "+  strictARP: true # why"]),
    ({"mode": "ipvs"}, ['-mode: ""', "+mode: ipvs"]),
    ({"ipvs": {"excludeCIDRs": ["10.0.0.0/8"]}}, ["-  excludeCIDRs: null", "+  excludeCIDRs: [10.0.0.0/8]"]),
    (
        {"nodePortAddresses": None},
        [
            "-nodePortAddresses:",
            "-- 192.0.2.0/24",
            "-- primary   # both",
            "+nodePortAddresses: null   # both",
        ],
    ),
    ({"portRange": "1-2"}, ["-portRange:", "+portRange: 1-2"]),
    ({"udpIdleTimeout": {"a": 1}}, ["-udpIdleTimeout: null", "+udpIdleTimeout: {a: 1}"]),
    ({"conntrack": {"min": 3}}, ["-conntrack: {max: 1}", "+conntrack: {min: 3, max: 1}"]),
    ({"clientConnection": {"burst": 5}}, ["+  burst: 5"]),
    ({"iptables": {"masqueradeAll": True}}, ["+iptables: {masqueradeAll: true}"]),
    ({"featureGates": {}}, ["+featureGates: {}"]),
    ({"mode": "yes"}, ['-mode: ""', "+mode: 'yes'"]),
]


@pytest.mark.parametrize(("wanted", "lines"), CHANGES, ids=[str(wanted) for wanted, _lines in CHANGES])
def test_only_the_lines_that_differ_change(wanted: dict[str, t.Any], lines: list[str]) -> None:
    new = edited(TEXT, wanted, "text")
    changed = difflib.unified_diff(TEXT.splitlines(), new.splitlines(), n=0, lineterm="")
    assert [line for line in changed if not line.startswith(("---", "+++", "@@"))] == lines
    assert yaml.safe_load(new) == merged(yaml.safe_load(TEXT), wanted)


@pytest.mark.parametrize(
    "text", ["{}", "a: {b: {c: 1}}", "a:\n  b:\n\n    c: 1\n", "a: null", "a:\n- 1\n", '{"a": {"z": 1}}']
)
def test_what_cannot_be_edited_in_place_is_written_anew_and_means_what_was_wanted(text: str) -> None:
    wanted = {"a": {"b": {"c": 2, "d": [1, {"e": "f"}]}}}
    assert yaml.safe_load(edited(text, wanted, "text")) == merged(yaml.safe_load(text), wanted)


def test_two_settings_of_one_text_do_not_disturb_each_other() -> None:
    wanted = {
        "mode": "iptables",
        "ipvs": {"scheduler": "a longer value than before", "strictARP": True},
        "new": 1,
    }
    new = edited(TEXT, wanted, "text")
    assert yaml.safe_load(new) == merged(yaml.safe_load(TEXT), wanted)
    assert "# inside" in new


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "place: is not YAML: "),
        ("- 1", "place: expected a mapping, found list"),
        ("", "found NoneType"),
    ],
)
def test_a_text_that_is_no_mapping_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        edited(text, {"a": 1}, "place")
    assert message in str(refused.value)
