"""A load balancer for Kubernetes on bare metal.

It has two verbs: *choose* an address for a service (the controller) and *announce* it (the speaker).
Reading order: ``model`` (what a configuration says), ``ipam`` (which address), ``bgp`` (the protocol,
without I/O), ``k8s`` and ``net`` (the world outside), ``controller`` and ``speaker`` (decide, then run).
"""

__version__ = "0.1.0"
