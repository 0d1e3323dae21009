# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a kube-proxy."""

from __future__ import annotations

CONFIGURATION = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  acceptContentTypes: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
# Kept by hand: see the ticket.
clusterCIDR: 10.8.64.0/18
conntrack:
  maxPerCore: null
ipvs:
  excludeCIDRs: null
  scheduler: ""
  strictARP: false  # MetalLB wants true
kind: KubeProxyConfiguration
mode: "ipvs"
nodePortAddresses: null
"""


LABELS = {"k8s-app": "kube-proxy"}
