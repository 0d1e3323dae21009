# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast convert` prints what `vipcast check` and a real API server take, and what means the same."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.fixtures import api_server

from vipcast.cli import main
from vipcast.daemon.legacy import read_config_map
from vipcast.model.configuration import parse
from vipcast.model.legacy_objects import parse_both
from vipcast.yamltext import read_yaml

__all__ = ["api_server"]

CRDS = Path(__file__).parents[3] / "roles/load_balancer/files/crds"
NAMESPACE = "metallb-system"
# Everything that a ConfigMap can say, with values that readers of YAML disagree about without quotes.
CONTENT = """\
peers:
- my-asn: 64513
  peer-asn: 64512
  peer-address: 10.31.254.251
  hold-time: 120s
  password: 1e3
- my-asn: 64513
  peer-asn: 64513
  peer-address: 2001:db8::1
  peer-port: 1179
  source-address: 2001:db8::2
  router-id: 10.31.8.1
  hold-time: 0
  bfd-profile: fast
  node-selectors:
  - match-labels: {kubernetes.io/hostname: node-1, rack: 07, on: yes}
  - match-expressions: [{key: zone, operator: NotIn, values: [a, 2]}]
- {my-asn: 64513, peer-asn: 64512, peer-address: 10.31.254.252, ebgp-multihop: true, keepalive-time: 10s}
address-pools:
- name: default
  protocol: bgp
  addresses: [10.9.0.0/16, 10.10.0.1 - 10.10.0.9, "fc00:f853::/120"]
  avoid-buggy-ips: yes
  bgp-advertisements:
  - aggregation-length: 32
    localpref: 100
    communities: [mine, 64512:7]
  - {aggregation-length: 30, aggregation-length-v6: 124}
- {name: second, protocol: bgp, addresses: [10.11.0.0/16], auto-assign: false}
- {name: office, protocol: layer2, addresses: [10.31.8.100-10.31.8.200]}
bgp-communities:
  mine: 64512:10
  yours: 65535:65281
bfd-profiles:
- {name: fast, receive-interval: 280, detect-multiplier: 4, echo-mode: true, minimum-ttl: 250}
"""


def config_map(content: str = CONTENT, **metadata: Any) -> dict[str, Any]:
    metadata = {"name": "config", "namespace": NAMESPACE, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config": content}}


def run(monkeypatch: pytest.MonkeyPatch, text: str, *arguments: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return main(["convert", "-", *arguments])


def test_the_output_means_what_the_config_map_means(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, json.dumps(config_map()))
    printed = read_yaml(capsys.readouterr().out)
    objects, here = parse(printed, namespace=NAMESPACE), read_config_map(config_map())
    from_map = parse_both([], here, namespace=NAMESPACE)
    assert len(objects.pools) == 3 and len(objects.peers) == 3 and len(objects.advertisements) == 3
    for part in ("pools", "peers", "advertisements", "layer2_advertisements", "bfd_profiles", "communities"):
        assert getattr(objects, part) == getattr(from_map, part)
    assert objects.announcements == from_map.announcements
    assert not objects.refused and len(objects.problems) == len(from_map.problems)
    assert {peer.password for peer in objects.peers} == {"1e3", None}


@pytest.mark.apiserver
def test_a_real_api_server_takes_it_as_it_was_meant(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api_server.kubectl("apply", "-f", str(CRDS))
    api_server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    api_server.kubectl("create", "namespace", "converted")
    run(monkeypatch, CONTENT, "--namespace", "converted")
    printed = capsys.readouterr().out
    api_server.kubectl("apply", "--validate=strict", "-f", "-", stdin=printed)
    kinds = "ipaddresspools,bgppeers,bgpadvertisements,l2advertisements,bfdprofiles,communities"
    kept = json.loads(api_server.kubectl("get", kinds, "-n", "converted", "-o", "json"))["items"]
    stored, written = parse(kept), parse(read_yaml(printed))
    assert not stored.refused and len(kept) == 12
    for part in ("pools", "peers", "advertisements", "layer2_advertisements", "bfd_profiles", "communities"):
        assert getattr(stored, part) == getattr(written, part)


def test_a_check_of_it_finds_nothing_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = "address-pools: [{name: a, protocol: bgp, addresses: [10.9.0.0/16]}]"
    assert run(monkeypatch, json.dumps(config_map(pool))) == 0
    out, err = capsys.readouterr()
    assert err == "2 objects, 0 problems\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(out))
    assert main(["check", "-"]) == 0


def test_a_pool_for_layer_2_gets_its_advertisement(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "address-pools: [{name: a, protocol: layer2, addresses: [10.9.0.0/16]}]") == 0
    out, err = capsys.readouterr()
    assert [item["kind"] for item in read_yaml(out)] == ["L2Advertisement", "IPAddressPool"]
    assert err == "2 objects, 0 problems\n"


def test_what_is_refused_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = """
    address-pools:
    - {name: first, protocol: bgp, addresses: [10.9.0.0/16]}
    - {name: second, protocol: bgp, addresses: [10.9.1.0/24]}
    peers:
    - {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1, bfdProfile: x}
    """
    assert run(monkeypatch, content) == 1
    out, err = capsys.readouterr()
    found = [(item["kind"], item["metadata"]["name"]) for item in read_yaml(out)]
    assert found == [("BGPAdvertisement", "first-1"), ("IPAddressPool", "first")]
    lines = err.splitlines()
    assert lines[0].startswith("-: ConfigMap metallb-system/config: address-pools[1].addresses: 10.9.1.0/24")
    assert "peers[0].bfdProfile" in lines[1] and "did you mean bfd-profile?" in lines[1]
    assert lines[2:] == ["2 objects, 2 problems"]


def test_a_list_with_other_things_in_it_is_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-root-ca.crt"},
            "data": {"ca": ""},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "empty"}},
    ]
    content = "address-pools: [{name: a, protocol: bgp, addresses: [10.9.0.0/16]}]"
    found = config_map(content, namespace="elsewhere")
    listing = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [*others, found]}
    path = tmp_path / "all.yml"
    path.write_text("---\n" + json.dumps(listing) + "\n---\n# the end\n")
    assert main(["convert", str(path)]) == 0
    out, _err = capsys.readouterr()
    assert {item["metadata"]["namespace"] for item in read_yaml(out)} == {"elsewhere"}


def test_a_name_that_no_object_can_have_is_changed_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = "address-pools: [{name: Main_Pool, protocol: bgp, addresses: [10.9.0.0/16]}]"
    assert run(monkeypatch, content) == 1
    out, err = capsys.readouterr()
    advertisement, pool = read_yaml(out)
    assert pool["metadata"]["name"] == "main-pool"
    assert advertisement["spec"]["ipAddressPools"] == ["main-pool"]
    assert "address-pools[0].name: 'Main_Pool'" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("peers: [", "is not YAML: line 1"),
        ("kind: Service\napiVersion: v1\n", "no ConfigMap with a key config"),
        ("", "no ConfigMap with a key config"),
        ("just words", "should be a mapping"),
        (json.dumps(config_map("peers: [")), "ConfigMap metallb-system/config: config: is not YAML: line 1"),
        (json.dumps(config_map("---\n---\n")), "has 2 documents, should be one"),
    ],
)
def test_what_can_not_be_read_is_2(
    text: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, text) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("-: ") and words in err
