# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a real controller does what `vipcast plan` says, on a real API server.

Each case is made from a number: pools, services and changes. VIPCAST_PLANS=100 tries more of them.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.ports import free_port
from support.processes import start, stop

from vipcast.cli import main
from vipcast.controller.change import CONDITION
from vipcast.ipam.preview import Preview, preview
from vipcast.ipam.service import ALLOCATED_FROM
from vipcast.ipam.snapshot import Source, combine

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[3]
CRDS = ROOT / "roles/load_balancer/files/crds"
CASES = int(os.environ.get("VIPCAST_PLANS", "4"))
UNSAID = "nothing is said yet"
# Other tests share the API server; a class of our own keeps their services out.
CLASS, HOME = "vipcast.test/plan", "plan-home"
Json = dict[str, Any]
Shown = tuple[str, ...]


# -- cases ---------------------------------------------------------------------------------------------------


def make_pools(dice: random.Random) -> list[Json]:
    """Some small pools, which the services soon fill."""
    names = dice.sample(["anna", "berta", "carla", "dora", "emma"], dice.randint(1, 4))
    return [make_pool(dice, name, index) for index, name in enumerate(names)]


def make_pool(dice: random.Random, name: str, index: int) -> Json:
    four = dice.choice([f"10.77.{index}.0/31", f"10.77.{index}.4-10.77.{index}.6", f"10.77.{index}.254/30"])
    six = dice.choice([f"fd77:{index}::/127", f"fd77:{index}::4-fd77:{index}::6"])
    spec: Json = {"addresses": dice.choice([[four], [four], [six], [four, six], [four, six]])}
    if dice.random() < 0.2:
        spec["autoAssign"] = False
    if dice.random() < 0.2:
        spec["avoidBuggyIPs"] = True
    if dice.random() < 0.4:
        spec["serviceAllocation"] = make_allocation(dice)
    metadata = {"name": name, "namespace": HOME}
    return {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec}


def make_allocation(dice: random.Random) -> Json:
    choices = [
        {},
        {"namespaces": ["plan-a"]},
        {"namespaceSelectors": [{"matchLabels": {"team": "b"}}]},
        {
            "serviceSelectors": [
                {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "y"]}]}
            ]
        },
        {"namespaces": ["plan-a"], "serviceSelectors": [{"matchLabels": {"app": "x"}}]},
    ]
    return {"priority": dice.randint(0, 2), **dice.choice(choices)}


def make_service(dice: random.Random, name: str, namespace: str) -> Json:
    annotations: Json = {}
    spec: Json = {"type": "LoadBalancer", "loadBalancerClass": CLASS}
    spec["ports"] = [{"port": dice.randint(80, 82), "name": "web"}]
    families, policy = dice.choice(FAMILIES)
    spec |= {"ipFamilies": families, "ipFamilyPolicy": policy}
    if dice.random() < 0.2:
        annotations["metallb.io/address-pool"] = dice.choice(["anna", "berta", "carla", "nobody"])
    if dice.random() < 0.2:
        annotations["metallb.io/loadBalancerIPs"] = f"10.77.{dice.randint(0, 2)}.{dice.randint(0, 6)}"
    if dice.random() < 0.4:
        annotations["metallb.io/allow-shared-ip"] = dice.choice(["k", "l"])
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    metadata["labels"] = {"app": dice.choice(["x", "y", "z"])}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


FAMILIES = [
    (["IPv4"], "SingleStack"),
    (["IPv4"], "SingleStack"),
    (["IPv6"], "SingleStack"),
    (["IPv4", "IPv6"], "PreferDualStack"),
    (["IPv6", "IPv4"], "RequireDualStack"),
]
NAMESPACES = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "plan-a", "labels": {"team": "a"}}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "plan-b", "labels": {"team": "b"}}},
]


def make_services(dice: random.Random, prefix: str, count: int) -> list[Json]:
    names = [f"{prefix}{number}" for number in range(count)]
    dice.shuffle(names)
    return [make_service(dice, name, dice.choice(["plan-a", "plan-b"])) for name in names]


# -- the cluster ---------------------------------------------------------------------------------------------


class Cluster:
    """The API server, and a controller that is there or is not."""

    def __init__(self, api: ApiServer, log: Path) -> None:
        self.api, self.log, self.health = api, log, free_port()
        self.process: Popen[bytes] | None = None

    def start(self) -> None:
        flags = {
            "kubeconfig": self.api.kubeconfig,
            "namespace": HOME,
            "lb-class": CLASS,
            "health-address": f"127.0.0.1:{self.health}",
            "metrics-address": "none",
        }
        code = "import sys; from vipcast.cli import main; sys.exit(main())"
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        path = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        self.process = start([sys.executable, "-c", code, "controller", *arguments], self.log, path)
        until(lambda: self.page("readyz") == "ok\n", self.words)

    def stop(self) -> None:
        stop(self.process, kill=True)

    def words(self) -> str:
        return self.log.read_text()[-3000:]

    def page(self, name: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/{name}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def read(self, *what: str) -> list[Json]:
        found = json.loads(self.api.kubectl("get", *what, "--output=json"))["items"]
        return [item for item in found if item["metadata"]["namespace"] in (HOME, "plan-a", "plan-b")]

    def services(self) -> list[Json]:
        return self.read("services", "--all-namespaces")

    def objects(self) -> list[Json]:
        """All that a person would save to a file."""
        return [*NAMESPACES, *self.services(), *self.read("ipaddresspools.metallb.io", "--namespace", HOME)]

    def truth(self) -> dict[str, tuple[Shown, str | None, str | None]]:
        """Return for each service addresses, pool, and why it has none."""
        return {
            "/".join((item["metadata"]["namespace"], item["metadata"]["name"])): face(item)
            for item in self.services()
        }

    def delete_pools(self) -> None:
        self.api.kubectl("delete", "ipaddresspools.metallb.io", "--all", "--namespace", HOME)

    def delete_all(self) -> None:
        self.delete_pools()
        for namespace in ("plan-a", "plan-b"):
            self.api.kubectl("delete", "services", "--all", "--namespace", namespace)


def face(item: Json) -> tuple[Shown, str | None, str | None]:
    status, metadata = item["status"], item["metadata"]
    shown = tuple(entry["ip"] for entry in status["loadBalancer"].get("ingress", ()))
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    condition = conditions.get(CONDITION, {"status": "Unknown", "reason": UNSAID})
    reason = None if condition["status"] == "True" else condition["reason"]
    return shown, metadata.get("annotations", {}).get(ALLOCATED_FROM), reason


def until(what: Callable[[], bool], words: Callable[[], str], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, words()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    api_server.kubectl("apply", "--filename", str(CRDS))
    api_server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRDS))
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}
    api_server.apply(home, *NAMESPACES)
    found = Cluster(api_server, tmp_path_factory.mktemp("plan") / "controller.log")
    yield found
    found.stop()
    found.delete_all()


