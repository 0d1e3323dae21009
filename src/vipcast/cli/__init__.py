# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `vipcast controller`, `speaker`, `bfd`, `layer2`, `status`, `check`, `convert`, `plan`.

Each command imports what it needs when it runs: a speaker's memory is paid for on every node.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from vipcast import __version__
from vipcast.cli.layer2_flags import add_layer2, layer2_options
from vipcast.daemon.options import DATA_PLANE_AUTO, DATA_PLANE_NONE, Options
from vipcast.model.defaults import BFD_HEALTH_PORT, HEALTH_PORT, LAYER2_HEALTH_PORT, NAMESPACE

__all__ = ["main"]

_LEVELS = ("debug", "info", "warning", "error")
_TRUE = ("1", "true", "yes")
_Flags = argparse.ArgumentParser | argparse._ArgumentGroup


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may have letters that the terminal has not
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(options.run(options))
    except BrokenPipeError:  # `vipcast status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vipcast", description="A load balancer for Kubernetes on bare metal."
    )
    parser.add_argument("--version", action="version", version=f"vipcast {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_controller(
        commands.add_parser("controller", help="choose addresses for services; of several, one leads")
    )
    _add_speaker(commands.add_parser("speaker", help="announce addresses; one per node"))
    _add_bfd(commands.add_parser("bfd", help="notice routers that are gone, and be noticed; one per node"))
    _add_layer2(commands.add_parser("layer2", help="answer for addresses on the segment; one per node"))
    _add_status(commands.add_parser("status", help="what the daemon on this machine does, and why not more"))
    _add_check(commands.add_parser("check", help="judge files with objects of the configuration"))
    _add_convert(commands.add_parser("convert", help="print MetalLB's old ConfigMap as objects"))
    _add_plan(commands.add_parser("plan", help="which address each service would get, and why"))
    return parser


def _add_controller(parser: argparse.ArgumentParser) -> None:
    # Probes reach a controller at its pod's address, a speaker in its node's loopback.
    _add_daemon(parser, health=f":{HEALTH_PORT}")
    parser.add_argument(
        "--release-node-ports",
        action="store_true",
        default=os.environ.get("VIPCAST_RELEASE_NODE_PORTS", "").lower() in _TRUE,
        help="remove node ports that are left on services with allocateLoadBalancerNodePorts: false"
        " [VIPCAST_RELEASE_NODE_PORTS]",
    )
    _add_share(parser)
    parser.set_defaults(run=_controller)


def _add_share(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--share-within-namespace",
        action="store_true",
        default=os.environ.get("VIPCAST_SHARE_WITHIN_NAMESPACE", "").lower() in _TRUE,
        help="let services share an address with those of their namespace only"
        " [VIPCAST_SHARE_WITHIN_NAMESPACE]",
    )


def _add_speaker(parser: argparse.ArgumentParser) -> None:
    _add_daemon(parser, health=f"127.0.0.1:{HEALTH_PORT}")
    host = socket.gethostname().lower()
    _add(parser, "--node-name", "NAME", host, "this node's name in the cluster (default: the host's name)")
    _add(parser, "--pod-name", "NAME", "", "this program's Pod in --namespace (default: it runs in none)")
    parser.add_argument(
        "--ignore-exclude-lb",
        action="store_true",
        default=os.environ.get("VIPCAST_IGNORE_EXCLUDE_LB", "").lower() in _TRUE,
        help="announce from nodes labelled node.kubernetes.io/exclude-from-external-load-balancers too"
        " [VIPCAST_IGNORE_EXCLUDE_LB]",
    )
    parser.add_argument(
        "--bgp-listen",
        metavar="PORT",
        type=_port,
        default=os.environ.get("VIPCAST_BGP_LISTEN") or "none",
        help="take connections of routers on this TCP port, such as 179 (default: none) [VIPCAST_BGP_LISTEN]",
    )
    parser.add_argument(
        "--data-plane-health",
        metavar="URL",
        type=_health_url,
        default=os.environ.get("VIPCAST_DATA_PLANE_HEALTH") or DATA_PLANE_AUTO,
        help="announce only while this answers 200; auto: kube-proxy's, where it answers; none: do not ask"
        f" (default: {DATA_PLANE_AUTO}) [VIPCAST_DATA_PLANE_HEALTH]",
    )
    add_layer2(parser)
    parser.set_defaults(run=_speaker)


def _add_bfd(parser: argparse.ArgumentParser) -> None:
    _add_agent(
        parser,
        health=f"127.0.0.1:{BFD_HEALTH_PORT}",
        wanted="it asks for sessions by this name",
        orphan="so long the sessions of a speaker that is gone go on",
    )
    parser.set_defaults(run=_bfd)


