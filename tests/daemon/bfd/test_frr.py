# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast bfd` and FRR's bfdd, with bgpd beside it where it matters. Times are bounds, not measurements."""

from __future__ import annotations

import signal
import subprocess
import time
from ipaddress import ip_address, ip_network

import pytest
from daemon.bfd.harness import (
    NODE,
    NODE6,
    ROUTER,
    ROUTER6,
    Asker,
    BfdProcess,
    BfdRouter,
    cut,
    eventually,
    mend,
    settings,
)
from daemon.bfd.restart import VIP, held, start_speaker
from daemon.interop.network import run
from daemon.interop.speaker import Speaker, peer

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bgp.route import Route

BGP = f"""router bgp 64512
 no bgp ebgp-requires-policy
 neighbor {NODE} remote-as 64513
 neighbor {NODE} timers connect 1
 neighbor {NODE} bfd
exit"""


def profile(*lines: str, node: str = NODE, router: str = ROUTER, kind: str = "interface eth0") -> str:
    """bfdd.conf with one peer, 100 ms and three times unless ``lines`` say otherwise."""
    inner = "\n".join(f"  {line}" for line in ("receive-interval 100", "transmit-interval 100", *lines))
    return f"bfd\n peer {node} {kind} local-address {router}\n{inner}\n exit\nexit"


def settle(router: BfdRouter, asker: Asker, node: str = NODE) -> None:
    try:
        asker.wait_up()
    except AssertionError as error:
        raise AssertionError(f"{error}; FRR says {router.vtysh('show bfd peers json')}") from error
    eventually(lambda: router.bfd_up(node), "FRR is up")
    asker.wait(lambda status: (status.detection_time or 9) < 0.9)


@pytest.mark.parametrize(("node", "there"), [(NODE, ROUTER), (NODE6, ROUTER6)], ids=["ipv4", "ipv6"])
def test_a_session_comes_up_and_both_ends_know_the_other_s_times(
    router: BfdRouter, process: BfdProcess, node: str, there: str
) -> None:
    router.start_all(profile("detect-multiplier 5", node=node, router=there))
    with Asker(router.node, {"r": settings(there)}) as asker:
        settle(router, asker, node)
        eventually(lambda: router.bfd_peer(node)["remote-transmit-interval"] == 100, "FRR has our interval")
        status, frr = asker.status(), router.bfd_peer(node)
    assert (frr["remote-receive-interval"], frr["remote-detect-multiplier"]) == (100, 3)
    assert (frr["remote-id"], frr["id"]) == (status.local_discriminator, status.remote_discriminator)
    assert (status.remote_detect_multiplier, status.detection_time) == (5, pytest.approx(0.5))
    assert frr["diagnostic"] == "ok" and status.problem is None


