# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that is reset stores what it stored at its mark, whatever a file of tests has done to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.controllers import until

pytestmark = pytest.mark.apiserver

WAYS = ("services", "namespaces", "leases", "customresourcedefinitions", "ipaddresspools", "clusterroles")


def service(name: str) -> dict[str, Any]:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def names(api: ApiServer) -> dict[str, set[str]]:
    """The names of all objects of the kinds that tests make."""
    return {way: set(api.kubectl("get", way, "--all-namespaces", "--output=name").split()) for way in WAYS}


def labels(api: ApiServer, namespace: str) -> dict[str, str]:
    shown = api.kubectl("get", "namespace", namespace, "--output=json")
    return dict(json.loads(shown)["metadata"]["labels"])


def disturb(api: ApiServer) -> None:
    """Make, change and delete objects, as tests do."""
    pool = {"metadata": {"name": "p", "namespace": "other"}, "spec": {"addresses": ["10.0.0.0/24"]}}
    api.kubectl("create", "namespace", "other")
    api.apply(service("left"), {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", **pool})
    api.kubectl("delete", "customresourcedefinition", "communities.metallb.io")
    api.kubectl("label", "namespace", "default", "changed=yes")
    api.kubectl("delete", "clusterrole", "view")


def test_what_was_made_is_gone_and_what_was_deleted_or_changed_is_back(api_server: ApiServer) -> None:
    before = names(api_server)
    disturb(api_server)
    assert names(api_server) != before
    api_server.reset()
    until(lambda: names(api_server) == before)
    assert (
        "changed"
        not in json.loads(api_server.kubectl("get", "namespace", "default", "-o", "json"))["metadata"][
            "labels"
        ]
    )
    until(lambda: "communities" in api_server.kubectl("api-resources", "--api-group=metallb.io"))


def test_it_takes_the_same_objects_again(api_server: ApiServer) -> None:
    for _again in range(2):
        api_server.apply(service("again"))
        api_server.reset()
    with pytest.raises(RuntimeError, match="NotFound"):
        api_server.kubectl("get", "service", "again")


def test_one_that_is_stopped_runs_again(api_server: ApiServer) -> None:
    api_server.apply(service("left"))
    api_server.stop_api(kill=True)
    api_server.reset()
    assert "service/left" not in names(api_server)["services"]
