# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bgp_router
short_description: Configure the BGP neighbors and filters of an FRR or quagga router for a cluster
version_added: '0.1.0'
description:
  - Gives a router static BGP neighbors, a filter in each direction and a limit for equal-cost paths, and
    nothing else.
  - The router runs FRR or quagga. What quagga does not have is left out, with a warning that says what is
    done instead; C(docs/router-quagga.md) of the collection has the table.
  - Reads the running configuration, works out the commands that lead from it to the declared state, lets
    C(vtysh -C)
    check the whole result, enters the commands, reads the configuration back and saves it.
  - Enters only what differs, so that a change to one neighbor does not reset the session of another. FRR is
    never restarted.
  - What a router accepts are routes inside O(prefixes) of the declared lengths; it announces nothing. With
    that policy
    FRR's C(bgp ebgp-requires-policy) can stay on.
  - A neighbor is managed when it is declared, or when it uses a route map of ours (see O(name)) and is in the
    AS of a declared one. One of the latter that is not declared any more is removed. Everything else on the
    router is reported in RV(foreign) and left alone.
  - What belongs to the whole instance stays as it is. A limit for paths is raised where it is too low, and
    never lowered. What would end sessions of others is refused unless O(reset_sessions) allows it.
  - The router takes a change back by itself where it is not confirmed within O(confirm_timeout) seconds.
  - Needs a POSIX shell on the router, and no Python.
author:
  - The vipcast founders (@vipcast)
