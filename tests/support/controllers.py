# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers as processes against a real API server, with exactly the rights that the role gives them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from support import processes
from support.apiserver import ApiServer
from support.ports import free_port

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "roles/load_balancer/files/crds"
NAMESPACE = "metallb-system"
LEASE = "vipcast-controller"
_START = (sys.executable, "-c", "import sys; from vipcast.cli import main; sys.exit(main())")
_KINDS = "ipaddresspools,l2advertisements,bgppeers,bgpadvertisements,bfdprofiles,communities"

Json = dict[str, Any]


def until(what: Callable[[], Any], seconds: float = 20.0, pause: float = 0.1) -> Any:
    """The first truth, or a failure that shows the last untruth."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds:g} s"
        time.sleep(pause)
    return found


def role_variables(**changed: Any) -> Json:
    """The defaults of the role, as far as its templates of permissions need them."""
    text = (ROOT / "roles/load_balancer/defaults/main.yml").read_text(encoding="utf-8")
    return {**yaml.safe_load(text), "load_balancer_namespace": NAMESPACE, **changed}


def rbac(program: str = "controller", **changed: Any) -> list[Json]:
    """Return what the role applies for one of the programs: service account, roles and bindings."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["to_json"] = json.dumps
    folder = ROOT / "roles/load_balancer/templates"
    template = environment.from_string((folder / f"{program}-rbac.yml.j2").read_text(encoding="utf-8"))
    return list(yaml.safe_load_all(template.render(role_variables(**changed))))


def define_kinds(api: ApiServer) -> None:
    """Define the kinds of the configuration and of the reports, unless the API server has them all."""
    if not _kinds_missing(api):
        return
    api.kubectl("apply", "--filename", str(CRDS))
    api.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRDS))
    until(lambda: not _kinds_missing(api))


def _kinds_missing(api: ApiServer) -> set[str]:
    """Return the names of our kinds that the API server does not serve."""
    served = api.kubectl("api-resources", "--api-group=metallb.io", "--output=name").split()
    return {f"{path.stem}.metallb.io" for path in CRDS.glob("*.yml")} - set(served)


def prepare(api: ApiServer, **changed: Any) -> ApiServer:
    """Our kinds, the namespace and the controller's permissions; no services that other tests left."""
    define_kinds(api)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    api.apply(namespace, *rbac(**changed))
    _delete_load_balancers(api)
    return api


def _delete_load_balancers(api: ApiServer) -> None:
    """A controller would give them addresses that a test counts on."""
    found = json.loads(api.kubectl("get", "services", "--all-namespaces", "--output=json"))["items"]
    for item in found:
        if item["spec"]["type"] == "LoadBalancer":
            metadata = item["metadata"]
            api.kubectl("delete", "service", metadata["name"], "--namespace", metadata["namespace"])


def clean(api: ApiServer) -> None:
    """Remove all configuration; the Lease stays."""
    api.kubectl("delete", f"{_KINDS},configurationstates", "--all", "--namespace", NAMESPACE)


class Controller:
    """One process. `folder` gets its log; `command` starts another vipcast than that of the checkout."""

    def __init__(
        self,
        api: ApiServer,
        folder: Path,
        name: str = "controller",
        *,
        account: str = "controller",
        command: Sequence[str] = _START,
    ) -> None:
        self.kubeconfig = api.write_kubeconfig(f"{name}-{id(self)}", token=api.token(NAMESPACE, account))
        self._command = list(command)
        self.log = folder / f"{name}.log"
        self.health, self.metrics_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, program: str = "controller") -> None:
        """Start it; `until(...leads)` or `until(...ready)` is for whoever needs that."""
        given = [
            f"--kubeconfig={self.kubeconfig}",
            f"--health-address=127.0.0.1:{self.health}",
            f"--metrics-address=127.0.0.1:{self.metrics_port}",
            "--metrics-access=open",
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        self.process = processes.start([*self._command, program, *given, *arguments], self.log, environment)

    @property
    def running(self) -> bool:
        """Return whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def ready(self) -> bool:
        """Return whether its cache are complete."""
        assert self.running, self.log.read_text()
        with contextlib.suppress(OSError):
            return self.get(self.health, "readyz") == "ok\n"
        return False

    def status(self) -> Json:
        """The status document's part that is the controller's."""
        return dict(json.loads(self.get(self.health, "status"))["status"])

    def leads(self) -> bool:
        """Return whether it leads and has decided everything once."""
        assert self.running, self.log.read_text()
        with contextlib.suppress(OSError):
            lead = self.status()["lead"]
            return bool(lead["leading"] and lead["started"])
        return False

    def settled(self) -> bool:
        """Return whether it has nothing left to write."""
        services = self.status()["services"]
        return bool(services) and not services["unwritten"] and not services["objectsUnwritten"]

    def metrics(self) -> str:
        """The exposition."""
        return self.get(self.metrics_port, "metrics")

    def get(self, port: int, page: str) -> str:
        """Return what one of its servers answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as answer:
            return str(answer.read().decode())

    def send(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal that ends it; its exit status."""
        assert self.process is not None
        self.send(number)
        return self.process.wait(15)

    def stop(self) -> None:
        """End it in good order, so that whoever comes next need not wait for the Lease."""
        if self.running:
            self.send(signal.SIGCONT)
            processes.stop(self.process)

    def logged(self, event: str) -> list[Json]:
        """The lines of the log about `event`."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["event"] == event]


def lease(api: ApiServer) -> Json:
    """The spec of the Lease."""
    text = api.kubectl("get", "lease", LEASE, "--namespace", NAMESPACE, "--output=json")
    return dict(json.loads(text)["spec"])


def the_leader(controllers: Sequence[Controller]) -> Controller | None:
    """The one that leads."""
    return next((each for each in controllers if each.running and each.leads()), None)
