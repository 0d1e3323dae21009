# SPDX-License-Identifier: GPL-3.0-or-later
"""A task on the control node does a module's work itself, with the result that the module has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer

ROOT = Path(__file__).parents[3]
Json = dict[str, Any]
Play = Callable[..., Json]
# A module that is started with it fails.
NO_PYTHON = "/nowhere/python3"


@pytest.fixture
def play(api_server: ApiServer, tmp_path: Path) -> Play:
    """``play("object_set", {options})``: the result of a task on localhost; an option None is left out."""

    def played(module: str, options: Json, python: str = NO_PYTHON, **keywords: Any) -> Json:
        given = {"kubeconfig": str(api_server.kubeconfig), **options}
        wanted = {name: value for name, value in given.items() if value is not None}
        task = {"name": "Call it", f"vipcast.baremetal.{module}": wanted, "register": "called", **keywords}
        return _result(tmp_path, {"ignore_errors": True, **task}, python)

    return played


def _result(folder: Path, task: Json, python: str) -> Json:
    """Run the task, and hand its result over in a file."""
    written = {"lines": [], "path": str(folder / "result.json"), "content": "{{ called | to_json }}"}
    tasks = [task, {"name": "Write", "vipcast.baremetal.report": written}]
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"ansible_python_interpreter": python}}
    path = folder / "play.yml"
    path.write_text(json.dumps([{**play, "tasks": tasks}]))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "-i", "localhost,", "-c", "local", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: Json = json.loads((folder / "result.json").read_text())
    return result


def config_map(namespace: str, **data: str) -> Json:
    metadata = {"name": "here", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


STARTED = {"python": sys.executable, "environment": {"A": "b"}}
CALLED = {"python": NO_PYTHON}


def test_both_ways_have_the_same_result(play: Play, namespace: str) -> None:
    options = {"name": "s", "objects": [config_map(namespace, x="1")]}
    play("object_set", options)
    options["objects"] = [config_map(namespace, x="2")]
    results = [play("object_set", options, check_mode=True, diff=True, **way) for way in (CALLED, STARTED)]
    for result in results:
        assert result["changed"]
        assert result["drift"][0]["expected"] == "2"
    assert results[0] == results[1]


def test_nothing_is_started(play: Play, namespace: str) -> None:
    result = play("object_set", {"name": "s", "objects": [config_map(namespace, x="1")]})
    assert result["changed"]
    assert not play("object_set", {"name": "s", "objects": [config_map(namespace, x="1")]})["changed"]


@pytest.mark.parametrize("keywords", [{"environment": {"A": "b"}}, {"async": 30, "poll": 1}])
def test_what_asks_for_another_process_gets_one(play: Play, keywords: Json) -> None:
    assert NO_PYTHON in json.dumps(play("cluster_services_info", {}, **keywords))
    result = play("cluster_services_info", {}, python=sys.executable, **keywords)
    assert "nodes" in result, json.dumps(result)


def test_a_failure_is_the_same(play: Play, namespace: str) -> None:
    wrong = {"name": "s", "objects": [{**config_map(namespace), "data": {"x": 1}}]}
    called, started = (play("object_set", wrong, **way) for way in (CALLED, STARTED))
    assert called["failed"]
    assert started["failed"]
    assert called["msg"] == started["msg"]
    assert called["refusals"] == started["refusals"]


def test_an_unknown_option_is_refused(play: Play) -> None:
    assert "colour" in play("cluster_info", {"colour": "red"})["msg"]


def test_a_kubeconfig_for_the_official_client_is_the_modules(play: Play, tmp_path: Path) -> None:
    broken = tmp_path / "kubeconfig"
    broken.write_text("[]")
    assert NO_PYTHON in json.dumps(play("cluster_info", {"kubeconfig": str(broken)}))
    result = play("cluster_info", {"kubeconfig": str(broken)}, python=sys.executable)
    assert result["msg"].startswith(f"kubeconfig {broken}: ")


def test_a_warning_is_in_the_result(play: Play, api_server: ApiServer) -> None:
    settings = {"strict_arp": True, "settings": {"nonsense": 1}}
    called, started = (play("kube_proxy", settings, check_mode=True, **way) for way in (CALLED, STARTED))
    assert "nonsense" in called["warnings"][0]
    assert called["warnings"] == started["warnings"]


def test_a_digest(play: Play) -> None:
    options = {"kubeconfig": None, "paths": [str(ROOT / "src" / "vipcast")], "recipe": {"a": [1]}}
    called, started = (play("tree_digest_info", options, **way) for way in (CALLED, STARTED))
    assert called["digest"] == started["digest"]
    assert "does not exist" in play("tree_digest_info", {**options, "paths": ["/nowhere"]})["msg"]