options:
  asn:
    description: AS number of the router.
    type: int
    required: true
  router_id:
    description:
      - BGP identifier of the router.
      - Without it the identifier stays as it is. FRR resets every session when it changes.
    type: str
  default_router_id:
    description: BGP identifier where the router has no instance of BGP yet, and O(router_id) is not given.
    type: str
  name:
    description:
      - What the names of our filters begin with; the route maps are V(NAME-IN) and V(NAME-OUT), the prefix
        lists V(NAME-POOLS).
      - Give each cluster a name of its own where several share a router. A name that only neighbors use which
        are not declared is refused, because it is most likely another cluster's.
    type: str
    default: VIPCAST
  take_over:
    description: Whether the name is ours although none of the neighbors that use it is declared.
    type: bool
    default: false
  default_instance:
    description:
      - Whether to make an instance for the default VRF on a router that has BGP in other VRFs, or in views,
        only. Without it that is refused.
      - Neighbors in a VRF cannot be managed.
    type: bool
    default: false
  covered_neighbors:
    description:
      - What becomes of declared neighbors that a peer group of the router, or a C(bgp listen range), covers.
      - V(adopt) makes no neighbors of them. What the group lacks of filters, families, timers, BFD, password
        and hops is put on the group; what it has stays, and is refused where the sessions could not be.
      - V(replace) removes the listen ranges, which ends their sessions, and takes the neighbors out of
        groups.
    type: str
    default: adopt
    choices: [adopt, replace]
  neighbors:
    description: The neighbors, all of them.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: IP address of the neighbor.
        type: str
        required: true
      remote_as:
        description: AS number of the neighbor. The router's own makes it iBGP.
        type: int
        required: true
      description:
        description: A line for people. The default is the address with dashes, for example V(10-31-8-1).
        type: str
      password:
        description:
          - TCP MD5 password of the session (RFC 2385).
          - FRR stores it in clear text. It is masked in everything that the module returns.
        type: str
      ebgp_multihop:
        description: How many hops away an eBGP neighbor may be, where it is not on a connected network.
        type: int
      update_source:
        description: Address or interface that the router's end of the session uses.
        type: str
      families:
        description: Address families of the routes on the session. The default is the one of the neighbor's
          address.
        type: list
        elements: str
        choices: [ipv4, ipv6]
      ttl_security_hops:
        description:
          - How many hops away the neighbor is at most; packets from farther away are refused (GTSM,
            RFC 5082).
          - The neighbor has to send with a TTL of 255.
        type: int
      passive:
        description: Whether the router waits for the neighbor to connect instead of connecting itself.
        type: bool
        default: false
      bfd_profile:
        description: Name in O(bfd_profiles). With it BFD (RFC 5880) ends the session of a neighbor that is
          gone.
        type: str
      graceful_restart:
        description:
          - Whether to keep the routes of the neighbor while it restarts (RFC 4724), whatever else is
            configured on the router.
          - FRR does so by default. A running session takes it up when it is made anew.
          - C(bfd check-control-plane-failure) is removed. It is for neighbors whose BFD ends with their BGP,
            and FRR before 10.1 keeps the routes of dead neighbors with it.
        type: bool
        default: false
  bfd_profiles:
    description:
      - BFD profiles on the router, called V(NAME-) and the name given here. One of ours that is not declared
        any more is removed.
      - FRR's daemon C(bfdd) has to run; see O(vipcast.baremetal.frr_daemon#module:daemons).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The profile's name.
        type: str
        required: true
      receive_interval:
        description: Milliseconds between two packets of the neighbor that the router can take. FRR's default
          is 300.
        type: int
      transmit_interval:
        description: Milliseconds between two packets of the router. FRR's default is 300.
        type: int
      detect_multiplier:
        description: So many packets are missed before the other end is gone. FRR's default is 3.
        type: int
      echo_mode:
        description: Whether the router sends echo packets, which the neighbor's kernel returns.
        type: bool
        default: false
      echo_interval:
        description: Milliseconds between two echo packets in each direction. FRR's default is 50.
        type: int
      minimum_ttl:
        description: The least TTL of packets from a neighbor several hops away. FRR's default is 254.
        type: int
  listen_ranges:
    description:
      - Ranges in which O(neighbors) are let in without a static neighbor for each (C(bgp listen range)), by a
        peer group V(NAME-NODES) of ours. Nodes then come and go without a change to the router.
      - The router then waits for its neighbors to connect, also after a restart of its own.
      - Anything in these ranges that knows AS number and password gets a session. What it may announce is
        O(prefixes).
    type: list
    elements: str
    default: []
  prefixes:
    description: What is accepted from the neighbors. An empty list accepts nothing.
    type: list
    elements: dict
    default: []
    suboptions:
      prefix:
        description: The range, for example V(10.9.0.0/16).
        type: str
        required: true
      min_length:
        description: Length of the shortest route accepted inside the range. The default is a host route, 32
          or 128.
        type: int
      max_length:
        description: Length of the longest route accepted inside the range. The default is a host route, 32
          or 128.
        type: int
  maximum_paths:
    description:
      - How many next hops a route must be able to have. A smaller limit of the router's is raised; a larger
        one, or none, which is FRR's largest, stays.
      - The upper bound was fixed when the router's software was built and is returned as
        RV(maximum_paths_limit).
        Where more are declared the module warns.
    type: int
  maximum_prefix:
    description: How many prefixes a neighbor may announce; FRR ends the session of one that exceeds it.
    type: int
  multipath_relax:
    description:
      - Whether paths through different AS numbers count as equal.
      - The default is V(true) as soon as the eBGP neighbors have different AS numbers, and to leave it
        alone otherwise.
    type: bool
  timers:
    description: Timers of our neighbors, in seconds. Running sessions keep the hold time that they
      negotiated.
    type: dict
    suboptions:
      hold:
        description: Hold time; comes together with O(timers.keepalive).
        type: int
      keepalive:
        description: Time between keepalives, at most a third of O(timers.hold).
        type: int
      connect:
        description: Time between attempts to connect. FRR's own default, 120, makes a restarted node wait
          that long.
        type: int
  local_terminals:
    description:
      - Whether to let the daemons' terminals (TCP 2601, 2605 and so on) be opened from the router itself
        only, by an access
        list V(NAME-VTY) in C(line vty), and to remove the password V(zebra) that some packages ship.
      - An access list that is already set there stays. vtysh does not go through these terminals and is not
        affected.
    type: bool
    default: false
  replace_as:
    description:
      - Whether to replace a C(router bgp) that has another AS number. That ends all of its sessions,
        foreign ones too,
        and removes what was configured in it. Foreign ones end only with O(reset_sessions).
    type: bool
    default: false
  reset_sessions:
    description: Whether a change may end sessions that are not ours. Without it such a change is refused.
    type: bool
    default: false
  confirm_timeout:
    description:
      - The router takes a change back by itself after so many seconds, unless the module confirms it before.
        It does so once it has read the changed configuration.
      - V(0) means never.
    type: int
    default: 60
  save:
    description: Whether to save the running configuration, and to do so too when only the saved one differs.
    type: bool
    default: true
  state:
    description:
      - V(absent) removes our neighbors and filters, and C(router bgp) itself if nothing else is left in it.
    type: str
    default: present
    choices: [present, absent]
  vtysh_command:
    description:
      - How to call vtysh on the router, for example V(vtysh -N blue) or a path.
      - Where FRR runs in a container, for example V(docker exec -i frr vtysh). Standard input has to get
        there.
    type: str
    default: vtysh
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.action
  - vipcast.baremetal.attributes.actiongroup_router
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the managed lines in a normal form, passwords masked.
  idempotent:
    support: full
  platform:
    platforms: posix
    support: full
    details: FRR 7.4 and later, quagga 1.2 and later.
