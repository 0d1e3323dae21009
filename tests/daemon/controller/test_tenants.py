# SPDX-License-Identifier: GPL-3.0-or-later
"""No tenant stops another: one whose services are refused, too large or fought over delays itself."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.controllers import NAMESPACE, Controller, clean, prepare, rbac, until

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]
LED_SECONDS = 25.0  # two cores that other tests use too; the aim is a lease and a second
FULL = 262_144 - 3  # bytes of annotations that leave no room for another one


def pool(*addresses: str) -> Json:
    metadata = {"name": "default", "namespace": NAMESPACE}
    spec = {"addresses": list(addresses)}
    return {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec}


def service(namespace: str, name: str, annotations: Json | None = None, **spec: Any) -> Json:
    metadata = {"name": name, "namespace": namespace, "annotations": annotations or {}}
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


class World:
    """An API server, two tenants, and controllers that are ended in any case."""

    def __init__(self, api: ApiServer, folder: Path, name: str) -> None:
        self.api, self.folder = api, folder
        self.bad, self.good = f"bad-{name}", f"good-{name}"
        self.controllers: list[Controller] = []

    def controller(self, *arguments: str) -> Controller:
        found = Controller(self.api, self.folder, f"controller-{len(self.controllers)}")
        self.controllers.append(found)
        found.start(*arguments)
        return found

    def create(self, *items: Json) -> None:
        self.api.kubectl("create", "-f", "-", stdin="\n---\n".join(json.dumps(each) for each in items))

    def get(self, namespace: str, name: str) -> Json:
        text = self.api.kubectl("get", "service", name, "--namespace", namespace, "--output=json")
        return dict(json.loads(text))

    def address(self, namespace: str, name: str) -> str | None:
        ingress = self.get(namespace, name)["status"]["loadBalancer"].get("ingress")
        return ingress[0]["ip"] if ingress else None

    def events(self, namespace: str, name: str) -> dict[str, str]:
        text = self.api.kubectl("get", "events", "--namespace", namespace, "--output=json")
        items = [each for each in json.loads(text)["items"] if each["involvedObject"]["name"] == name]
        return {each["reason"]: each["message"] for each in items}


@pytest.fixture(scope="module")
def api(api_server: ApiServer) -> ApiServer:
    return prepare(api_server)


@pytest.fixture
def world(api: ApiServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    found = World(api, tmp_path, str(abs(hash(request.node.name)) % 10**8))
    for namespace in (found.bad, found.good):
        api.kubectl("create", "namespace", namespace)
    api.apply(pool("10.44.0.0/24"))
    try:
        yield found
    finally:
        for each in found.controllers:
            each.stop()
        for namespace in (found.bad, found.good):
            api.kubectl("delete", "services", "--all", "--wait=false", "--namespace", namespace)
            api.kubectl("delete", "namespace", namespace, "--wait=false")
        clean(api)


def successor(world: World, first: Controller) -> Controller:
    """A second controller that takes over from one which is killed; it leads."""
    second = world.controller()
    until(second.ready, 30)
    first.kill()
    until(second.leads, LED_SECONDS)
    return second


def test_a_service_with_full_annotations_does_not_delay_a_takeover(world: World) -> None:
    first = world.controller()
    until(first.leads, 30)
    room = FULL - len("metallb.io/address-pool") - len("nope") - len("pad")
    full = {"metallb.io/address-pool": "nope", "pad": "x" * room}
    world.create(service(world.bad, "full", full))
    until(lambda: "conditions" in world.get(world.bad, "full")["status"])
    before = world.get(world.bad, "full")
    second = successor(world, first)
    after = world.get(world.bad, "full")
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]  # fenced
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert len(json.dumps(after["status"])) == len(json.dumps(before["status"]))
    world.create(service(world.good, "web"))
    until(lambda: world.address(world.good, "web"), 15)
    assert not second.logged("set_aside")


POISON = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "poison"},
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["UPDATE"],
                    "resources": ["services/status"],
                }
            ]
        },
        "validations": [
            {
                "expression": "!has(object.metadata.labels) || !('poison' in object.metadata.labels)",
                "message": "nobody changes this one",
            }
        ],
    },
}
BINDING = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "poison"},
    "spec": {"policyName": "poison", "validationActions": ["Deny"]},
}


@contextlib.contextmanager
def poisoned(world: World) -> Iterator[None]:
    """Allow no change of the status of a service with the label `poison` while the block runs."""
    world.api.apply(POISON, BINDING)
    try:
        yield
    finally:
        world.api.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "poison")


def poison(namespace: str, name: str) -> Json:
    item = service(namespace, name, {"metallb.io/address-pool": "nope"})
    item["metadata"]["labels"] = {"poison": "yes"}
    return item


def refuses(world: World, name: str) -> bool:
    """Tell whether the policy is in force by now: an API server reads it a moment later."""
    where = ("service", name, "--namespace", world.bad, "--subresource=status", "--type=merge")
    patch = json.dumps({"status": {"conditions": None}})
    try:
        world.api.kubectl("patch", *where, "--patch", patch)
    except RuntimeError as error:
        return "nobody changes this one" in str(error)
    time.sleep(0.2)
    return False


def test_services_that_nobody_can_change_are_set_aside_by_name_and_the_others_served(world: World) -> None:
    first = world.controller()
    until(first.leads, 30)
    names = [f"poison-{number}" for number in range(3)]
    world.create(*(poison(world.bad, name) for name in names))
    until(lambda: all("conditions" in world.get(world.bad, name)["status"] for name in names))
    with poisoned(world):
        until(lambda: refuses(world, names[0]))
        second = successor(world, first)
        assert {each["service"] for each in second.logged("set_aside")} == {f"{world.bad}/{n}" for n in names}
        until(second.ready)
        world.create(service(world.good, "web"))
        until(lambda: world.address(world.good, "web"), 15)
        until(lambda: "SetAside" in world.events(world.bad, names[0]))
        assert "nobody changes this one" in world.events(world.bad, names[0])["SetAside"]
        assert "vipcast_services_set_aside 3" in second.metrics()
        told = " ".join(second.status()["problems"])
        assert all(f"{world.bad}/{name} is set aside" in told for name in names)
        # It could have an address now, and nothing is decided for it.
        world.api.kubectl("create", "-f", "-", stdin=json.dumps(service(world.good, "other")))
        until(lambda: world.address(world.good, "other"), 15)
        tries = len(second.logged("write_failed"))
        assert tries <= 2 * len(names)  # once per reason, not once per try
    for name in names:
        where = ("service", name, "--namespace", world.bad, "metallb.io/address-pool=default", "--overwrite")
        world.api.kubectl("annotate", *where)
    until(lambda: all(world.address(world.bad, name) for name in names), 30)
    until(lambda: "vipcast_services_set_aside 0" in second.metrics())


def test_a_service_whose_address_the_api_server_does_not_take_says_so_and_holds_up_nobody(
    world: World,
) -> None:
    controller = world.controller()
    until(controller.leads, 30)
    world.create(service(world.bad, "waits", {"metallb.io/address-pool": "nope"}) | {})
    with poisoned(world):
        world.create(poison(world.bad, "probe"))
        until(lambda: refuses(world, "probe"))
        world.create(*(poison(world.bad, f"many-{number}") for number in range(20)))
        world.create(service(world.good, "web"))
        until(lambda: world.address(world.good, "web"), 15)
        until(lambda: "NotWritten" in world.events(world.bad, "many-0"))
        assert "nobody changes this one" in world.events(world.bad, "many-0")["NotWritten"]
        until(lambda: any("is not written" in each for each in controller.status()["problems"]))


def test_many_large_services_are_listed_in_the_memory_that_there_is(world: World) -> None:
    """Together they are more than any answer may have, for the controller and for the speakers."""
    pad = {"pad": "x" * 250_000, "metallb.io/address-pool": "y" * 10_000}
    spec = {"type": "ExternalName", "externalName": "a.example"}
    for start in range(0, 280, 10):
        names = [f"large-{start + number}" for number in range(10)]
        world.create(*({**service(world.bad, name, pad), "spec": spec} for name in names))
    world.create(service(world.good, "web"))
    controller = world.controller()
    until(controller.leads, 60)
    until(lambda: world.address(world.good, "web"), 15)
    assert resident(controller.process) < 128, "MiB; half of what the role allows it"
    speaker = Controller(world.api, world.folder, "speaker")
    speaker.kubeconfig = world.api.kubeconfig
    try:
        speaker.start("--node-name=node", program="speaker")
        until(speaker.ready, 60)
        assert resident(speaker.process) < 128
    finally:
        speaker.stop()


def resident(process: subprocess.Popen[bytes] | None) -> float:
    """The most memory that the process has had, in MiB."""
    assert process is not None
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    line = next(each for each in text.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def test_a_kind_that_can_not_be_listed_blocks_no_address_and_is_named(world: World) -> None:
    role = next(each for each in rbac() if each["kind"] == "Role")
    unread = json.loads(json.dumps(role))
    for rule in unread["rules"]:
        if "communities" in rule["resources"]:
            rule["resources"] = [each for each in rule["resources"] if each != "communities"]
    advertisement = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "BGPAdvertisement",
        "metadata": {"name": "all", "namespace": NAMESPACE},
        "spec": {"communities": ["from-where"]},
    }
    community = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "Community",
        "metadata": {"name": "names", "namespace": NAMESPACE},
        "spec": {"communities": [{"name": "from-where", "value": "64512:1"}]},
    }
    world.api.apply(unread, advertisement, community)
    try:
        world.create(service(world.good, "web"))
        controller = world.controller()
        until(controller.leads, 30)
        until(lambda: world.address(world.good, "web"), 15)
        answer = controller.get(controller.health, "readyz")
        assert answer.startswith("ok; waiting for communities: ") and "forbidden" in answer
        assert any("communities" in each for each in controller.status()["problems"])
        assert {each["resource"] for each in controller.logged("informer_problem")} == {"communities"}
        until(lambda: accepted(world, "ipaddresspool", "default") == "True")
        # An object that names what was not read is not judged: "unknown community" would be a lie.
        assert accepted(world, "bgpadvertisement", "all") is None
        until(lambda: state(world) == "Unknown")
    finally:
        world.api.apply(role)
    until(lambda: accepted(world, "bgpadvertisement", "all") == "True", 40)
    until(lambda: state(world) == "Valid")
    until(lambda: controller.get(controller.health, "readyz") == "ok\n")


def test_what_was_written_down_of_the_config_map_blocks_no_address_while_its_text_is_right(
    world: World,
) -> None:
    role = next(each for each in rbac() if each["kind"] == "Role")
    unread = json.loads(json.dumps(role))
    unread["rules"] = [
        rule
        for rule in unread["rules"]
        if "configurationstates" not in rule["resources"] or "list" not in rule["verbs"]
    ]
    world.api.apply(unread)
    try:
        world.create(service(world.good, "web"))
        controller = world.controller()
        until(controller.leads, 30)
        until(lambda: world.address(world.good, "web"), 15)
        answer = controller.get(controller.health, "readyz")
        assert answer.startswith("ok; waiting for configurationstates: ") and "forbidden" in answer
    finally:
        world.api.apply(role)
    until(lambda: controller.get(controller.health, "readyz") == "ok\n", 40)


def accepted(world: World, kind: str, name: str) -> str | None:
    text = world.api.kubectl("get", kind, name, "--namespace", NAMESPACE, "--output=json")
    conditions = (json.loads(text).get("status") or {}).get("conditions") or []
    return next((each["status"] for each in conditions if each["type"] == "Accepted"), None)


def state(world: World) -> str | None:
    where = ("get", "configurationstate", "controller", "--namespace", NAMESPACE, "--output=json")
    text = world.api.kubectl(*where, "--ignore-not-found")
    return (json.loads(text).get("status") or {}).get("result") if text else None


class Rival(threading.Thread):
    """Another program that gives a service an address of its own as soon as it sees another one."""

    def __init__(self, world: World, namespace: str, name: str) -> None:
        super().__init__(daemon=True)
        self.world, self.namespace, self.name_of = world, namespace, name
        self.writes = 0
        self.over = threading.Event()

    def run(self) -> None:
        status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}]}}})
        where = ("service", self.name_of, "--namespace", self.namespace, "--subresource=status")
        while not self.over.is_set():
            if self.world.address(self.namespace, self.name_of) != "192.0.2.77":
                more = ("--type=merge", "--patch", status, "--field-manager=rival-balancer")
                self.world.api.kubectl("patch", *where, *more)
                self.writes += 1


def test_a_fight_over_a_service_is_slowed_down_and_both_are_named(world: World) -> None:
    controller = world.controller()
    until(controller.leads, 30)
    world.create(service(world.bad, "wanted"), service(world.good, "before"))
    until(lambda: world.address(world.bad, "wanted"))
    ours = world.address(world.bad, "wanted")
    rival = Rival(world, world.bad, "wanted")
    rival.start()
    try:
        until(lambda: "StatusOverwritten" in world.events(world.bad, "wanted"), 60)
        before = rival.writes
        began = time.monotonic()
        world.create(service(world.good, "meanwhile"))
        until(lambda: world.address(world.good, "meanwhile"), 15)
        time.sleep(max(0.0, 12 - (time.monotonic() - began)))
        # Pauses of 1, 2, 4, 8 seconds and so on: a handful of writes, not one for each of the rival's.
        assert rival.writes - before <= 6
    finally:
        rival.over.set()
        rival.join()
    message = world.events(world.bad, "wanted")["StatusOverwritten"]
    assert "rival-balancer has put 192.0.2.77 in place of" in message and str(ours) in message
    assert 'vipcast_service_status_overwritten_total{by="rival-balancer"}' in controller.metrics()
    assert len(controller.logged("IPAllocated")) < 20
