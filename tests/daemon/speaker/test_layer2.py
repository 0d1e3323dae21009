# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes of a segment with real speakers and processes, a real API server, and arping as the judge."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from daemon.interop.network import lacking, run
from daemon.layer2_agent.harness import VIP, Layer2Process, Net
from daemon.speaker.capabilities import only
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.cluster_status import ask
from daemon.speaker.namespaces import api_reachable_in
from support.waiting import eventually

from vipcast.election import order
from vipcast.k8s import API_ERRORS, Json
from vipcast.k8s.resource import NODES, SERVICE_L2_STATUSES

pytestmark = [pytest.mark.apiserver, pytest.mark.netns]
CORNER = "vipcast.io/corner"


class Fleet:
    """Both nodes at work; they are named by the segment: n1 and n2."""

    def __init__(self, cluster: Cluster, net: Net) -> None:
        self.cluster, self.net = cluster, net
        self.speakers: dict[str, Speaker] = {}
        self.processes: dict[str, Layer2Process] = {}

    def node(self, name: str) -> str:
        """The state in the cluster."""
        return f"{self.cluster.node}-{name}"

    def name(self, node: str) -> str:
        """The state on the segment."""
        return node.rpartition("-")[2]

    def mac(self, name: str) -> str:
        (network,) = [each for each in self.net.nodes if self.net.name(each) == name]
        return self.net.mac(network)

    async def start(self, stack: AsyncExitStack, kubeconfig: Path, keys: Path) -> None:
        for network in self.net.nodes:
            await self.make_node(self.net.name(network))
        flags = (f"--layer2-key-dir={keys}", f"--layer2-node-selector={CORNER}={self.cluster.name}")
        for network in self.net.nodes:
            name = self.net.name(network)
            await stack.enter_async_context(api_reachable_in(network, self.cluster.api.port))
            of_process = ("--namespace", self.cluster.name)
            # With what the role gives it, and no more.
            powers = only("net_raw", "sys_nice")
            process = Layer2Process(network, self.net.folder, *of_process, prefix=powers)
            self.processes[name] = stack.enter_context(process)
            inside = ("ip", "netns", "exec", network)
            speaker = Speaker(self.cluster, kubeconfig, *flags, inside=inside, node=self.node(name))
            self.speakers[name] = await stack.enter_async_context(speaker)
        await eventually(self.acquainted, 60)

    async def acquainted(self) -> bool:
        """Return whether each has read the API, and hears of all: one that has not can not take over yet."""
        try:
            found = [(await each.status())["layer2"] for each in self.speakers.values()]
        except (OSError, ValueError, subprocess.CalledProcessError):  # its page is not there yet
            return False
        everybody = {self.node(name): "alive" for name in self.speakers}
        return all(
            each is not None and {one["name"]: one["state"] for one in each["members"]} == everybody
            for each in found
        )

    async def make_node(self, name: str, **annotations: str) -> None:
        labels = {CORNER: self.cluster.name}
        await self.cluster.apply("Node", self.node(name), labels=labels, annotations=annotations)
        status = {"addresses": [{"type": "InternalIP", "address": f"10.31.8.1{name[1:]}"}]}
        path = NODES.path(None, self.node(name), "status")
        await self.cluster.client.patch(path, {"status": status})

    async def report(self) -> Json:
        """The status of the only ServiceL2Status; {} while there is none."""
        listing = await self.cluster.client.list(SERVICE_L2_STATUSES.path(self.cluster.name))
        assert len(listing.items) <= 1
        return dict(listing.items[0]["status"]) if listing.items else {}

    @property
    def first(self) -> str:
        """The node that gets the address where both may: at the start, or from the other one soon after."""
        (node, _other) = order(VIP, [self.node(name) for name in self.speakers])
        return self.name(node)

    async def owner(self, *, besides: str | None = None) -> tuple[str, Json]:
        """Return its name and the object's status, once that names one and the segment has its answer alone.

        It is the first in the order, or, where that is `besides`, the other one.
        """

        found: Json = {}
        (expected,) = self.speakers.keys() - {besides} if besides else [self.first]

        async def ask() -> bool:
            try:
                report = await self.report()
            except API_ERRORS as error:  # the API server has only just come back
                found.update(trouble=str(error))
                return False
            name = self.name(report.get("node", ""))
            macs = await asyncio.to_thread(self.net.arping)
            found.update(report=report, macs=macs)
            return name == expected and macs == [self.mac(name)]

        try:
            await eventually(ask, 60)
        except AssertionError as error:
            statuses = [await each.status() for each in self.speakers.values()]
            raise AssertionError(f"{found} {statuses}") from error
        return self.name(found["report"]["node"]), found["report"]


