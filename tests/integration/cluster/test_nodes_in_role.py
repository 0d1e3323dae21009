# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the role load_balancer runs on the nodes what the configuration needs, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer

ROOT = Path(__file__).parents[3]
Json = dict[str, Any]
Deploy = Callable[..., dict[str, Json]]
NOBODY = {"runAsNonRoot": True, "runAsUser": 65534, "runAsGroup": 65534}
ROOT_WITHOUT_POWERS = {"runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 65534}


def peer(name: str, **spec: Any) -> Json:
    essential = {"myASN": 64513, "peerASN": 64512}
    return _object("BGPPeer", "metallb.io/v1beta2", name, {**essential, **spec})


def profile(name: str, **spec: Any) -> Json:
    return _object("BFDProfile", "metallb.io/v1beta1", name, spec)


def _object(kind: str, version: str, name: str, spec: Json) -> Json:
    return {"kind": kind, "apiVersion": version, "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def deploy(api_server: ApiServer, namespace: str, tmp_path: Path) -> Deploy:
    """``deploy(object, ...)``: the role's daemons with these objects as configuration; DaemonSets by name."""

    def run(*objects: Json, **variables: Any) -> dict[str, Json]:
        given = {
            "ansible_python_interpreter": sys.executable,
            "load_balancer_kubeconfig": str(api_server.kubeconfig),
            "load_balancer_context": "",
            "load_balancer_namespace": namespace,
            "load_balancer_image": "registry.invalid/vipcast:1",
            "load_balancer_objects": list(objects),
            **variables,
        }
        role = "vipcast.baremetal.load_balancer"
        tasks = [
            {"name": step, "ansible.builtin.include_role": {"name": role, "tasks_from": step}}
            for step in ("image_name", "deploy")
        ]
        path = tmp_path / "play.yml"
        path.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": tasks}])
        )
        _play(path)
        listing = json.loads(api_server.kubectl("get", "daemonsets", "--namespace", namespace, "-o", "json"))
        return {item["metadata"]["name"]: item["spec"] for item in listing["items"]}

    return run


def _play(path: Path) -> None:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "--inventory", "localhost,", "--connection", "local", str(path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def pod(spec: Json) -> Json:
    found: Json = spec["template"]["spec"]
    return found


def user(spec: Json) -> Json:
    return {name: value for name, value in pod(spec)["securityContext"].items() if name.startswith("runAs")}


def capabilities(spec: Json) -> Json:
    found: Json = pod(spec)["containers"][0]["securityContext"]["capabilities"]
    return found


def test_what_runs_on_the_nodes_follows_from_the_configuration(deploy: Deploy) -> None:
    router = {"peerAddress": "192.0.2.1"}
    found = deploy(peer("router", **router))
    assert set(found) == {"speaker"}
    assert user(found["speaker"]) == NOBODY
    assert capabilities(found["speaker"]) == {"drop": ["ALL"]}
    assert not any("listen" in flag for flag in pod(found["speaker"])["containers"][0]["args"])

    found = deploy(peer("router", bfdProfile="fast", **router), profile("fast"))
    assert set(found) == {"speaker", "bfd"}
    assert (user(found["speaker"]), user(found["bfd"])) == (NOBODY, ROOT_WITHOUT_POWERS)
    assert capabilities(found["speaker"]) == {"drop": ["ALL"]}
    assert capabilities(found["bfd"]) == {"drop": ["ALL"], "add": ["SYS_NICE"]}
    surge = {"maxSurge": 1, "maxUnavailable": 0}
    assert found["bfd"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": surge}

    found = deploy(peer("router", bfdProfile="fast", **router), profile("fast", echoMode=True))
    assert capabilities(found["bfd"]) == {"drop": ["ALL"], "add": ["SYS_NICE", "NET_RAW"]}
    assert (user(found["speaker"]), capabilities(found["speaker"])) == (NOBODY, {"drop": ["ALL"]})

    found = deploy(peer("router", passive=True, **router), peer("next", interface="eth1"))
    assert set(found) == {"speaker"}, "nothing asks for BFD any more"
    assert capabilities(found["speaker"]) == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "NET_RAW"]}
    assert user(found["speaker"]) == ROOT_WITHOUT_POWERS
    assert "--bgp-listen=179" in pod(found["speaker"])["containers"][0]["args"]


def test_what_is_made_by_hand_is_asked_for_by_variables(deploy: Deploy) -> None:
    found = deploy(load_balancer_bfd=True, load_balancer_bgp_listen=True)
    assert set(found) == {"speaker", "bfd"}
    assert capabilities(found["speaker"]) == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert user(found["bfd"]) == user(found["speaker"]) == ROOT_WITHOUT_POWERS


def test_bfd_without_any_capability_is_nobodys(deploy: Deploy) -> None:
    found = deploy(load_balancer_bfd=True, load_balancer_bfd_capabilities=[])
    assert user(found["bfd"]) == user(found["speaker"]) == NOBODY


def test_layer_2_runs_where_an_advertisement_asks_for_it_and_the_speaker_has_the_key(deploy: Deploy) -> None:
    found = deploy(_object("L2Advertisement", "metallb.io/v1beta1", "all", {}))
    assert set(found) == {"speaker", "layer2"}
    assert capabilities(found["layer2"]) == {"drop": ["ALL"], "add": ["NET_RAW", "SYS_NICE"]}
    assert (user(found["layer2"]), user(found["speaker"])) == (ROOT_WITHOUT_POWERS, NOBODY)
    assert found["layer2"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "volumes" not in pod(found["layer2"])
    (volume,) = pod(found["speaker"])["volumes"]
    assert (volume["secret"]["secretName"], volume["secret"]["optional"]) == ("vipcast-members", True)
    (mount,) = pod(found["speaker"])["containers"][0]["volumeMounts"]
    assert f"--layer2-key-dir={mount['mountPath']}" in pod(found["speaker"])["containers"][0]["args"]


def test_labels_of_the_nodes_are_told_to_the_speaker(deploy: Deploy) -> None:
    found = deploy(
        load_balancer_layer2=True, load_balancer_speaker_node_selector={"role": "edge", "disk": ""}
    )
    arguments = pod(found["speaker"])["containers"][0]["args"]
    assert "--layer2-node-selector=role=edge,disk=" in arguments
    assert set(deploy()) == {"speaker"}


def test_resources_and_tolerations_are_what_the_variables_say(
    deploy: Deploy, api_server: ApiServer, namespace: str
) -> None:
    programs = ("speaker", "bfd", "layer2", "controller")
    wanted = {
        name: {"requests": {"cpu": f"{number}1m"}, "limits": {"memory": f"{number}11Mi"}}
        for number, name in enumerate(programs, 1)
    }
    on_nodes = [{"key": "example.com/edge", "operator": "Exists", "effect": "NoExecute"}]
    elsewhere = [{"key": "example.com/control", "operator": "Equal", "value": "x", "effect": "NoSchedule"}]
    found = deploy(
        load_balancer_bfd=True,
        load_balancer_layer2=True,
        load_balancer_speaker_tolerations=on_nodes,
        load_balancer_controller_tolerations=elsewhere,
        **{f"load_balancer_{name}_resources": resources for name, resources in wanted.items()},
    )
    where = ("--namespace", namespace, "-o", "json")
    found["controller"] = json.loads(api_server.kubectl("get", "deployment", "controller", *where))["spec"]
    assert {name: pod(spec)["containers"][0]["resources"] for name, spec in found.items()} == wanted
    assert [pod(found[name])["tolerations"] for name in programs] == [*[on_nodes] * 3, elsewhere]


def test_an_image_named_by_its_digest_is_what_every_container_runs(deploy: Deploy) -> None:
    digest = f"registry.invalid/vipcast@sha256:{'0' * 64}"
    specs = deploy(load_balancer_image=digest)
    assert specs
    for spec in specs.values():
        pod = spec["template"]["spec"]
        containers = pod["containers"] + pod.get("initContainers", [])
        assert {(one["image"], one["imagePullPolicy"]) for one in containers} == {(digest, "IfNotPresent")}
