# SPDX-License-Identifier: GPL-3.0-or-later
"""A real etcd and kube-apiserver (TLS, RBAC) on loopback ports, for as long as a test needs them.

    with ApiServer() as api:
        api.kubectl("create", "namespace", "metallb-system")

``PYTHONPATH=tests python -m support.apiserver`` keeps one running and prints its KUBECONFIG.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from support import processes
from support.etcd import Contents, Etcd
from support.pki import Authority, Pair
from support.ports import free_port

START_SECONDS = 90.0  # about 5 on an idle machine; several suites share two cores
_ISSUER = "https://kubernetes.default.svc"
_GO_MOD = Path(__file__).parents[2] / "roles/lab/files/kubernetes/go.mod"


class MissingBinariesError(RuntimeError):
    """The lab's Kubernetes was not built yet."""


def binaries() -> Path:
    """The folder with etcd, kube-apiserver and kubectl of the lab's version of Kubernetes.

    ``VIPCAST_KUBERNETES_VERSION`` names another version. It has to be built, as the lab's has.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vipcast" / "kubernetes"
    folder = cache / (os.environ.get("VIPCAST_KUBERNETES_VERSION") or pinned_version())
    if not all((folder / name).is_file() for name in ("etcd", "kube-apiserver", "kubectl")):
        raise MissingBinariesError(
            f"no etcd, kube-apiserver and kubectl in {folder}: build them once with `make lab`"
        )
    return folder


def pinned_version() -> str:
    """The version of Kubernetes that the lab is built from, such as ``v1.34.4``."""
    found = re.search(r"k8s\.io/kubernetes (v\S+)", _GO_MOD.read_text(encoding="utf-8"))
    assert found is not None, f"{_GO_MOD} names no version of k8s.io/kubernetes"
    return found[1]


class ApiServer:
    """One API server with its own etcd and authority; a context manager.

    `kubeconfig` belongs to ``system:masters``. The ServiceAccount admission plugin is off, because no
    controller-manager makes default service accounts here; RBAC and every other default is on.
    """

    def __init__(self, *, arguments: Sequence[str] = ()) -> None:
        self._bin = binaries()
        self._arguments = list(arguments)
        self.folder = Path(tempfile.mkdtemp(prefix="vipcast-api-"))
        self._etcd: subprocess.Popen[bytes] | None = None
        self._api: subprocess.Popen[bytes] | None = None
        self.port, self._etcd_port, self._etcd_peer_port = free_port(), free_port(), free_port()
        self._storage, self._marked = Etcd(self._etcd_port), Contents()
        self.authority = Authority(self.folder)
        self._serving = self.authority.server("apiserver", "IP:127.0.0.1,DNS:localhost")
        self._admin = self.authority.client("admin", ("system:masters",))
        self._token_keys = self.authority.signing_keys("service-accounts")
        self.kubeconfig = self.write_kubeconfig("admin", certificate=self._admin)

    # What tests use ---------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """``https://127.0.0.1:PORT``."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate_authority(self) -> Path:
        """The authority's certificate, a PEM file."""
        return self.authority.own.certificate

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator; its standard output. Raises RuntimeError with what it said."""
        ours = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.folder / "cache")}
        command = [str(self._bin / "kubectl"), *arguments]
        done = subprocess.run(
            command,
            input=stdin,
            env={**os.environ, **ours},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects: object) -> None:
        """``kubectl apply`` some objects given as plain data."""
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(each) for each in objects))

    def restart(self) -> None:
        """Kill the API server and start it again, same port, same storage; returns when it is ready."""
        self.stop_api(kill=True)
        self.start_api()

    def compact(self) -> None:
        """Forget every etcd revision but the latest, as the API server does every five minutes."""
        self._storage.compact()

    def mark(self) -> None:
        """Remember what is stored now, for `reset`."""
        self._marked = self._storage.contents()

    def reset(self) -> None:
        """Start the API server if it is stopped, and store what was stored at `mark`, nothing else."""
        if self._api is None or self._api.poll() is not None:
            self.start_api()
        self._storage.put_back(self._marked)

    def token(self, namespace: str, service_account: str, *, seconds: int = 3600) -> str:
        """A signed token of an existing service account."""
        return self.kubectl(
            "create", "token", service_account, "--namespace", namespace, f"--duration={seconds}s"
        ).strip()

    def write_kubeconfig(
        self, user: str, *, certificate: Pair | None = None, token: str | None = None
    ) -> Path:
        """A kubeconfig (JSON, which is YAML) for a client certificate or a token."""
        credentials = {"token": token} if token else _certificate_files(certificate)
        cluster = {"server": self.url, "certificate-authority": str(self.certificate_authority)}
        path = self.folder / f"{user.replace(':', '_')}.kubeconfig"
        path.write_text(json.dumps(_kubeconfig(user, cluster, credentials)), encoding="utf-8")
        path.chmod(0o600)
        return path

    # Life -------------------------------------------------------------------------------------------

    def __enter__(self) -> ApiServer:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start etcd and the API server; returns when ``/readyz`` says ok."""
        self._etcd = processes.start(self._etcd_command(), self.folder / "etcd.log")
        self.start_api()

    def close(self) -> None:
        """Stop both and remove their folder."""
        self.stop_api(kill=True)
        processes.stop(self._etcd, kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_api(self) -> None:
        """Start the API server alone; returns when it is ready."""
        self._api = processes.start(self._api_command(), self.folder / "apiserver.log")
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._api.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the API server did not become ready:\n{self._last_words()}")
            time.sleep(0.1)

    def stop_api(self, *, kill: bool = False) -> None:
        """Stop the API server alone: what clients of a control plane under maintenance see."""
        processes.stop(self._api, kill=kill)
        self._api = None

    def tls(self) -> ssl.SSLContext:
        """Return what a client needs that asks as administrator."""
        context = ssl.create_default_context(cafile=str(self.certificate_authority))
        context.load_cert_chain(self._admin.certificate, self._admin.key)
        return context

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2, context=self.tls()) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _last_words(self) -> str:
        logs = [self.folder / "apiserver.log", self.folder / "etcd.log"]
        return "\n".join(line for log in logs if log.exists() for line in log.read_text().splitlines()[-15:])

    def _etcd_command(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._etcd_peer_port}"
        return [
            str(self._bin / "etcd"),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_command(self) -> list[str]:
        private, public = self._token_keys
        return [
            str(self._bin / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=192.0.2.1",  # it wants one that is not loopback; nothing publishes it
            f"--secure-port={self.port}",
            f"--tls-cert-file={self._serving.certificate}",
            f"--tls-private-key-file={self._serving.key}",
            f"--client-ca-file={self.certificate_authority}",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={private}",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",  # nothing but tests may write endpoints
            "--disable-admission-plugins=ServiceAccount",
            *self._arguments,
        ]


def _certificate_files(pair: Pair | None) -> dict[str, str]:
    if pair is None:
        raise ValueError("a kubeconfig needs a certificate or a token")
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}


def _kubeconfig(user: str, cluster: dict[str, str], credentials: dict[str, str]) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "current-context": "test",
    }


def _end_once(*_: object) -> None:
    """The first signal ends the process; another must not interrupt the cleaning up."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """Run one until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m support.apiserver", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long (default: 3600)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end_once)
    signal.signal(signal.SIGINT, _end_once)
    with ApiServer() as api:
        print(f"export KUBECONFIG={api.kubeconfig}", flush=True)
        try:
            time.sleep(options.seconds)
        except KeyboardInterrupt:
            print("ending")


if __name__ == "__main__":
    main()
