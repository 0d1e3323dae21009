"""A load balancer for Kubernetes on bare metal.

It has two verbs: *choose* an address for a service (the controller) and *announce* it (the speaker).
Reading order, from what everything rests on to the programs:

- ``versions``, ``jsontext``, ``yamltext``: small helpers.
- ``model`` (the configuration) and ``ipam`` (which address): shared with the collection's modules.
- ``bgp``, ``bfd``, ``layer2``, ``election``, ``membership``: the protocols, without clock, socket or log.
- ``net`` (sockets, netlink, IPC) and ``k8s`` (the API server): the outside.
- ``daemon``: the shell of controller and speaker. ``agent``: the runtime of the two agents.
- ``controller``, ``speaker``, ``bfd_agent``, ``layer2_agent``: the programs; ``cli``: their command line.
"""

__version__ = "0.1.0"