def _add_layer2(parser: argparse.ArgumentParser) -> None:
    _add_agent(
        parser,
        health=f"127.0.0.1:{LAYER2_HEALTH_PORT}",
        wanted="it says by this name what is to be answered for",
        orphan="so long after the speaker has gone the others are asked to take over",
    )
    parser.set_defaults(run=_layer2)


def _add_agent(parser: argparse.ArgumentParser, *, health: str, wanted: str, orphan: str) -> None:
    """A process beside the speaker, which goes on without it."""
    _add(parser, "--namespace", "NAME", NAMESPACE, f"the speaker's: {wanted}")
    _add(parser, "--log-level", "LEVEL", "info", "debug, info, warning or error", choices=_LEVELS)
    _add(parser, "--health-address", "ADDRESS", health, "serve /healthz, /readyz, /status here")
    parser.add_argument(
        "--orphan-seconds", metavar="SECONDS", type=float, default=600.0, help=f"{orphan} (default: 600)"
    )
    parser.add_argument(
        "--client-user",
        metavar="UID",
        type=int,
        help="the speaker's user, if it is neither root nor the one that this runs as",
    )


def _port(text: str) -> int | None:
    if text == "none":
        return None
    if text.isdecimal() and 1 <= int(text) <= 0xFFFF:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: from 1 to 65535, or none")


def _health_url(text: str) -> str:
    if text in (DATA_PLANE_AUTO, DATA_PLANE_NONE):
        return text
    try:
        parts = urlsplit(text)
        if parts.scheme == "http" and parts.hostname and parts.port != 0:
            return text
    except ValueError:  # no port, no address
        pass
    words = f"write http://127.0.0.1:10256/healthz, {DATA_PLANE_AUTO} or {DATA_PLANE_NONE}"
    raise argparse.ArgumentTypeError(f"{text!r} is no URL of a health check: {words}")


def _add_daemon(parser: argparse.ArgumentParser, health: str) -> None:
    _add_place(parser)
    _add(parser, "--config-map", "NAME", "config", "MetalLB's old ConfigMap there; empty: not looked at")
    _add(parser, "--log-level", "LEVEL", "info", "debug, info, warning or error", choices=_LEVELS)
    _add(parser, "--health-address", "ADDRESS", health, "serve /healthz, /readyz and /status here")
    _add(parser, "--metrics-address", "ADDRESS", ":9120", "serve /metrics here; `none` for nowhere")
    _add_metrics_access(parser)


def _add_place(parser: _Flags) -> None:
    """Add the options that name the cluster and the load balancer's namespace."""
    _add(parser, "--namespace", "NAME", NAMESPACE, "where the configuration's objects are")
    text = "services of this loadBalancerClass (default: those without)"
    _add(parser, "--lb-class", "CLASS", None, text)
    _add(parser, "--kubeconfig", "FILE", None, "default: $KUBECONFIG, the pod's account, ~/.kube/config")
    _add(parser, "--context", "NAME", None, "a context of the kubeconfig (default: its current one)")


def _add_metrics_access(parser: argparse.ArgumentParser) -> None:
    text = "authorized: by HTTPS, to whom the cluster allows it; open: by HTTP, to everybody"
    _add(parser, "--metrics-access", "WHO", "authorized", text, choices=("authorized", "open"))
    text = "folder of tls.crt and tls.key for the metrics (default: a certificate made at the start)"
    _add(parser, "--metrics-cert-dir", "FOLDER", None, text)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.description = "Asks the daemon on this machine, or with --cluster the API server for all nodes."
    _add(
        parser,
        "--health-address",
        "ADDRESS",
        f"127.0.0.1:{HEALTH_PORT}",
        "where the daemon serves its status",
    )
    outputs = ("table", "wide", "json")
    text = "wide: every session with its timers and capabilities (default: table)"
    parser.add_argument("-o", "--output", choices=outputs, default="table", help=text)
    cluster = parser.add_argument_group("the whole cluster")
    cluster.add_argument("--cluster", action="store_true", help="sessions and services of all nodes")
    cluster.add_argument("--node", metavar="NAME", help="of this node only")
    _add_place(cluster)
    parser.set_defaults(run=_status)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="YAML or JSON; - for standard input")
    parser.add_argument("--namespace", metavar="NAME", help="objects in another namespace are wrong")
    parser.set_defaults(run=_check)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="the ConfigMap, or what is in its key config: YAML or JSON; - for standard input",
    )
    parser.add_argument("--namespace", metavar="NAME", help="of the objects (default: the ConfigMap's)")
    parser.set_defaults(run=_convert)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Says which address each LoadBalancer service would get, and why. "
        "The files have pools, services and namespaces, as `kubectl get -o yaml` prints them or as they will "
        "be applied. An object that comes again takes the place of the earlier one."
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="YAML or JSON; - for standard input")
    parser.add_argument(
        "--pools",
        metavar="FILE",
        action="append",
        default=[],
        help="the pools of this file and no others; may be given several times",
    )
    parser.add_argument("--namespace", metavar="NAME", help="pools in another namespace are wrong")
    _add(parser, "--config-map", "NAME", "config", "MetalLB's old ConfigMap, which has pools too")
    _add(
        parser,
        "--lb-class",
        "CLASS",
        None,
        "for services of this loadBalancerClass (default: those without)",
    )
    _add_share(parser)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="default: table")
    parser.set_defaults(run=_plan)


