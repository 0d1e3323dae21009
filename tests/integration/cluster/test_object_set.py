# SPDX-License-Identifier: GPL-3.0-or-later
"""The module object_set: create, change and remove, each tried first, each twice."""

from __future__ import annotations

from typing import Any

import pytest
from support.apiserver import ApiServer
from support.modules import ModuleServer

LABEL = "vipcast.io/set"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def definition(kind: str, group: str) -> dict[str, Any]:
    """A CustomResourceDefinition with a rule, as ours have them."""
    plural = kind.lower() + "s"
    number = {
        "type": "integer",
        "x-kubernetes-validations": [{"rule": "self < 10", "message": "less than 10"}],
    }
    spec = {
        "type": "object",
        "properties": {"number": number, "words": {"type": "array", "items": {"type": "string"}}},
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def custom(kind: str, group: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def actions(result: dict[str, Any]) -> dict[str, str]:
    return {each["object"].rsplit("/", 1)[1]: each["action"] for each in result["objects"]}


@pytest.fixture
def pools(call: Any, namespace: str) -> Any:
    """``pools(objects, check=...)``: a set of ConfigMaps in the test's namespace."""

    def called(objects: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        given = {"name": namespace, "namespace": namespace, "objects": objects}
        found: dict[str, Any] = call("object_set", **given, **more)
        return found

    return called


def test_a_set_goes_without_a_kind_that_need_not_be_served(pools: Any, get: Any, namespace: str) -> None:
    absent = custom("Gadget", "nobody.example", "a")
    here = [config_map("a", x="1")]
    assert pools([*here, absent], if_served=["nobody.example/v1/Gadget"])["changed"]
    assert [each["metadata"]["name"] for each in get("configmaps", "-n", namespace)["items"]] == ["a"]
    assert not pools([*here, absent], if_served=["nobody.example/v1/Gadget"])["changed"]
    assert not pools(here, if_served=["v1/ConfigMap"])["changed"]  # one that is served is applied


def test_the_twelve_steps(pools: Any, get: Any, namespace: str) -> None:
    before = [config_map("a", x="1")]
    after = [config_map("a", x="2")]
    assert pools(before, check=True)["changed"]
    assert get("configmaps", "-n", namespace)["items"] == []
    assert pools(before)["changed"]
    assert not pools(before, check=True)["changed"]
    version = get("configmap", "a", "-n", namespace)["metadata"]["resourceVersion"]
    assert not pools(before)["changed"]
    assert get("configmap", "a", "-n", namespace)["metadata"]["resourceVersion"] == version
    assert pools(after, check=True)["changed"]
    assert get("configmap", "a", "-n", namespace)["data"] == {"x": "1"}
    assert pools(after)["drift"] == [
        {"what": f"ConfigMap/{namespace}/a", "where": "data.x", "expected": "2", "found": "1"}
    ]
    assert get("configmap", "a", "-n", namespace)["data"] == {"x": "2"}
    assert not pools(after)["changed"]
    assert pools(after, state="absent", check=True)["changed"]
    assert get("configmap", "a", "-n", namespace)["data"] == {"x": "2"}
    assert pools(after, state="absent")["changed"]
    assert not pools(after, state="absent")["changed"]
    assert not pools(after, state="absent", check=True)["changed"]


def test_what_is_no_longer_declared_is_removed_and_what_others_made_stays(
    pools: Any, get: Any, api_server: ApiServer, namespace: str
) -> None:
    api_server.kubectl("create", "configmap", "theirs", "-n", namespace)
    pools([config_map("a"), config_map("b")])
    result = pools([config_map("a")])
    assert actions(result) == {"a": "keep", "b": "remove"}
    assert {
        "what": f"ConfigMap/{namespace}/b",
        "where": "the object",
        "expected": "absent",
        "found": "present",
    } in (result["drift"])
    names = [each["metadata"]["name"] for each in get("configmaps", "-n", namespace)["items"]]
    assert sorted(names) == ["a", "theirs"]


def test_an_object_that_was_there_before_is_managed_but_never_removed(
    pools: Any, get: Any, api_server: ApiServer, namespace: str
) -> None:
    api_server.kubectl("create", "configmap", "old", "-n", namespace, "--from-literal=x=0")
    assert actions(pools([config_map("old", x="1")])) == {"old": "adopt"}
    assert LABEL not in get("configmap", "old", "-n", namespace)["metadata"].get("labels", {})
    pools([config_map("new")])
    assert get("configmap", "old", "-n", namespace)["data"] == {"x": "1"}


def test_nothing_is_removed_without_prune(pools: Any, get: Any, namespace: str) -> None:
    pools([config_map("a"), config_map("b")])
    assert not pools([config_map("a")], prune=False)["changed"]
    assert get("configmap", "b", "-n", namespace)


def test_a_declared_field_is_set_back_and_a_field_of_somebody_else_stays(
    pools: Any, get: Any, api_server: ApiServer, namespace: str
) -> None:
    pools([config_map("a", x="1")])
    api_server.kubectl(
        "patch", "configmap", "a", "-n", namespace, "-p", '{"data": {"x": "9", "theirs": "y"}}'
    )
    assert [each["where"] for each in pools([config_map("a", x="1")])["drift"]] == ["data.x"]
    assert get("configmap", "a", "-n", namespace)["data"] == {"x": "1", "theirs": "y"}


def test_one_refused_object_keeps_all_from_being_applied(pools: Any, get: Any, namespace: str) -> None:
    wrong = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 0}]},
    }
    result = pools([config_map("a"), wrong])
    assert result["failed"]
    assert [each.split(":")[0] for each in result["refusals"]] == [f"Service/{namespace}/s"]
    assert "spec.ports[0].port" in result["msg"]
    assert get("configmaps", "-n", namespace)["items"] == []


