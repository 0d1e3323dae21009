# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the router modules, for the action plugins that check them."""

from __future__ import annotations

NEIGHBOR = {
    "address": {"type": "str", "required": True},
    "remote_as": {"type": "int", "required": True},
    "description": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ebgp_multihop": {"type": "int"},
    "update_source": {"type": "str"},
    "families": {"type": "list", "elements": "str", "choices": ["ipv4", "ipv6"]},
    "ttl_security_hops": {"type": "int"},
    "passive": {"type": "bool", "default": False},
    "bfd_profile": {"type": "str"},
    "graceful_restart": {"type": "bool", "default": False},
}
BFD_PROFILE = {
    "name": {"type": "str", "required": True},
    "receive_interval": {"type": "int"},
    "transmit_interval": {"type": "int"},
    "detect_multiplier": {"type": "int"},
    "echo_mode": {"type": "bool", "default": False},
    "echo_interval": {"type": "int"},
    "minimum_ttl": {"type": "int"},
}
PREFIX = {
    "prefix": {"type": "str", "required": True},
    "min_length": {"type": "int"},
    "max_length": {"type": "int"},
}
TIMERS = {"hold": {"type": "int"}, "keepalive": {"type": "int"}, "connect": {"type": "int"}}

BGP_ROUTER: dict = {
    "asn": {"type": "int", "required": True},
    "router_id": {"type": "str"},
    "default_router_id": {"type": "str"},
    "name": {"type": "str", "default": "VIPCAST"},
    "neighbors": {"type": "list", "elements": "dict", "default": [], "options": NEIGHBOR},
    "prefixes": {"type": "list", "elements": "dict", "default": [], "options": PREFIX},
    "maximum_paths": {"type": "int"},
    "maximum_prefix": {"type": "int"},
    "multipath_relax": {"type": "bool"},
    "bfd_profiles": {"type": "list", "elements": "dict", "default": [], "options": BFD_PROFILE},
    "timers": {"type": "dict", "options": TIMERS},
    "local_terminals": {"type": "bool", "default": False},
    "covered_neighbors": {"type": "str", "default": "adopt", "choices": ["adopt", "replace"]},
    "listen_ranges": {"type": "list", "elements": "str", "default": []},
    "replace_as": {"type": "bool", "default": False},
    "reset_sessions": {"type": "bool", "default": False},
    "take_over": {"type": "bool", "default": False},
    "default_instance": {"type": "bool", "default": False},
    "save": {"type": "bool", "default": True},
    "confirm_timeout": {"type": "int", "default": 60},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "vtysh_command": {"type": "str", "default": "vtysh"},
}

BGP_ROUTER_INFO: dict = {
    "prefixes": {"type": "list", "elements": "str"},
    "neighbors": {"type": "list", "elements": "str"},
    "vtysh_command": {"type": "str", "default": "vtysh"},
}

FRR_DAEMON: dict = {
    "daemons": {"type": "list", "elements": "str", "default": ["bgpd"]},
    "install": {"type": "bool", "default": True},
    "packages": {"type": "list", "elements": "str"},
    "ip_full": {"type": "bool", "default": True},
    "daemons_file": {"type": "str", "default": "/etc/frr/daemons"},
    "service": {
        "type": "str",
        "default": "auto",
        "choices": ["auto", "systemd", "openwrt", "openrc", "script"],
    },
    "local_terminals": {"type": "bool", "default": True},
    "own_neighbors": {"type": "list", "elements": "str", "default": []},
    "reset_sessions": {"type": "bool", "default": False},
    "vtysh_command": {"type": "str", "default": "vtysh"},
    "timeout": {"type": "int", "default": 30},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
}

ROUTER_FIREWALL: dict = {
    "name": {"type": "str", "default": "VIPCAST"},
    "services": {"type": "list", "elements": "str", "default": ["bgp"], "choices": ["bgp", "bfd"]},
    "neighbors": {"type": "list", "elements": "str", "default": []},
    "zones": {"type": "list", "elements": "str"},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
}

ROUTER_SYSCTL: dict = {
    "values": {"type": "dict"},
    "path": {"type": "str"},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
}
