# SPDX-License-Identifier: GPL-3.0-or-later
"""The module kube_proxy against objects that are laid out as kubeadm lays them out.

No controllers run beside this API server: where pods are waited for, the test says how far they are.
"""

from __future__ import annotations

import difflib
import threading
import time
from typing import Any

import pytest
from integration.cluster.kube_proxy_objects import CONFIGURATION, LABELS
from support.apiserver import ApiServer


@pytest.fixture
def place(api_server: ApiServer, namespace: str) -> dict[str, str]:
    """kube-proxy's ConfigMap and DaemonSet in a namespace of the test's own."""
    container = {"name": "kube-proxy", "image": "localhost/kube-proxy:1"}
    metadata = {"name": "kube-proxy", "namespace": namespace}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    api_server.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"config.conf": CONFIGURATION, "kubeconfig.conf": "kind: Config\n"},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": LABELS}, "template": template},
        },
    )
    return {"namespace": namespace}


def configuration(get: Any, namespace: str) -> str:
    return str(get("configmap", "kube-proxy", "-n", namespace)["data"]["config.conf"])


def generation(get: Any, namespace: str) -> int:
    return int(get("daemonset", "kube-proxy", "-n", namespace)["metadata"]["generation"])


def test_only_the_value_that_differs_is_touched(call: Any, get: Any, place: dict[str, str]) -> None:
    result = call("kube_proxy", strict_arp=True, wait=False, **place)
    assert result["drift"] == [
        {
            "what": f"ConfigMap/{place['namespace']}/kube-proxy",
            "where": "config.conf ipvs.strictARP",
            "expected": "true",
            "found": "false",
        }
    ]
    changed = list(
        difflib.ndiff(CONFIGURATION.splitlines(), configuration(get, place["namespace"]).splitlines())
    )
    assert [line for line in changed if line[0] in "+-"] == [
        "-   strictARP: false  # MetalLB wants true",
        "+   strictARP: true  # MetalLB wants true",
    ]
    data = get("configmap", "kube-proxy", "-n", place["namespace"])["data"]
    assert data["kubeconfig.conf"] == "kind: Config\n"


def test_check_again_and_back(call: Any, get: Any, place: dict[str, str]) -> None:
    namespace = place["namespace"]
    assert call("kube_proxy", check=True, strict_arp=True, **place)["changed"]
    assert (configuration(get, namespace), generation(get, namespace)) == (CONFIGURATION, 1)
    assert call("kube_proxy", strict_arp=True, wait=False, **place)["rolled_out"]
    assert generation(get, namespace) == 2
    for check in (True, False):
        again = call("kube_proxy", strict_arp=True, wait=False, check=check, **place)
        assert not again["changed"]
        assert not again["rolled_out"]
    assert generation(get, namespace) == 2
    assert call("kube_proxy", strict_arp=False, wait=False, **place)["rolled_out"]
    assert configuration(get, namespace) == CONFIGURATION


def test_mode_and_further_settings_are_merged(call: Any, place: dict[str, str]) -> None:
    settings = {"ipvs": {"scheduler": "rr"}, "iptables": {"masqueradeAll": True}}
    result = call("kube_proxy", mode="nftables", settings=settings, wait=False, **place)
    found = result["configuration"]
    assert found["mode"] == "nftables"
    assert found["ipvs"] == {"excludeCIDRs": None, "scheduler": "rr", "strictARP": False}
    assert found["iptables"] == {"masqueradeAll": True}
    assert found["clusterCIDR"] == "10.8.64.0/18"


def test_a_value_that_was_changed_by_hand_is_found_and_set_back(
    call: Any, get: Any, api_server: ApiServer, place: dict[str, str]
) -> None:
    namespace = place["namespace"]
    call("kube_proxy", strict_arp=True, wait=False, **place)
    good = get("configmap", "kube-proxy", "-n", namespace)
    good["data"]["config.conf"] = good["data"]["config.conf"].replace("strictARP: true", "strictARP: false")
    api_server.apply(good)
    assert [each["found"] for each in call("kube_proxy", check=True, strict_arp=True, **place)["drift"]] == [
        "false"
    ]
    # The pods may have read the wrong value meanwhile: they are replaced, though the text is as before.
    assert call("kube_proxy", strict_arp=True, wait=False, **place)["rolled_out"]
    assert generation(get, namespace) == 3