def test_a_misspelt_field_is_refused(pools: Any, namespace: str) -> None:
    wrong = config_map("a")
    wrong["dta"] = {"x": "1"}
    assert "dta" in pools([wrong])["msg"]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([{"kind": "ConfigMap", "metadata": {"name": "a"}}], "object 1 (ConfigMap/a): has no apiVersion"),
        ([{"apiVersion": "v1", "kind": "ConfigMap"}], "object 1 (ConfigMap/?): has no metadata.name"),
        ([config_map("a"), config_map("a")], "declared twice"),
        ([custom("Nothing", "apps", "a")], "Nothing/a: the API server does not serve Nothing of apps/v1"),
    ],
)
def test_what_is_no_object_is_refused_by_name(pools: Any, objects: list[Any], message: str) -> None:
    result = pools(objects)
    assert result["failed"]
    assert message in result["msg"]


def test_a_whole_new_world_is_tried_then_made_then_removed(
    call: Any, get: Any, api_server: ApiServer
) -> None:
    """Namespace, kind and object in one set, where none of them exists."""
    group = "world.example"
    objects = [
        custom("Thing", group, "one", number=1, words=["a"]),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "world"}},
        definition("Thing", group),
    ]
    arguments = {"name": "world", "namespace": "world", "objects": objects}
    tried = call("object_set", check=True, **arguments)
    assert actions(tried) == {"world": "create", "things.world.example": "create", "one": "create"}
    assert call("object_set", **arguments)["changed"]
    assert get("things", "one", "-n", "world")["spec"] == {"number": 1, "words": ["a"]}
    assert not call("object_set", **arguments)["changed"]
    # Definitions and namespaces are not pruned, they take too much along.
    assert not call("object_set", name="world", objects=[], prune_kinds=["v1/Namespace"])["changed"]
    kinds = ["world.example/v1/Thing", "v1/Namespace", "apiextensions.k8s.io/v1/CustomResourceDefinition"]
    # Without a controller-manager a namespace is never finished; only the other two can be waited for.
    removed = call("object_set", name="world", state="absent", prune_kinds=[kinds[0], kinds[2]])
    assert [each["action"] for each in removed["objects"]] == ["remove", "remove"]
    assert "things.world.example" not in api_server.kubectl("get", "crd", "-o", "name")


