# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that asks an API server has in common: two options, one login, one way to fail."""

from __future__ import annotations

import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .api import Api, ClusterError, RefusedError, connect

# Pairs with the documentation fragment `cluster`.
CLUSTER_SPEC: dict[str, t.Any] = {"kubeconfig": {"type": "path"}, "context": {"type": "str"}}


def run(module: AnsibleModule, work: t.Callable[[AnsibleModule, Api], dict[str, t.Any]]) -> None:
    """Log in, work, and leave the module with the result or with a message for people."""
    try:
        result = work(module, connect(module.params["kubeconfig"], module.params["context"]))
    except ImportError:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=traceback.format_exc())
    except RefusedError as exc:
        module.fail_json(msg=f"the API server refuses: {exc.explain()}", reason=exc.reason)
    except ClusterError as exc:
        module.fail_json(msg=str(exc), **getattr(exc, "details", {}))
    module.exit_json(**result)


__all__ = ["CLUSTER_SPEC", "run"]