def _add(
    parser: _Flags,
    flag: str,
    metavar: str,
    default: str | None,
    text: str,
    *,
    choices: Sequence[str] | None = None,
) -> None:
    """A flag whose default comes from the environment: --lb-class from VIPCAST_LB_CLASS."""
    variable = "VIPCAST_" + flag.lstrip("-").replace("-", "_").upper()
    given = os.environ.get(variable) or default
    # Given and empty is not given: manifests for MetalLB have `--lb-class=`, where its default is empty.
    kind = str if default else lambda text: text or default
    hint = f" (default: {default})" if default and "default" not in text else ""
    parser.add_argument(
        flag, metavar=metavar, default=given, help=f"{text}{hint} [{variable}]", choices=choices, type=kind
    )


def _controller(options: argparse.Namespace) -> int:
    from vipcast.controller.run import main as run  # noqa: PLC0415

    return run(_daemon_options(options))


def _speaker(options: argparse.Namespace) -> int:
    from vipcast.speaker.run import main as run  # noqa: PLC0415

    return run(_daemon_options(options))


def _bfd(options: argparse.Namespace) -> int:
    from vipcast.bfd_agent.run import Options as BfdOptions  # noqa: PLC0415
    from vipcast.bfd_agent.run import main as run  # noqa: PLC0415

    return run(BfdOptions(**_agent_options(options)))


def _layer2(options: argparse.Namespace) -> int:
    from vipcast.layer2_agent.run import Options as Layer2Options  # noqa: PLC0415
    from vipcast.layer2_agent.run import main as run  # noqa: PLC0415

    return run(Layer2Options(**_agent_options(options)))


def _agent_options(options: argparse.Namespace) -> dict[str, Any]:
    names = ("namespace", "log_level", "health_address", "orphan_seconds", "client_user")
    return {name: getattr(options, name) for name in names}


def _status(options: argparse.Namespace) -> int:
    if options.cluster:
        from vipcast.cli.cluster import Question, cluster_status  # noqa: PLC0415

        place = (options.namespace, options.kubeconfig, options.context)
        return cluster_status(Question(*place, options.node, options.lb_class), options.output)
    if options.node:
        print("--node is for --cluster: a daemon knows of its own node only", file=sys.stderr)
        return 2
    from vipcast.cli.status import status  # noqa: PLC0415

    return status(options.health_address, options.output)


def _check(options: argparse.Namespace) -> int:
    from vipcast.cli.check import check  # noqa: PLC0415

    return check(options.files, options.namespace)


def _convert(options: argparse.Namespace) -> int:
    from vipcast.cli.convert import convert  # noqa: PLC0415

    return convert(options.files, options.namespace)


def _plan(options: argparse.Namespace) -> int:
    from vipcast.cli.plan import plan  # noqa: PLC0415

    return plan(
        options.files,
        options.pools,
        lb_class=options.lb_class,
        namespace=options.namespace,
        config_map=options.config_map,
        within_namespace=options.share_within_namespace,
        as_json=options.output == "json",
    )


def _daemon_options(given: argparse.Namespace) -> Options:
    return Options(
        namespace=given.namespace,
        config_map=given.config_map,
        lb_class=given.lb_class,
        node_name=getattr(given, "node_name", ""),
        pod_name=getattr(given, "pod_name", ""),
        ignore_exclude_lb=getattr(given, "ignore_exclude_lb", False),
        bgp_listen=getattr(given, "bgp_listen", None),
        data_plane_health=getattr(given, "data_plane_health", DATA_PLANE_NONE),
        release_node_ports=getattr(given, "release_node_ports", False),
        share_within_namespace=getattr(given, "share_within_namespace", False),
        kubeconfig=given.kubeconfig,
        context=given.context,
        log_level=given.log_level,
        health_address=given.health_address,
        metrics_address=given.metrics_address,
        metrics_access=given.metrics_access,
        metrics_cert_dir=given.metrics_cert_dir,
        **layer2_options(given),
    )