notes:
  - Saving means C(write memory), which saves foreign changes that were never saved as well.
  - The connecting user must be able to run vtysh and to read FRR's configuration, so it is root or uses
    C(become).
  - A connection that passes no standard input on is refused where a password would be sent.
  - The running configuration from before the first change is kept on the router, readable by root, as
    C(/etc/vipcast-before/running.conf).
seealso:
  - module: vipcast.baremetal.bgp_router_info
"""

EXAMPLES = r"""
- name: Let three nodes announce the addresses of a pool
  vipcast.baremetal.bgp_router:
    asn: 64512
    router_id: 10.31.254.251
    neighbors:
      - address: 10.31.8.1
        remote_as: 64513
      - address: 10.31.8.11
        remote_as: 64513
      - address: 10.31.8.12
        remote_as: 64513
    prefixes:
      - prefix: 10.9.0.0/16
    maximum_paths: 3
    maximum_prefix: 1000
    timers:
      hold: 9
      keepalive: 3
      connect: 5

- name: Notice a dead node within a third of a second, and forgive a speaker that restarts
  vipcast.baremetal.bgp_router:
    asn: 64512
    neighbors:
      - address: 10.31.8.1
        remote_as: 64513
        bfd_profile: fast
        graceful_restart: true
    bfd_profiles:
      - name: fast
        receive_interval: 100
        transmit_interval: 100
    prefixes:
      - prefix: 10.9.0.0/16

- name: What the declaration of this router says
  vipcast.baremetal.bgp_router: "{{ hostvars | vipcast.baremetal.declaration(groups)
    | vipcast.baremetal.router_intent(inventory_hostname) }}"

- name: Leave nothing of ours on the router
  vipcast.baremetal.bgp_router:
    asn: 64512
    state: absent
"""

RETURN = r"""
commands:
  description: The configuration lines that were entered, or would be in check mode; passwords masked.
  type: list
  elements: str
  returned: success
  sample: ["router bgp 64512", " neighbor 10.31.8.1 remote-as 64513", "exit"]
drift:
  description: One entry for each difference between what was declared and what was found.
  type: list
  elements: dict
  returned: success
  sample:
    - what: neighbor 10.31.8.1
      where: router bgp 64512
      expected: remote-as 64513
      found: missing
  contains:
    what:
      description: The thing that differs.
      type: str
    where:
      description: The place it was found in.
      type: str
    expected:
      description: What was declared.
      type: str
    found:
      description: What is there.
      type: str
foreign:
  description: What is configured on the router and not managed here, by name; it is never changed.
  type: dict
  returned: success
  contains:
    neighbors:
      description: Neighbors and peer groups.
      type: list
      elements: str
    route_maps:
      description: Route maps.
      type: list
      elements: str
    prefix_lists:
      description: Prefix lists.
      type: list
      elements: str
    neighbor_lines:
      description: Lines about our neighbors that are not among those managed.
      type: list
      elements: str
    bgp_lines:
      description: Other lines inside of C(router bgp), and other instances.
      type: list
      elements: str
backup:
  description: Where the configuration from before the first change is on the router.
  type: str
  returned: when something was entered
  sample: /etc/vipcast-before/running.conf
in_use:
  description: Whether the router has an instance of BGP afterwards; with V(absent) it is then other people's.
  type: bool
  returned: success
maximum_paths_limit:
  description: The largest O(maximum_paths) that this build has.
  type: int
  returned: success
  sample: 256
reason:
  description: The name of the reason why nothing was done.
  type: str
  returned: failure
  sample: other_as
saved:
  description: Whether the running configuration was saved.
  type: bool
  returned: success
software:
  description: V(FRR) or V(quagga).
  type: str
  returned: success
  sample: FRR
version:
  description: Version of the router's FRR or quagga.
  type: str
  returned: success
  sample: 8.4.4
"""