@pytest.fixture
async def fleet(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Fleet]:
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    (tmp_path / "key").write_text("k" * 64)
    kubeconfig = await cluster.prepare()
    await cluster.apply("IPAddressPool", "pool", spec={"addresses": ["10.31.8.100-10.31.8.200"]})
    await cluster.apply("L2Advertisement", "l2", spec={})
    async with AsyncExitStack() as stack:
        found = Fleet(cluster, stack.enter_context(Net(nodes=2)))
        await found.start(stack, kubeconfig, tmp_path)
        await cluster.service("web", VIP)
        await cluster.endpoints("web", "elsewhere")
        yield found


async def test_one_node_answers_and_everything_says_which(fleet: Fleet) -> None:
    name, report = await fleet.owner()
    (entry,) = report["addresses"]
    assert (entry["address"], entry["node"]) == (VIP, report["node"])
    assert entry["interfaces"] == [{"name": "eth0", "mac": fleet.mac(name)}]
    assert report["interfaces"] == [{"name": "eth0"}]
    words = f'announcing from node "{report["node"]}" with protocol "layer2"'

    async def assigned() -> list[Json]:
        """The other one may have had it before, where it came first."""
        events = await fleet.cluster.events("nodeAssigned")
        return [each for each in events if each["message"].startswith(words)]

    assert len(await eventually(assigned)) == 1
    mine = await fleet.speakers[name].verdict()
    (other,) = [each for known, each in fleet.speakers.items() if known != name]
    theirs = await other.verdict()
    assert (mine["announced"], mine["protocol"], mine["others"]) == (True, "layer2", {})
    assert (theirs["announced"], theirs["reason"], theirs["node"]) == (False, "notOwner", report["node"])
    members = (await other.status())["layer2"]["members"]
    assert {each["state"] for each in members} == {"alive"}


async def test_anybody_who_may_read_the_api_is_told_who_has_what(fleet: Fleet) -> None:
    name, report = await fleet.owner()
    done = await ask(fleet.cluster)
    assert done.returncode == 0, done.stderr
    (row,) = [
        line.split() for line in done.stdout.splitlines() if line.startswith(f"{fleet.cluster.name}/web")
    ]
    assert row[1:3] == [VIP, report["node"]]
    assert row[4:6] == ["eth0", fleet.mac(name)]


async def test_a_stranger_that_announces_the_address_is_an_event_with_his_mac(fleet: Fleet) -> None:
    name, report = await fleet.owner()
    client = fleet.net.client
    await asyncio.to_thread(run, "ip", "-n", client, "address", "add", f"{VIP}/16", "dev", "eth0")
    announce = ("ip", "netns", "exec", client, "arping", "-A", "-c", "2", "-I", "eth0", VIP)
    await asyncio.to_thread(run, *announce, check=False)
    events = await eventually(lambda: fleet.cluster.events("foreignAnswer"))
    assert {each["source"]["host"] for each in events} == {report["node"]}
    assert fleet.net.mac(client) in events[0]["message"]

    async def counted() -> bool:
        metric = f'vipcast_layer2_foreign_answers_total{{ip="{VIP}"}}'
        return metric in await fleet.speakers[name].metrics()

    await eventually(counted)


async def test_of_a_node_that_receives_nothing_events_on_it_say_where_to_look(fleet: Fleet) -> None:
    """Its speaker gets to the API server by another way; the other node says it too."""
    owner, _report = await fleet.owner()
    deaf = next(each for each in fleet.net.nodes if fleet.net.name(each) != owner)
    name = fleet.net.name(deaf)
    await asyncio.to_thread(run, "ip", "-n", deaf, "route", "add", "default", "via", "10.31.8.1")
    await asyncio.to_thread(fleet.net.deafen, deaf)

    async def told() -> set[str]:
        listing = await fleet.cluster.client.list("/api/v1/namespaces/default/events")
        return {
            each["message"].partition(":")[0].partition(",")[0]
            for each in listing.items
            if each["involvedObject"]["name"] == fleet.node(name) and each["reason"] == "layer2NotHearing"
        }

    expected = {"this node receives nothing", f'node "{fleet.node(owner)}" hears this node'}
    end = time.monotonic() + 60
    while (found := await told()) != expected:
        assert time.monotonic() < end, f"{found} {[await each.status() for each in fleet.speakers.values()]}"
        await asyncio.sleep(0.2)
    metrics = await fleet.speakers[name].metrics()
    assert "vipcast_layer2_deaf 1" in metrics
    assert "vipcast_layer2_members_one_way 1" in await fleet.speakers[owner].metrics()


async def test_the_metrics_have_metallbs_names(fleet: Fleet) -> None:
    name, report = await fleet.owner()
    labels = f'service="{fleet.cluster.name}/web",protocol="layer2",node="{report["node"]}",ip="{VIP}"'

    async def told() -> bool:
        metrics = await fleet.speakers[name].metrics()
        expected = (
            f"metallb_speaker_announced{{{labels}}} 1",
            f'metallb_layer2_responses_sent{{ip="{VIP}"}}',
            f'metallb_layer2_gratuitous_sent{{ip="{VIP}"}}',
            "vipcast_layer2_process_up 1",
            'vipcast_layer2_members{state="alive"} 2',
        )
        return all(each in metrics for each in expected)

    await eventually(told)