def test_pods_that_a_broken_off_run_did_not_replace_are_replaced(
    call: Any, get: Any, api_server: ApiServer, place: dict[str, str]
) -> None:
    namespace = place["namespace"]
    call("kube_proxy", strict_arp=True, wait=False, **place)
    undo = '[{"op": "remove", "path": "/spec/template/metadata/annotations"}]'
    api_server.kubectl("patch", "daemonset", "kube-proxy", "-n", namespace, "--type=json", "-p", undo)
    owed = call("kube_proxy", check=True, strict_arp=True, **place)
    assert [each["where"] for each in owed["drift"]] == ["rollout"]
    assert call("kube_proxy", strict_arp=True, wait=False, **place)["rolled_out"]
    assert not call("kube_proxy", check=True, strict_arp=True, **place)["changed"]


def test_pods_are_waited_for(call: Any, api_server: ApiServer, place: dict[str, str]) -> None:
    namespace = place["namespace"]

    def finish() -> None:
        time.sleep(3)
        status = (
            '{"status": {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2,'
            ' "numberAvailable": 2, "currentNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2}}'
        )
        arguments = (
            "daemonset",
            "kube-proxy",
            "-n",
            namespace,
            "--subresource=status",
            "--type=merge",
            "-p",
            status,
        )
        api_server.kubectl("patch", *arguments)

    thread = threading.Thread(target=finish)
    thread.start()
    start = time.monotonic()
    result = call("kube_proxy", strict_arp=True, timeout=60, **place)
    thread.join(60)
    assert result["pods"] == {"desired": 2, "available": 2}
    assert time.monotonic() - start > 2


def test_pods_that_do_not_come_up_are_named_with_their_reason(
    call: Any, api_server: ApiServer, place: dict[str, str]
) -> None:
    namespace = place["namespace"]
    container = {"name": "kube-proxy", "image": "localhost/kube-proxy:1"}
    metadata = {"name": "kube-proxy-abcde", "namespace": namespace, "labels": LABELS}
    api_server.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    )
    waiting = '{"waiting": {"reason": "ErrImageNeverPull", "message": "image is not present"}}'
    one = (
        '{"name": "kube-proxy", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": '
        + waiting
    )
    status = '{"status": {"containerStatuses": [' + one + "}]}}"
    arguments = (
        "pod",
        "kube-proxy-abcde",
        "-n",
        namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    )
    api_server.kubectl("patch", *arguments)
    result = call("kube_proxy", strict_arp=True, timeout=1, **place)
    assert result["failed"]
    assert result["problems"] == [
        "pod kube-proxy-abcde: container kube-proxy: ErrImageNeverPull: image is not present"
    ]


def test_where_there_is_no_kube_proxy_it_is_skipped(call: Any, namespace: str) -> None:
    result = call("kube_proxy", strict_arp=True, namespace=namespace)
    assert result["skipped"]
    assert not result["changed"]
    assert result["msg"].startswith("skipped, no kube-proxy: ")


def test_another_layout_is_refused_with_what_is_there(call: Any, place: dict[str, str]) -> None:
    result = call("kube_proxy", strict_arp=True, key="other.conf", **place)
    assert result["failed"]
    assert result["msg"].endswith("has no key other.conf; its keys: config.conf, kubeconfig.conf")


def test_a_field_that_kube_proxy_does_not_have_is_warned_of(call: Any, place: dict[str, str]) -> None:
    result = call("kube_proxy", check=True, settings={"moed": "ipvs"}, **place)
    assert any("moed" in str(each) and "nearest is mode" in str(each) for each in result["warnings"])
