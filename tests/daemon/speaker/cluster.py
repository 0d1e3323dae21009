# SPDX-License-Identifier: GPL-3.0-or-later
"""A corner of the cluster for one test: a namespace, a node, a load balancer class, and a speaker with the
rights that the role gives it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import jinja2
from support import processes
from support.apiserver import ApiServer
from support.ports import free_port

from vipcast.k8s import APPLY_PATCH, Client, Json, Resource
from vipcast.k8s import resource as resources

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "load_balancer"
KINDS: dict[str, Resource] = {
    each.kind: each
    for each in (
        resources.SERVICES,
        resources.NODES,
        resources.PODS,
        resources.SECRETS,
        resources.ENDPOINT_SLICES,
        resources.IP_ADDRESS_POOLS,
        resources.BGP_PEERS,
        resources.BGP_ADVERTISEMENTS,
        resources.L2_ADVERTISEMENTS,
        resources.BFD_PROFILES,
    )
}
_numbers = itertools.count()


class Cluster:
    """Objects are applied as administrator."""

    def __init__(self, api: ApiServer, client: Client) -> None:
        self.api, self.client = api, client
        self.name = f"speak-{next(_numbers)}"
        self.node = f"node-{self.name}"

    async def prepare(self, *secrets: str) -> Path:
        """Make the namespace, the node and the speaker's account; its kubeconfig."""
        await self.client.create("/api/v1/namespaces", {"metadata": {"name": self.name}})
        await self.apply("Node", self.node)
        environment = jinja2.Environment()
        environment.filters["to_json"] = json.dumps
        template = environment.from_string((ROLE / "templates" / "speaker-rbac.yml.j2").read_text())
        rights = template.render(
            load_balancer_namespace=self.name,
            load_balancer_secret_names=list(secrets),
            load_balancer_config_map="config",
        )
        await asyncio.to_thread(self.api.kubectl, "apply", "-f", "-", stdin=rights)
        token = await asyncio.to_thread(self.api.token, self.name, "speaker")
        return self.api.write_kubeconfig(f"speaker-{self.name}", token=token)

    async def prepare_web(self, port: int) -> Path:
        """Prepared, with a peer at this port and the service `web`, 10.9.0.1, with an endpoint elsewhere."""
        kubeconfig = await self.prepare()
        await self.configure(tor=port)
        await self.service("web", "10.9.0.1")
        await self.endpoints("web", "elsewhere")
        return kubeconfig

    @property
    def role_path(self) -> str:
        """Return where the Role of the speaker is."""
        return f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.name}/roles/speaker"

    async def apply(self, kind: str, name: str, **parts: Any) -> Json:
        """Make or change an object: exactly these parts."""
        resource = KINDS[kind]
        body = {"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name}, **parts}
        for part in ("labels", "annotations"):
            if part in parts:
                body["metadata"][part] = body.pop(part)
        path = resource.path(self.name, name)
        return await self.client.patch(path, body, content_type=APPLY_PATCH, fieldManager="test", force=True)

    async def delete(self, kind: str, name: str) -> None:
        await self.client.delete(KINDS[kind].path(self.name, name))

    async def give_back(self) -> None:
        """Delete the services: an address that one has is not given to another's, of whatever class."""
        for item in (await self.client.list(resources.SERVICES.path(self.name))).items:
            await self.delete("Service", item["metadata"]["name"])

    async def configure(self, **ports: int) -> None:
        """A pool, an advertisement for everything, and a peer per router."""
        await self.apply("IPAddressPool", "pool", spec={"addresses": ["10.9.0.0/16"]})
        await self.apply("BGPAdvertisement", "adv", spec={})
        for name, port in ports.items():
            await self.peer(name, port)

    async def peer(self, name: str, port: int, **spec: Any) -> None:
        essential = {"myASN": 64513, "peerASN": 64512, "peerAddress": "127.0.0.1", "peerPort": port}
        await self.apply("BGPPeer", name, spec={**essential, "connectTime": "1s", "holdTime": "9s", **spec})

    async def service(self, name: str, address: str, **spec: Any) -> None:
        """A service with an address, as the controller leaves it."""
        ports = [{"port": 80, "protocol": "TCP"}]
        fields = {"type": "LoadBalancer", "loadBalancerClass": f"test.io/{self.name}", "ports": ports, **spec}
        await self.apply("Service", name, spec=fields)
        status = {"loadBalancer": {"ingress": [{"ip": address}]}}
        await self.client.patch(resources.SERVICES.path(self.name, name, "status"), {"status": status})

    async def pod(self, name: str) -> None:
        """A Pod of the node: deleting it takes its grace period, as nobody here ends it."""
        container = {"name": "speaker", "image": "vipcast"}
        spec = {"nodeName": self.node, "serviceAccountName": "speaker", "containers": [container]}
        await self.apply("Pod", name, spec=spec)

    async def endpoints(self, service: str, *nodes: str, ready: bool = True, family: int = 4) -> None:
        """One endpoint on each node."""
        network = "10.8.64." if family == 4 else "fd08::"
        found = [
            {"addresses": [f"{network}{number}"], "nodeName": node, "conditions": {"ready": ready}}
            for number, node in enumerate(nodes, 1)
        ]
        labels = {"kubernetes.io/service-name": service}
        await self.apply(
            "EndpointSlice",
            f"{service}-1",
            labels=labels,
            addressType=f"IPv{family}",
            endpoints=found,
            ports=[],
        )

    async def events(self, reason: str) -> list[Json]:
        listing = await self.client.list(f"/api/v1/namespaces/{self.name}/events")
        return [item for item in listing.items if item["reason"] == reason]


class Speaker:
    """``vipcast speaker`` (or ``controller``) as a process of its own."""

    def __init__(
        self,
        cluster: Cluster,
        kubeconfig: Path,
        *more: str,
        inside: tuple[str, ...] = (),
        program: str = "speaker",
        node: str | None = None,
    ) -> None:
        node, self._inside = node or cluster.node, inside
        self._log = cluster.api.folder / f"{node}-{program}.log"
        self.health, self.metrics_port = free_port(), free_port()
        flags = {
            "namespace": cluster.name,
            "lb-class": f"test.io/{cluster.name}",
            "kubeconfig": str(kubeconfig),
            "health-address": f"127.0.0.1:{self.health}",
            "metrics-address": f"127.0.0.1:{self.metrics_port}",
            "metrics-access": "open",
        }
        self._command = [
            *inside,
            sys.executable,
            "-c",
            "import sys; from vipcast.cli import main; sys.exit(main())",
        ]
        if program == "speaker":
            flags["node-name"] = node
        self._command += [program, *(f"--{name}={value}" for name, value in flags.items()), *more]
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Speaker:
        self._process = await asyncio.to_thread(processes.start, self._command, self._log)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(processes.stop, self._process)

    async def end(self, number: int) -> None:
        """End it by a signal, and wait for it."""
        assert self._process
        self._process.send_signal(number)
        await asyncio.to_thread(self._process.wait, 10)

    async def terminate(self) -> int:
        """SIGTERM, and the exit status."""
        assert self._process
        await asyncio.to_thread(processes.stop, self._process)
        return self._process.returncode

    def log(self) -> list[Json]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    async def status(self) -> Json:
        return json.loads(await self._get(self.health, "status"))["status"]  # type: ignore[no-any-return]

    async def metrics(self) -> str:
        return await self._get(self.metrics_port, "metrics")

    async def verdict(self) -> Json:
        """Return the verdict on the only address of the only service."""
        (service,) = (await self.status())["services"]
        (entry,) = service["addresses"]
        return entry  # type: ignore[no-any-return]

    async def _get(self, port: int, page: str) -> str:
        """Ask from where the speaker is: its network may be another."""
        url = f"http://127.0.0.1:{port}/{page}"
        program = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=5).read().decode())"

        def ask() -> str:
            if self._inside:
                command = [*self._inside, sys.executable, "-c", program]
                return subprocess.run(command, capture_output=True, text=True, check=True).stdout
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(ask)
