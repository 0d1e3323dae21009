# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration is read once in a task, and anew in the next one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.memo import remembered

GROUPS = {"nodes": ["n1"], "routers": ["r1"], "clients": []}
SECONDS = 20


class Reader:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        self.calls += 1
        return {"nodes": [*groups["nodes"]], "pools": [hostvars["n1"]["pool"]]}


def in_a_task(work: Callable[[], Any]) -> Any:
    """Return what a process that is forked as Ansible forks one for a task says."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(work()))
    process.start()
    assert receiver.poll(SECONDS)
    answer = receiver.recv()
    process.join(SECONDS)
    return answer


def test_a_task_reads_it_once() -> None:
    def work() -> Any:
        reader, hostvars = Reader(), {"n1": {"pool": "a"}}
        answers = [remembered(hostvars, dict(GROUPS), reader) for _again in range(3)]
        return answers, reader.calls

    answers, calls = in_a_task(work)
    assert answers == [{"nodes": ["n1"], "pools": ["a"]}] * 3
    assert calls == 1


def test_what_the_caller_changes_is_the_callers() -> None:
    def work() -> Any:
        reader, hostvars = Reader(), {"n1": {"pool": "a"}}
        remembered(hostvars, GROUPS, reader)["pools"].append("b")
        return remembered(hostvars, GROUPS, reader)

    assert in_a_task(work)["pools"] == ["a"]


def test_other_hosts_are_read_anew() -> None:
    def work() -> Any:
        reader, hostvars = Reader(), {"n1": {"pool": "a"}}
        first = remembered(hostvars, GROUPS, reader)
        second = remembered(hostvars, {**GROUPS, "nodes": ["n1", "n2"]}, reader)
        third = remembered({"n1": {"pool": "b"}}, GROUPS, reader)
        return first, second, third

    first, second, third = in_a_task(work)
    assert (first["nodes"], second["nodes"]) == (["n1"], ["n1", "n2"])
    assert (first["pools"], third["pools"]) == (["a"], ["b"])


def test_a_process_that_is_no_task_remembers_nothing() -> None:
    if multiprocessing.parent_process() is not None:
        raise AssertionError("this test has to run in a process that is nobody's task")
    reader, hostvars = Reader(), {"n1": {"pool": "a"}}
    remembered(hostvars, GROUPS, reader)
    hostvars["n1"]["pool"] = "b"
    assert remembered(hostvars, GROUPS, reader)["pools"] == ["b"]
    assert reader.calls == 2