def test_we_notice_that_frr_stands_still(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all(profile())
    with Asker(router.node, {"r": settings()}) as asker:
        settle(router, asker)
        router.signal_daemon("bfdd", signal.SIGSTOP)
        status = asker.wait(lambda status: not status.up, 5)
        assert (status.diagnostic, status.went_down) == (Diagnostic.DETECTION_TIME_EXPIRED, 1)
        router.signal_daemon("bfdd", signal.SIGCONT)
        settle(router, asker)


def test_frr_notices_that_we_stand_still(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all(profile())
    with Asker(router.node, {"r": settings()}) as asker:
        settle(router, asker)
        process.process.send_signal(signal.SIGSTOP)
        eventually(lambda: not router.bfd_up(), "FRR has noticed", 8)
        process.process.send_signal(signal.SIGCONT)
        settle(router, asker)
        assert asker.status().diagnostic is Diagnostic.NONE


@pytest.mark.parametrize("silent", ["node", "router"])
def test_a_cable_that_is_cut_one_way_takes_both_ends_down(
    router: BfdRouter, process: BfdProcess, silent: str
) -> None:
    router.start_all(profile())
    with Asker(router.node, {"r": settings()}) as asker:
        settle(router, asker)
        cut(router, silent)
        status = asker.wait(lambda status: not status.up, 8)
        eventually(lambda: not router.bfd_up(), "FRR is down", 8)
        expected = {"node": Diagnostic.NEIGHBOR_SIGNALED_DOWN, "router": Diagnostic.DETECTION_TIME_EXPIRED}
        assert status.diagnostic is expected[silent]
        mend(router)
        settle(router, asker)


def test_frr_changes_its_interval_and_we_follow(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all(profile())
    with Asker(router.node, {"r": settings()}) as asker:
        settle(router, asker)
        router.configure("bfd", f"peer {NODE} local-address {ROUTER} interface eth0", "transmit-interval 250")
        asker.wait(lambda status: status.detection_time == pytest.approx(0.75), 5)
        router.configure("bfd", f"peer {NODE} local-address {ROUTER} interface eth0", "receive-interval 400")
        asker.wait(lambda status: status.remote_receive_interval == pytest.approx(0.4), 5)
        assert asker.status().counters.down_events == 0


def test_we_change_our_interval_and_frr_follows(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all(profile())
    with Asker(router.node, {"r": settings()}) as asker:
        settle(router, asker)
        asker.want({"r": settings(transmit_interval=0.25, receive_interval=0.4, detect_multiplier=4)})
        eventually(lambda: router.bfd_peer()["remote-transmit-interval"] == 250, "FRR knows it")
        frr = router.bfd_peer()
        assert (frr["remote-receive-interval"], frr["remote-detect-multiplier"]) == (400, 4)
        time.sleep(2)
        assert asker.status().counters.down_events == 0 and router.bfd_up()


def test_frr_may_be_the_passive_one(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all(profile("passive-mode"))
    with Asker(router.node, {"r": settings()}) as asker:
        settle(router, asker)


def test_we_may_be_the_passive_one(router: BfdRouter, process: BfdProcess) -> None:
    with Asker(router.node, {"r": settings(passive=True)}) as asker:
        asker.wait(lambda _status: asker.connected())
        time.sleep(1.5)
        assert asker.status().counters.packets_out == 0
        router.start_all(profile())
        settle(router, asker)


def test_a_multihop_session_comes_up(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all(profile(kind="multihop"))
    given = settings(local=ip_address(NODE), multihop=True, minimum_ttl=254)
    with Asker(router.node, {"r": given}) as asker:
        settle(router, asker)


def test_admin_down_of_frr_is_nobody_s_failure(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all(profile())
    with Asker(router.node, {"r": settings()}) as asker:
        settle(router, asker)
        router.configure("bfd", f"peer {NODE} local-address {ROUTER} interface eth0", "shutdown")
        status = asker.wait(lambda status: not status.up, 8)
        assert (status.remote_state, status.went_down) == (BfdState.ADMIN_DOWN, 0)
        router.configure("bfd", f"peer {NODE} local-address {ROUTER} interface eth0", "no shutdown")
        settle(router, asker)


def test_a_successor_takes_over_and_frr_does_not_notice(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all(profile())
    with Asker(router.node, {"r": settings()}) as asker:
        settle(router, asker)
        with BfdProcess(router.node, router.folder) as successor:
            eventually(lambda: successor.said("taken_over"), "taken over")
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(20) == 0
            time.sleep(1)
            assert router.bfd_counters()["session-down"] == 0


# ---- echo ----


def forwards(namespace: str, yes: bool) -> None:
    run("ip", "netns", "exec", namespace, "sysctl", "-qw", f"net.ipv4.ip_forward={int(yes)}")


def test_echo_runs_both_ways_and_notices_that_the_router_no_longer_forwards(
    router: BfdRouter, process: BfdProcess
) -> None:
    forwards(router.node, True)
    forwards(router.router, True)
    router.start_all(profile("echo-mode", "echo receive-interval 50", "echo transmit-interval 50"))
    with Asker(router.node, {"r": settings(echo_interval=0.05)}) as asker:
        settle(router, asker)
        asker.wait(lambda status: status.echo_active and status.counters.echo_in > 20)
        eventually(lambda: router.bfd_counters()["echo-packet-input"] > 20, "FRR's come back too")
        assert asker.status().counters.down_events == 0
        forwards(router.router, False)
        # By its log: control packets still pass, and it is up again within milliseconds.
        eventually(lambda: "Up" in [event.get("old") for event in process.events()], "it went down", 8)
        went = next(event for event in process.events() if event.get("old") == "Up")
        assert went["why"] == str(Diagnostic.ECHO_FAILED)


def test_without_the_capability_echo_is_a_problem_in_words_and_the_session_is_up(router: BfdRouter) -> None:
    router.start_all(profile())
    drop = ("setpriv", "--bounding-set=-net_raw")
    with (
        BfdProcess(router.node, router.folder, prefix=drop),
        Asker(router.node, {"r": settings(echo_interval=0.05)}) as asker,
    ):
        settle(router, asker)
        assert "CAP_NET_RAW" in (asker.wait(lambda status: status.problem).problem or "")


# ---- with BGP over it ----


def with_bgp(router: BfdRouter, asker: Asker, speaker: Speaker) -> None:
    speaker.set_routes(Route(ip_network(VIP)))
    speaker.wait_up()
    asker.wait_up()
    eventually(lambda: router.paths(VIP), "FRR has the route")
    eventually(router.bfd_up, "FRR is up")


def test_a_node_that_is_cut_off_loses_its_routes_by_bfd(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all("bfd\nexit", BGP)
    with Asker(router.node, {"r": settings()}) as asker, Speaker(router.node, peer()) as speaker:
        with_bgp(router, asker, speaker)
        cut(router)
        start = time.monotonic()
        eventually(lambda: not router.paths(VIP), "FRR has no route any more", 5)
        assert time.monotonic() - start < 6  # the hold time is 9 s
        assert asker.wait(lambda status: not status.up, 8).went_down == 1


def test_admin_down_of_ours_leaves_bgp_and_its_routes_alone(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all("bfd\nexit", BGP)
    with Asker(router.node, {"r": settings()}) as asker, Speaker(router.node, peer()) as speaker:
        with_bgp(router, asker, speaker)
        asker.want({})
        eventually(lambda: not router.bfd_up(), "FRR's BFD is down")
        time.sleep(1)
        assert router.paths(VIP), router.log()


def calm(router: BfdRouter, asker: Asker) -> None:
    """Wait until route and BFD are up and stay so.

    FRR makes its BFD session anew when its first BGP session has shown it its own address, which the session
    shows then; one that was Up before is lost.
    """

    def settled() -> bool:
        anew = router.bfd_peer().get("local") == ROUTER and router.bfd_up()
        return anew and bool(router.paths(VIP)) and asker.status().up

    eventually(settled, "route and BFD are up", 30)


def killed(router: BfdRouter, speaker: subprocess.Popen[bytes]) -> None:
    speaker.kill()
    speaker.wait(20)
    eventually(lambda: router.neighbor()["bgpState"] != "Established", "FRR knows that it is gone")


def test_a_speaker_that_is_killed_and_restarted_loses_no_route_and_no_bfd_packet(
    router: BfdRouter, process: BfdProcess
) -> None:
    router.start_all("bfd\nexit", BGP)
    with Asker(router.node, {"r": settings()}) as asker:
        speaker = start_speaker(router, 20)
        try:
            calm(router, asker)
            lost = asker.status().went_down
            killed(router, speaker)
            assert held(router, 2)
            speaker = start_speaker(router, 20)
            assert held(router, 6)
            eventually(lambda: router.neighbor()["bgpState"] == "Established", "the session is back")
            assert held(router, 1) and router.bfd_up()
            assert asker.status().went_down == lost
        finally:
            speaker.kill()
            speaker.wait(20)


def test_a_node_that_dies_with_its_speaker_loses_its_routes_by_bfd_though_they_would_survive_a_restart(
    router: BfdRouter, process: BfdProcess
) -> None:
    router.start_all("bfd\nexit", BGP)
    with Asker(router.node, {"r": settings()}) as asker:
        speaker = start_speaker(router, 60)
        try:
            calm(router, asker)
            cut(router)
            assert not held(router, 3)
        finally:
            speaker.kill()
            speaker.wait(20)


def test_a_node_that_dies_while_its_speaker_restarts_costs_the_restart_time_and_no_more(
    router: BfdRouter, process: BfdProcess
) -> None:
    """FRR takes no second look at BFD once it waits: docs/design/0013-bfd.md has the worst case."""
    router.start_all("bfd\nexit", BGP)
    with Asker(router.node, {"r": settings()}) as asker:
        speaker = start_speaker(router, 5)
        try:
            calm(router, asker)
        finally:
            killed(router, speaker)
        cut(router)
        assert not held(router, 15)
