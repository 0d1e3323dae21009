# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags of a speaker for layer 2, each with a default from the environment."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from typing import Any

from vipcast.daemon.options import EXCLUDED_INTERFACES
from vipcast.layer2.api import Settings

__all__ = ["add_layer2", "layer2_options"]

_PROFILES = ("default", "fast", "calm")
_REBALANCE = ("gentle", "sticky", "preempt")
_TRUE = ("1", "true", "yes")
_NOTHING = Settings()


def add_layer2(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    group = parser.add_argument_group("layer 2", "what `vipcast layer2` on the same node is told")
    profiles = f"how soon a silent node is dead: {', '.join(_PROFILES)}"
    _add(group, "profile", _NOTHING.profile, profiles, kind=_profile, metavar="NAME")
    _add(group, "port", str(_NOTHING.port), "UDP port of the nodes' heartbeats", kind=_port, metavar="PORT")
    again = "announce addresses again so often; 0: never"
    _add(group, "refresh", f"{_NOTHING.refresh:g}", again, kind=_seconds, metavar="SECONDS")
    even = f"what happens while some have more than others: {', '.join(_REBALANCE)}"
    _add(group, "rebalance", _NOTHING.rebalance, even, kind=_rebalance, metavar="MODE")
    rate = "frames a second that are sent unasked"
    _add(group, "announce-rate", str(_NOTHING.announce_rate), rate, kind=_rate, metavar="FRAMES")
    where = "regular expressions with commas between, for the beginning of a name: nothing is answered there"
    listed = ",".join(EXCLUDED_INTERFACES)
    _add(group, "exclude-interfaces", listed, where, kind=_expressions, metavar="LIST")
    also = "likewise: answered there, be it an overlay, a bridge of pods, or part of a VRF"
    _add(group, "allow-interfaces", "", also, kind=_expressions, metavar="LIST")
    _add(group, "key-dir", None, "a file for each key of the heartbeats; `key` signs", metavar="FOLDER")
    which = "of the nodes that run it: a=b,c=d (default: all)"
    _add(group, "node-selector", "", which, kind=_labels, metavar="LABELS")
    _switch(group, "preempt", "a node that returns takes its addresses back, as with MetalLB")
    _switch(
        group, "detect-duplicates", "look whether somebody else has an address before it is first claimed"
    )


def layer2_options(given: argparse.Namespace) -> dict[str, Any]:
    """Fields of `Options`; none for a program without these flags."""
    if not hasattr(given, "layer2_profile"):
        return {}
    settings = Settings(
        profile=given.layer2_profile,
        port=given.layer2_port,
        preempt=given.layer2_preempt,
        rebalance=given.layer2_rebalance,
        announce_rate=given.layer2_announce_rate,
        refresh=given.layer2_refresh,
        detect_duplicates=given.layer2_detect_duplicates,
        excluded_interfaces=given.layer2_exclude_interfaces,
        allowed_interfaces=given.layer2_allow_interfaces,
    )
    return {
        "layer2": settings,
        "layer2_key_dir": given.layer2_key_dir,
        "layer2_node_selector": given.layer2_node_selector,
    }


def _add(
    group: argparse._ArgumentGroup,
    name: str,
    default: str | None,
    text: str,
    *,
    kind: Callable[[str], Any] = str,
    metavar: str,
) -> None:
    """A value; where it is not given, the environment's: --layer2-port from VIPCAST_LAYER2_PORT."""
    variable = _variable(name)
    hint = f" (default: {default})" if default and "default" not in text else ""
    group.add_argument(
        f"--layer2-{name}",
        metavar=metavar,
        type=kind,
        default=os.environ.get(variable) or default,
        help=f"{text}{hint} [{variable}]",
    )


def _switch(group: argparse._ArgumentGroup, name: str, text: str) -> None:
    variable = _variable(name)
    default = os.environ.get(variable, "").lower() in _TRUE
    group.add_argument(f"--layer2-{name}", action="store_true", default=default, help=f"{text} [{variable}]")


def _variable(name: str) -> str:
    return "VIPCAST_LAYER2_" + name.replace("-", "_").upper()


def _profile(text: str) -> str:
    if text not in _PROFILES:
        raise argparse.ArgumentTypeError(f"{text!r} is no profile: {', '.join(_PROFILES)}")
    return text


def _rebalance(text: str) -> str:
    if text not in _REBALANCE:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(_REBALANCE)}")
    return text


def _rate(text: str) -> int:
    if text.isdecimal() and 2 <= int(text) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of frames a second: from 2 to 1000000")


def _port(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 0xFFFF:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: from 1 to 65535")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 86400")
    return seconds


def _expressions(text: str) -> tuple[str, ...]:
    found = tuple(each.strip() for each in text.split(",") if each.strip())
    for each in found:
        try:
            re.compile(each)
        except re.error as error:
            raise argparse.ArgumentTypeError(f"{each!r} is no regular expression: {error}") from error
    return found


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [each.partition("=") for each in text.split(",") if each.strip()]
    if any(not name or not sign for name, sign, _value in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} are no labels: a=b,c=d")
    return tuple((name.strip(), value.strip()) for name, _sign, value in pairs)