def test_an_invalid_object_of_a_new_kind_is_refused_before_its_like_is_applied(
    call: Any, api_server: ApiServer
) -> None:
    group = "late.example"
    objects = [
        definition("Late", group),
        custom("Late", group, "a", number=1),
        custom("Late", group, "b", number=99),
    ]
    result = call("object_set", name="late", namespace="default", objects=objects)
    assert "Late/default/b: spec.number: " in result["msg"]
    assert "less than 10" in result["msg"]
    assert api_server.kubectl("get", "lates", "-A", "-o", "name") == ""


def test_objects_of_a_kind_that_comes_later_can_be_tried(call: Any) -> None:
    """A first --check: the definitions would have been applied by the task before."""
    result = call(
        "object_set", check=True, name="x", namespace="nowhere", objects=[custom("Soon", "soon.example", "a")]
    )
    assert actions(result) == {"a": "create"}


def test_a_kind_of_ours_that_an_older_version_lacks_can_be_tried(
    modules: ModuleServer, bare: ApiServer
) -> None:
    """The group is served, this kind of it is not yet: a --check before an upgrade."""
    older = definition("Older", "metallb.io")
    older["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    older["spec"]["versions"][0]["name"] = "v1beta1"
    wanted = {"apiVersion": "metallb.io/v1beta1", "kind": "BFDProfile", "metadata": {"name": "a"}}
    given = {"kubeconfig": str(bare.kubeconfig), "namespace": "default"}
    modules("object_set", {**given, "name": "older", "objects": [older]})
    arguments = {**given, "name": "x", "objects": [wanted]}
    assert actions(modules("object_set", arguments, check=True)) == {"a": "create"}
    assert "does not serve BFDProfile" in modules("object_set", arguments)["msg"]


def test_secret_values_are_never_shown(pools: Any, namespace: str) -> None:
    def secret(value: str) -> dict[str, Any]:
        metadata = {"name": "s"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": value}}

    def shown(result: dict[str, Any]) -> str:
        return str({key: value for key, value in result.items() if key != "invocation"})

    assert "first-one" not in shown(pools([secret("first-one")]))
    second = pools([secret("second-one")])
    assert second["changed"]
    assert "Zmlyc3Q" not in shown(second)
    assert "second-one" not in shown(second)


def test_a_second_call_changes_nothing_in_a_larger_set(call_alone: Any, namespace: str) -> None:
    objects = [config_map(f"a{number}", x="1") for number in range(20)]
    given = {"name": namespace, "namespace": namespace, "objects": objects}
    assert call_alone("object_set", **given)["changed"]
    assert not call_alone("object_set", **given)["changed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kubeconfig": "/nowhere/kubeconfig"}, "kubeconfig /nowhere/kubeconfig: there is no such file"),
        ({"kubeconfig": "/etc/passwd"}, "kubeconfig /etc/passwd: is not a kubeconfig"),
        ({"context": "other"}, "has no context 'other'; vipcast_context names it"),
    ],
)
def test_a_broken_kubeconfig_is_told_in_one_line(call: Any, arguments: dict[str, str], message: str) -> None:
    result = call("object_set", name="x", objects=[config_map("a")], namespace="default", **arguments)
    assert result["failed"]
    assert message in result["msg"]


def test_an_api_server_that_is_not_there_is_told_in_one_line(
    call: Any, api_server: ApiServer, tmp_path: Any
) -> None:
    broken = tmp_path / "kubeconfig"
    broken.write_text(api_server.kubeconfig.read_text().replace(str(api_server.port), "1"))
    result = call(
        "object_set", name="x", objects=[config_map("a")], namespace="default", kubeconfig=str(broken)
    )
    assert (
        result["msg"] == "cannot reach the API server at https://127.0.0.1:1: [Errno 111] Connection refused"
    )