async def test_a_drain_moves_the_address_and_the_object_is_the_new_owners(fleet: Fleet) -> None:
    first, _report = await fleet.owner()
    await fleet.make_node(first, **{"vipcast.io/drain": ""})
    second, _report = await fleet.owner(besides=first)
    assert second != first
    verdict = await fleet.speakers[first].verdict()
    assert (verdict["announced"], verdict["reason"]) == (False, "nodeDrained")
    assert verdict["others"] == {"nodeDrained": [fleet.node(first)]}
    assert await fleet.cluster.events("ownedTwice") == []


async def test_a_dead_node_is_relieved_and_its_object_does_not_stay_behind(fleet: Fleet) -> None:
    first, _report = await fleet.owner()
    await fleet.speakers[first].end(signal.SIGKILL)
    fleet.processes[first].process.kill()
    second, report = await fleet.owner(besides=first)
    assert report["addresses"][0]["why"]
    members = (await fleet.speakers[second].status())["layer2"]["members"]
    assert {each["name"]: each["state"] for each in members}[fleet.node(first)] == "dead"


async def test_a_speaker_whose_process_died_leaves_the_object_to_the_new_owner(fleet: Fleet) -> None:
    """It is patient, for the process may only be replaced; meanwhile it does not know who answers."""
    first, _report = await fleet.owner()
    fleet.processes[first].process.kill()
    second, _report = await fleet.owner(besides=first)
    said, end = set(), time.monotonic() + 5
    while time.monotonic() < end:
        said.add((await fleet.report()).get("node"))
        await asyncio.sleep(0.05)
    assert said == {fleet.node(second)}


async def test_the_end_of_a_speaker_moves_nothing(fleet: Fleet) -> None:
    first, report = await fleet.owner()
    await fleet.speakers[first].end(signal.SIGKILL)
    for _time in range(5):
        assert await asyncio.to_thread(fleet.net.arping) == [fleet.mac(first)]
    assert (await fleet.report())["addresses"] == report["addresses"]


async def test_while_the_api_is_away_nothing_moves_but_from_a_dead_owner(fleet: Fleet) -> None:
    first, _report = await fleet.owner()
    (second,) = fleet.speakers.keys() - {first}
    await asyncio.to_thread(fleet.cluster.api.stop_api, kill=True)
    try:
        asked = [await asyncio.to_thread(fleet.net.arping) for _time in range(5)]
        assert {mac for answers in asked for mac in answers} == {fleet.mac(first)}
        fleet.processes[first].process.kill()

        async def relieved() -> bool:
            return await asyncio.to_thread(fleet.net.arping) == [fleet.mac(second)]

        await eventually(relieved)
    finally:
        await asyncio.to_thread(fleet.cluster.api.start_api)
    assert (await fleet.owner(besides=first))[0] == second


async def test_an_address_without_endpoints_is_not_answered_for_and_one_node_says_so(fleet: Fleet) -> None:
    await fleet.owner()
    await fleet.cluster.endpoints("web", "elsewhere", ready=False)

    async def silent() -> bool:
        return await asyncio.to_thread(fleet.net.arping) == [] and await fleet.report() == {}

    await eventually(silent, 60)
    events = await eventually(lambda: fleet.cluster.events("noEndpoints"))
    warnings = [each for each in events if each["type"] == "Warning"]
    assert [each["source"]["host"] for each in warnings] == [fleet.node("n1")]


async def test_a_process_that_is_missing_is_named_and_one_that_nobody_needs_is_not(cluster: Cluster) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.apply("Node", cluster.node, labels={CORNER: cluster.name})
    await cluster.apply("IPAddressPool", "pool", spec={"addresses": ["10.31.8.100-10.31.8.200"]})
    await cluster.service("web", VIP)
    await cluster.endpoints("web", "elsewhere")
    async with Speaker(cluster, kubeconfig, f"--layer2-node-selector={CORNER}={cluster.name}") as speaker:

        async def reason() -> str:
            (service,) = (await speaker.status())["services"]
            return str(service["addresses"][0]["reason"])

        async def is_(name: str) -> bool:
            with contextlib.suppress(OSError, ValueError):  # not there yet
                return await reason() == name
            return False

        await eventually(lambda: is_("noMatchingAdvertisement"))
        assert (await speaker.status())["layer2"] is None
        await cluster.apply("L2Advertisement", "l2", spec={})
        await eventually(lambda: is_("noLayer2Process"))
        problems = (await speaker.status())["layer2"]["problems"]
        assert any("vipcast layer2" in each for each in problems)
        assert any("--layer2-key-dir" in each for each in problems)
        (event,) = await eventually(lambda: cluster.events("noLayer2Process"))
        assert event["type"] == "Warning"
        await cluster.delete("L2Advertisement", "l2")
        await eventually(lambda: is_("noMatchingAdvertisement"))