# -- what was said and what is -----------------------------------------------------------------------------


def said(*sources: Source, running: bool = True) -> Preview:
    return preview(combine(sources), lb_class=CLASS, namespace=HOME, running=running)


def differences(found: Preview, cluster: Cluster) -> list[str]:
    """Rows that did not come true; of one that is not certain only whether the service is served."""
    truth, wrong = cluster.truth(), []
    for row in found.rows:
        expected: Any = (row.after, row.pool, row.reason if not row.after else None)
        actual: Any = truth.get(row.name)
        if not row.certain and actual is not None:
            expected, actual = bool(row.after), bool(actual[0])
        if expected != actual:
            wrong.append(f"{row.name}: said {expected}, is {actual}; {row.change.value}: {row.why}")
    return wrong


def comes_true(found: Preview, cluster: Cluster) -> None:
    def words() -> str:
        return "\n".join([*differences(found, cluster), cluster.words()])

    until(lambda: not differences(found, cluster), words)
    until(lambda: json.loads(cluster.page("status"))["status"]["services"]["unwritten"] == 0, cluster.words)
    assert not differences(found, cluster), words()
    # What is true is kept, and whoever waits has nothing to hope for.
    again = said(Source("now", cluster.objects()))
    assert {row.change.value for row in again.rows} <= {"kept", "waits"}
    assert not differences(again, cluster)


@pytest.fixture
def running(cluster: Cluster) -> Iterator[Cluster]:
    cluster.start()
    yield cluster
    cluster.stop()
    cluster.delete_all()


@pytest.mark.parametrize("number", range(CASES))
def test_what_is_said_comes_true(running: Cluster, number: int) -> None:
    dice = random.Random(number)
    # Manifests that nobody has applied yet.
    pools, services = make_pools(dice), make_services(dice, "s", 10)
    found = said(Source("manifests", [*NAMESPACES, *pools, *services]))
    running.api.apply(*pools)
    until(lambda: pools_are(running, pools), running.words)
    running.api.apply(*services)
    comes_true(found, running)

    # One pool is changed under its services.
    changed = make_pool(dice, pools[0]["metadata"]["name"], 0)
    found = said(Source("now", running.objects()), Source("pool", [changed]))
    running.api.apply(changed)
    comes_true(found, running)

    # Everything is changed while no controller runs.
    now = running.objects()
    running.stop()
    other = make_pools(dice)
    again = [
        make_service(dice, each["metadata"]["name"], each["metadata"]["namespace"]) for each in services[:3]
    ]
    for each, old in zip(again, services, strict=False):  # cluster IPs are not ours to guess
        each["spec"] |= {name: old["spec"][name] for name in ("ipFamilies", "ipFamilyPolicy")}
    sources = (Source("now", now), Source("services", again), Source("pools", other, whole=True))
    found = said(*sources, running=False)
    running.delete_pools()
    running.api.apply(*other, *again)
    running.start()
    comes_true(found, running)

    # And those who come then.
    late = make_services(dice, "t", 4)
    found = said(Source("now", running.objects()), Source("late", late))
    running.api.apply(*late)
    comes_true(found, running)


def test_what_kubectl_prints_is_a_plan_that_changes_nothing(
    running: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random("kubectl")
    running.api.apply({**make_pool(dice, "anna", 0), "spec": {"addresses": ["10.77.0.0/24", "fd77::/120"]}})
    running.api.apply(*make_services(dice, "s", 4))
    until(lambda: UNSAID not in [reason for _shown, _pool, reason in running.truth().values()], running.words)
    kinds = "services,namespaces,ipaddresspools.metallb.io"
    file = tmp_path / "now.yml"
    file.write_text(running.api.kubectl("get", kinds, "--all-namespaces", "--output=yaml"))
    main(["plan", str(file), "--lb-class", CLASS, "--namespace", HOME, "--output=json"])
    services = json.loads(capsys.readouterr().out)["services"]
    ours = {
        "/".join((row["namespace"], row["name"])): row for row in services if row["happens"] != "not ours"
    }
    assert ours.keys() == running.truth().keys()
    assert {row["happens"] for row in ours.values()} <= {"kept", "waits"}


def pools_are(cluster: Cluster, pools: list[Json]) -> bool:
    """Return whether the controller has them in force, or has refused them."""
    known = json.loads(cluster.page("status"))["status"]
    refused = {
        item["metadata"]["name"]
        for item in pools
        if any(f"/{item['metadata']['name']}:" in each for each in map(str, known["problems"]))
    }
    return set(known["pools"]) | refused == {item["metadata"]["name"] for item in pools}
