# SPDX-License-Identifier: GPL-3.0-or-later
"""The common part of modules that ask an API server: two options, one login, one way to fail."""

from __future__ import annotations

import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .api import Api, ClusterError, RefusedError, connect

# Pairs with the documentation fragment `cluster`.
CLUSTER_SPEC: dict[str, t.Any] = {"kubeconfig": {"type": "path"}, "context": {"type": "str"}}


class Call(t.Protocol):
    """The part of AnsibleModule that the work of a module may use."""

    params: dict[str, t.Any]
    check_mode: bool
    # Texts that the result must not show.
    no_log_values: set[str]

    def warn(self, text: str) -> None:
        """Note a warning for the result."""


Work = t.Callable[[t.Any, Api], t.Dict[str, t.Any]]


def outcome(call: Call, work: Work) -> dict[str, t.Any]:
    """Log in, work, and return the result, or why there is none."""
    try:
        return work(call, connect(call.params["kubeconfig"], call.params["context"]))
    except ImportError:
        return failure(missing_required_lib("kubernetes"), exception=traceback.format_exc())
    except RefusedError as exc:
        return failure(f"the API server refuses: {exc.explain()}", reason=exc.reason)
    except ClusterError as exc:
        return failure(str(exc), **getattr(exc, "details", {}))


def failure(message: str, **more: t.Any) -> dict[str, t.Any]:
    """Return the result of a call that failed."""
    return {"failed": True, "msg": message, **more}


def run(module: AnsibleModule, work: Work) -> None:
    """Leave the module with what came of its work."""
    result = outcome(module, work)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


__all__ = ["CLUSTER_SPEC", "Call", "Work", "outcome", "run"]
