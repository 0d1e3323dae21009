# SPDX-License-Identifier: GPL-3.0-or-later
"""Test who may read the metrics: a daemon as a process, a real API server, and the role's own permissions."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from support import processes
from support.apiserver import ApiServer
from support.pki import Authority
from support.ports import free_port

from vipcast.controller.metrics import Metrics as ControllerMetrics
from vipcast.daemon.metrics import Registry
from vipcast.speaker.metrics import SpeakerMetrics

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[3]
DOCUMENTATION = ROOT / "docs/observability.md"
TEMPLATE = ROOT / "roles/load_balancer/templates/metrics-rbac.yml.j2"
RBAC = "rbac.authorization.k8s.io"
_numbers = itertools.count()


def until(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"still not after {seconds:g} s"
        time.sleep(0.1)
    return found


class Daemon:
    """A speaker that may do nothing but ask who may read its metrics."""

    def __init__(self, api: ApiServer, folder: Path, *, granted: bool = True, **flags: str) -> None:
        self.api, self.namespace = api, f"metrics-{next(_numbers)}"
        self.log, self.port = folder / "log", free_port()
        self._prepare(granted)
        given = {
            "kubeconfig": str(api.write_kubeconfig(self.namespace, token=self.token("speaker"))),
            "namespace": self.namespace,
            "health-address": "none",
            "metrics-address": f"127.0.0.1:{self.port}",
            **flags,
        }
        arguments = [f"--{name}={value}" for name, value in given.items()]
        program = "import sys; from vipcast.cli import main; sys.exit(main())"
        self._process = processes.start([sys.executable, "-c", program, "speaker", *arguments], self.log)
        until(self._listens)

    def _prepare(self, granted: bool) -> None:
        self.api.kubectl("create", "namespace", self.namespace)
        for account in ("speaker", "prometheus"):
            self.api.kubectl("create", "serviceaccount", account, "--namespace", self.namespace)
        if granted:
            template = jinja2.Template(TEMPLATE.read_text())
            variables = {
                "load_balancer_namespace": self.namespace,
                "load_balancer_metrics_access": "authorized",
            }
            self.api.kubectl("apply", "-f", "-", stdin=template.render(**variables))

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        try:
            self.ask(None, encrypted=False)
        except ConnectionRefusedError:
            return False
        except (OSError, http.client.HTTPException):
            pass
        return True

    def token(self, account: str) -> str:
        return self.api.token(self.namespace, account)

    def let_in(self, account: str) -> None:
        """Follow docs/observability.md as people are told to."""
        role = f"--clusterrole={self.namespace}:metrics-reader"
        subject = f"--serviceaccount={self.namespace}:{account}"
        self.api.kubectl("create", "clusterrolebinding", f"{self.namespace}-{account}", role, subject)

    def ask(
        self, token: str | None, *, encrypted: bool = True, trust: Path | None = None, method: str = "GET"
    ) -> tuple[int, str, dict[str, str]]:
        connection = self._connection(encrypted, trust)
        try:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            connection.request(method, "/metrics", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def _connection(self, encrypted: bool, trust: Path | None) -> http.client.HTTPConnection:
        if not encrypted:
            return http.client.HTTPConnection("localhost", self.port, timeout=20)
        context = ssl.create_default_context(cafile=str(trust) if trust else None)
        if not trust:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("localhost", self.port, timeout=20, context=context)

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def close(self) -> None:
        processes.stop(self._process)


@pytest.fixture
def daemon(api_server: ApiServer, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def start(**options: Any) -> Daemon:
        started.append(Daemon(api_server, tmp_path, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_the_clusters_permissions_decide(daemon: Callable[..., Daemon]) -> None:
    speaker = daemon()
    token = speaker.token("prometheus")
    status, body, _headers = speaker.ask(token)
    user = f"system:serviceaccount:{speaker.namespace}:prometheus"
    assert status == 403
    assert (
        body
        == f"{user} may not get /metrics; bind it to the ClusterRole {speaker.namespace}:metrics-reader\n"
    )
    speaker.let_in("prometheus")
    status, body, headers = until(lambda: (answer := speaker.ask(token))[0] == 200 and answer)
    assert "vipcast_build_info{" in body
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert token not in speaker.log.read_text()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("token", "words"), [(None, "send a token"), ("", "send a token"), ("made-up", "does not accept")]
)
def test_without_a_good_token_it_is_401(
    daemon: Callable[..., Daemon], token: str | None, words: str, method: str
) -> None:
    status, body, headers = daemon().ask(token, method=method)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert words in body if method == "GET" else body == ""


def test_a_certificate_that_was_given_is_verified(daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    authority = Authority(tmp_path / "tls")
    pair = authority.server("metrics", "DNS:localhost")
    shutil.copy(pair.certificate, tmp_path / "tls/tls.crt")
    shutil.copy(pair.key, tmp_path / "tls/tls.key")
    given = daemon(**{"metrics-cert-dir": str(tmp_path / "tls")})
    assert given.ask("made-up", trust=authority.own.certificate)[0] == 401
    own = daemon()
    with pytest.raises(ssl.SSLCertVerificationError):
        own.ask("made-up", trust=authority.own.certificate)


def test_while_the_api_server_is_away_only_those_are_let_in_who_just_were(
    daemon: Callable[..., Daemon], api_server: ApiServer
) -> None:
    speaker = daemon()
    speaker.let_in("prometheus")
    token, other = speaker.token("prometheus"), speaker.token("prometheus")
    until(lambda: speaker.ask(token)[0] == 200)
    api_server.stop_api(kill=True)
    try:
        status, body, _headers = speaker.ask(other)
        assert status == 503
        assert body == "the API server did not say who may read this; try again\n"
        speaker.ask(other)
        assert len(speaker.lines("review_failed")) == 1
        assert speaker.ask(token)[0] == 200
    finally:
        api_server.start_api()
    until(lambda: speaker.ask(other)[0] == 200)
    assert len(speaker.lines("review_recovered")) == 1
    assert not {each for each in (token, other) if each in speaker.log.read_text()}


def test_a_daemon_that_may_not_ask_lets_nobody_in_and_says_why(daemon: Callable[..., Daemon]) -> None:
    speaker = daemon(granted=False)
    assert speaker.ask(speaker.token("prometheus"))[0] == 503
    (line,) = speaker.lines("review_failed")
    assert 'cannot create resource "tokenreviews"' in line["why"]


def test_authorized_is_the_default_and_speaks_no_plain_http(daemon: Callable[..., Daemon]) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        daemon().ask(None, encrypted=False)


def test_open_is_plain_http_for_everybody(daemon: Callable[..., Daemon]) -> None:
    status, body, _headers = daemon(**{"metrics-access": "open"}).ask(None, encrypted=False)
    assert status == 200
    assert "vipcast_build_info{" in body


def test_open_grants_nothing() -> None:
    rendered = jinja2.Template(TEMPLATE.read_text()).render(
        load_balancer_namespace="x", load_balancer_metrics_access="open"
    )
    assert rendered.strip() == ""


def registered() -> set[str]:
    """The names of all metrics of both daemons."""
    found: set[str] = set()
    for expose in (ControllerMetrics, SpeakerMetrics):
        registry = Registry()
        registry.add_process("1")
        expose(registry)
        found.update(line.split()[2] for line in registry.render().splitlines() if line.startswith("# TYPE"))
    return found


def test_every_metric_is_documented_and_every_alert_is_about_one() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    tables = set(re.findall(r"`((?:metallb|vipcast|process|leader)_\w+)`", text))
    assert registered() - tables == set()
    rules = yaml.safe_load(re.findall(r"```yaml\n(groups:.*?)```", text, re.DOTALL)[0])
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    named = {name for expr in expressions for name in re.findall(r"\b(?:metallb|vipcast)_\w+", expr)}
    assert named
    assert named - registered() == set()


STATUS = """
import asyncio, urllib.error, urllib.request
from vipcast.daemon.run import Daemon, _health_server
from vipcast.daemon.options import Options

def get(host, page):
    try:
        with urllib.request.urlopen(f"http://{host}:17472{page}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code

async def main():
    daemon = Daemon("controller", Options(health_address=":17472"), None)
    daemon.status = dict
    await _health_server(daemon)
    for host in ("127.0.0.1", "[::1]", "192.0.2.5"):
        for page in ("/healthz", "/status"):
            print(host, page, await asyncio.to_thread(get, host, page))

asyncio.run(main())
"""


@pytest.mark.netns
def test_the_status_is_for_the_pod_itself_and_the_probes_for_the_node() -> None:
    inside = 'ip link set lo up; ip address add 192.0.2.5/32 dev lo; exec "$0" -c "$1"'
    command = ["unshare", "--net", "sh", "-c", inside, sys.executable, STATUS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == [
        "127.0.0.1 /healthz 200",
        "127.0.0.1 /status 200",
        "[::1] /healthz 200",
        "[::1] /status 200",
        "192.0.2.5 /healthz 200",
        "192.0.2.5 /status 403",
    ], done.stderr
