# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the API server and our credentials: from inside a pod, or from a kubeconfig file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vipcast.k8s.credentials import Access, CredentialFile, Tls, Token
from vipcast.k8s.errors import AccessError
from vipcast.k8s.kubeconfig import read_kubeconfig

__all__ = ["find_access", "in_cluster"]

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def in_cluster(environment: Mapping[str, str] | None = None, folder: Path = _SERVICE_ACCOUNT) -> Access:
    """Access as the pod's service account. Raises AccessError outside of a pod."""
    environment = os.environ if environment is None else environment
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise AccessError("not in a pod (KUBERNETES_SERVICE_HOST is not set): name a file with --kubeconfig")
    token = Token(CredentialFile(folder / "token"))
    token()  # a pod without a mounted token should hear of it now, not in the first request
    address = f"[{host}]" if ":" in host else host
    tls = Tls(authority=CredentialFile(folder / "ca.crt"))
    return Access(f"https://{address}:{port}", tls, token, _namespace(folder / "namespace"))


def _namespace(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def find_access(kubeconfig: str | None = None, context: str | None = None) -> Access:
    """Return access by the named kubeconfig, else by $KUBECONFIG, as the pod, or by ``~/.kube/config``."""
    listed = [Path(each).expanduser() for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    if kubeconfig is None and not listed and "KUBERNETES_SERVICE_HOST" in os.environ:
        return in_cluster()
    if kubeconfig is None and listed:
        return read_kubeconfig(listed, context)
    return read_kubeconfig(Path(kubeconfig or "~/.kube/config").expanduser(), context)
