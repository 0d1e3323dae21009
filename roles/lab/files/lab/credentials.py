# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials of a new lab: every key that its hosts and its user need, made once."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from ipaddress import IPv4Address

import pki
from topology import Host, Lab

PORT = 6443
KUBERNETES_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
PKI = "etc/kubernetes/pki"


@dataclass(frozen=True)
class Credentials:
    """`user` is the key to log in with, `hosts` each host's own ssh key, `files` a host's secrets by path."""

    user: pki.Pair
    hosts: dict[str, pki.Pair]
    files: dict[str, dict[str, str]]
    kubeconfig: str


def kubeconfig(lab: Lab, server: IPv4Address, authority: str, client: pki.Pair, name: str) -> str:
    """A kubeconfig with everything inside it. JSON is YAML, and kubectl reads it as such."""

    def inline(pem: str) -> str:
        return base64.b64encode(pem.encode()).decode()

    cluster = {"server": f"https://{server}:{PORT}", "certificate-authority-data": inline(authority)}
    user = {"client-certificate-data": inline(client.certificate), "client-key-data": inline(client.key)}
    context = {"cluster": lab.name, "user": name}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": lab.name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": f"{name}@{lab.name}", "context": context}],
        "current-context": f"{name}@{lab.name}",
    }
    return json.dumps(content, indent=2) + "\n"


def make(lab: Lab) -> Credentials:
    """All keys of a new lab."""
    authority = pki.Authority("kubernetes")
    files = {
        host.name: _node_files(lab, host, authority) if host.kind == "node" else {} for host in lab.hosts
    }
    files[lab.control_plane.name] |= _control_plane_files(lab, authority)
    # kubeadm's super-admin: the group that RBAC knows before any role exists.
    admin = authority.issue("admin", "system:masters")
    reached_at = lab.control_plane.management.address.ip
    return Credentials(
        user=pki.ssh_keys(lab.name),
        hosts={host.name: pki.ssh_keys(host.name) for host in lab.hosts},
        files=files,
        kubeconfig=kubeconfig(lab, reached_at, authority.pair.certificate, admin, "admin"),
    )


def _pair(path: str, pair: pki.Pair) -> dict[str, str]:
    return {f"{path}.crt": pair.certificate, f"{path}.key": pair.key}


def _node_files(lab: Lab, host: Host, authority: pki.Authority) -> dict[str, str]:
    user = f"system:node:{host.name}"
    client = authority.issue(user, "system:nodes")
    server = authority.issue(host.name, names=(host.name,), addresses=(host.address,))
    api = lab.control_plane.address
    return {
        f"{PKI}/ca.crt": authority.pair.certificate,
        "etc/kubernetes/kubelet.conf": kubeconfig(lab, api, authority.pair.certificate, client, user),
        **_pair("var/lib/lab/kubelet", server),
    }


def _control_plane_files(lab: Lab, authority: pki.Authority) -> dict[str, str]:
    host = lab.control_plane
    local = (
        IPv4Address("127.0.0.1"),
        host.address,
        host.management.address.ip,
        lab.kubernetes.services[0][1],
    )
    etcd, front = pki.Authority("etcd-ca"), pki.Authority("front-proxy-ca")
    names = (host.name, "localhost", *KUBERNETES_NAMES)
    files = {
        **_pair(f"{PKI}/ca", authority.pair),
        f"{PKI}/front-proxy-ca.crt": front.pair.certificate,
        f"{PKI}/etcd/ca.crt": etcd.pair.certificate,
        **_pair(
            f"{PKI}/etcd/server", etcd.issue(host.name, names=(host.name, "localhost"), addresses=local[:2])
        ),
        **_pair(f"{PKI}/apiserver-etcd-client", etcd.issue("kube-apiserver-etcd-client")),
        **_pair(f"{PKI}/front-proxy-client", front.issue("front-proxy-client")),
        **_pair(f"{PKI}/apiserver", authority.issue("kube-apiserver", names=names, addresses=local)),
        **_pair(
            f"{PKI}/apiserver-kubelet-client",
            authority.issue("kube-apiserver-kubelet-client", "system:masters"),
        ),
    }
    tokens = pki.token_keys()
    files |= {f"{PKI}/sa.pub": tokens.certificate, f"{PKI}/sa.key": tokens.key}
    for program, user in (
        ("controller-manager", "system:kube-controller-manager"),
        ("scheduler", "system:kube-scheduler"),
    ):
        client = authority.issue(user)
        files[f"etc/kubernetes/{program}.conf"] = kubeconfig(
            lab, host.address, authority.pair.certificate, client, user
        )
    return files
