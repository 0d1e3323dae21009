# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of sessions: a Secret has them, and no peer, output, log, process or file on the control node."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.arguments import watched

ROOT = Path(__file__).parents[3]
FIRST, SECOND, OTHER = "tcp-md5-first", "tcp-md5-second", "tcp-md5-by-hand"
NAME = "r1-password"
Json = dict[str, Any]
# Notes what a module sends to syslog: Python runs a module of this name when it starts.
NOTES_SYSLOG = """
import os, syslog
def note(*given):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{given}\\n")
syslog.syslog = note
"""


@dataclass(frozen=True)
class Run:
    """A run of the role's step, with -vvv and --diff, and the drift that it leaves."""

    rc: int
    output: str
    drift: list[Json]
    changed: bool


class Site:
    """An inventory with a router that has a password, and the role's steps on it."""

    def __init__(self, folder: Path, api: ApiServer, namespace: str) -> None:
        self.folder, self._api, self._namespace = folder, api, namespace
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.environment = {
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_HOME": str(self.tmp / "home"),
            "TMPDIR": str(self.tmp),
        }

    def command(self, password: str | None, *options: str, step: str = "configure", **more: Any) -> list[str]:
        """Write inventory and play, and return the command that runs it."""
        shared = {
            "vipcast_kubeconfig": str(self._api.kubeconfig),
            "vipcast_namespace": self._namespace,
            "vipcast_cluster_asn": 64513,
            "vipcast_pools": [{"name": "default", "addresses": ["10.9.0.0/24"]}],
            "load_balancer_image": "registry.invalid/vipcast:1",
            "ansible_python_interpreter": sys.executable,
            **({"vipcast_bgp_password": password} if password else {}),
            **more,
        }
        inventory = {
            "all": {"vars": shared},
            "nodes": {"hosts": {"n1": {"ansible_host": "10.31.8.1"}}},
            "routers": {"hosts": {"r1": {"ansible_host": "10.31.254.251", "vipcast_router_asn": 64512}}},
        }
        (self.folder / "hosts.json").write_text(json.dumps(inventory))
        (self.folder / "play.json").write_text(json.dumps([self._play(step)]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        files = [str(self.folder / "hosts.json"), str(self.folder / "play.json")]
        return [program, "-vvv", "--diff", "-i", *files, *options]

    def _play(self, step: str) -> Json:
        role = {"name": "vipcast.baremetal.load_balancer", "tasks_from": step, "public": True}
        result = f"__load_balancer_{step}d" if step == "configure" else "__load_balancer_deployed"
        copy = {"dest": str(self.folder / "result.json"), "content": f"{{{{ {result} | to_json }}}}"}
        note: Json = {"ansible.builtin.copy": copy, "check_mode": False, "diff": False}
        tasks = [{"ansible.builtin.include_role": role}, note]
        if step == "deploy":
            tasks.insert(0, {"ansible.builtin.include_role": {**role, "tasks_from": "image_name"}})
        return {"hosts": "localhost", "gather_facts": False, "tasks": tasks}

    def run(self, password: str | None, *options: str, **more: Any) -> Run:
        """Run the role's step."""
        done = subprocess.run(
            self.command(password, *options, **more),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads((self.folder / "result.json").read_text())
        (self.folder / "result.json").unlink()
        return Run(done.returncode, done.stdout + done.stderr, result["drift"], result["changed"])

    def get(self, kind: str, name: str) -> Json | None:
        """Return an object of the namespace; None where there is none."""
        where = ("--namespace", self._namespace, "-o", "json", "--ignore-not-found")
        text = self._api.kubectl("get", kind, name, *where)
        return dict(json.loads(text)) if text else None

    def password(self) -> str | None:
        """Return what the Secret has."""
        secret = self.get("secret", NAME)
        return None if secret is None else base64.b64decode(secret["data"]["password"]).decode()

    def files_with(self, text: str) -> list[Path]:
        """Return the files of Ansible on the control node that have it: not the inventory, which says it."""
        files = [path for path in self.tmp.rglob("*") if path.is_file()]
        return [path for path in files if text.encode() in path.read_bytes()]


@pytest.fixture
def site(tmp_path: Path, api_server: ApiServer, namespace: str) -> Iterator[Site]:
    yield Site(tmp_path, api_server, namespace)
    kinds = "secrets,ipaddresspools.metallb.io,bgppeers.metallb.io,bgpadvertisements.metallb.io"
    api_server.kubectl("delete", kinds, "--all", "--namespace", namespace)


def test_a_secret_has_it_and_the_peer_names_that(site: Site) -> None:
    assert site.run(FIRST, "--check").changed
    assert site.password() is None
    assert site.run(FIRST).changed
    secret, peer = site.get("secret", NAME), site.get("bgppeer.metallb.io", "r1")
    assert secret is not None and peer is not None
    assert (secret["type"], site.password()) == ("kubernetes.io/basic-auth", FIRST)
    assert peer["spec"]["passwordSecret"] == {"name": NAME}
    assert "password" not in peer["spec"]
    again = site.run(FIRST)
    assert (again.changed, again.drift) == (False, [])


def test_another_one_is_drift_that_is_told_without_it(
    site: Site, api_server: ApiServer, namespace: str
) -> None:
    site.run(FIRST)
    patch = json.dumps({"stringData": {"password": OTHER}})
    api_server.kubectl("patch", "secret", NAME, "--namespace", namespace, "--patch", patch)
    tried = site.run(FIRST, "--check")
    assert tried.drift == [
        {
            "what": f"Secret/{namespace}/{NAME}",
            "where": "data.password",
            "expected": "(hidden)",
            "found": "(hidden, another)",
        }
    ]
    assert site.password() == OTHER
    repaired = site.run(FIRST)
    assert site.password() == FIRST
    changed = site.run(SECOND)
    assert (changed.changed, site.password()) == (True, SECOND)
    for output in (tried.output, repaired.output, changed.output):
        for text in (FIRST, SECOND, OTHER):
            assert text not in output
            assert base64.b64encode(text.encode()).decode() not in output


def test_it_goes_with_the_last_peer_that_has_it(site: Site) -> None:
    site.run(FIRST)
    site.run(None)
    peer = site.get("bgppeer.metallb.io", "r1")
    assert peer is not None and "passwordSecret" not in peer["spec"]
    assert site.get("secret", NAME) is None


def test_the_speaker_may_read_this_secret_and_no_other(site: Site) -> None:
    site.run(FIRST)
    site.run(FIRST, step="deploy")
    role = site.get("role", "speaker")
    assert role is not None
    (rule,) = [rule for rule in role["rules"] if "secrets" in rule["resources"]]
    assert (rule["resourceNames"], rule["verbs"]) == ([NAME], ["list", "watch"])


def test_no_process_and_no_file_shows_it(site: Site) -> None:
    with watched() as seen:
        site.run(FIRST)
    assert any("ansible-playbook" in line for line in seen), "the watcher saw nothing"
    assert not [line for line in seen if FIRST in line]
    assert site.files_with(FIRST) == []


def test_no_file_has_it_after_a_hang_up(site: Site) -> None:
    """The terminal goes away at some moment of the step; what Ansible had in its folders stays there."""
    site.run(FIRST)
    for tenths in (10, 14, 18, 22):
        run = subprocess.Popen(
            site.command(SECOND if tenths % 4 else FIRST),
            cwd=ROOT,
            env=site.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(tenths / 10)
        os.killpg(run.pid, signal.SIGHUP)
        run.wait(30)
        assert site.files_with(FIRST) + site.files_with(SECOND) == []


def test_the_module_shows_none_where_it_is_started_as_one(
    api_server: ApiServer, namespace: str, tmp_path: Path
) -> None:
    """Elsewhere than on the control node, or with a kubeconfig that needs the official client."""
    (tmp_path / "sitecustomize.py").write_text(NOTES_SYSLOG)
    notes = tmp_path / "notes"
    arguments = {
        "kubeconfig": str(api_server.kubeconfig),
        "namespace": namespace,
        "name": "x",
        "objects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}],
        "secret_data": {"s": {"password": FIRST}},
        "_ansible_diff": True,
    }
    done = subprocess.run(
        [sys.executable, "-m", "ansible_collections.vipcast.baremetal.plugins.modules.object_set"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, "NOTES": str(notes), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["changed"]
    assert FIRST not in done.stdout + done.stderr
    assert "Invoked with" in notes.read_text()
    assert FIRST not in notes.read_text()


def test_a_password_in_a_manifest_is_not_in_the_result(call: Any, namespace: str) -> None:
    """The module may be called with one all the same: the result repeats the options, and -vvv shows it."""
    peer = {
        "apiVersion": "metallb.io/v1beta2",
        "kind": "BGPPeer",
        "metadata": {"name": "p"},
        "spec": {"myASN": 1, "peerASN": 2, "peerAddress": "10.0.0.1", "password": FIRST},
    }
    result = call("object_set", name="x", namespace=namespace, objects=[peer])
    assert result["changed"]
    assert FIRST not in str(result)


def test_texts_for_a_secret_that_is_not_there_are_refused(call: Any, namespace: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    given = {"objects": [secret], "secret_data": {"t": {"password": FIRST}}}
    result = call("object_set", name="x", namespace=namespace, **given)
    assert result["msg"] == "secret_data: no Secret of objects is called t; they are s"
