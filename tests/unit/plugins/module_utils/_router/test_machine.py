# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, kernel routes, versions and the shell: what is around FRR."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import files, kernel
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.shell import (
    Vtysh,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.version import parse_version

from .local_shell import local_shell

DAEMONS = """# which daemons
bgpd=no
ospfd=no
vtysh_enable=yes
zebra_options="  -A 127.0.0.1 -s 90000000"
bgpd_options="   -A 127.0.0.1 -M rpki"
"""


def test_one_daemon_is_switched_on_and_the_rest_stays() -> None:
    assert files.enable_daemons(DAEMONS, ["bgpd"]) == DAEMONS.replace("bgpd=no", "bgpd=yes")
    assert files.enable_daemons(DAEMONS, ["bfdd"]) == DAEMONS + "bfdd=yes\n"


@pytest.mark.parametrize("line", ["bgpd=yes", 'bgpd="yes"', "bgpd='yes'", "bgpd=yes  "])
def test_a_daemon_that_is_on_is_left_alone(line: str) -> None:
    assert files.enable_daemons(f"{line}\n", ["bgpd"]) == f"{line}\n"


def test_the_last_assignment_counts() -> None:
    assert files.enable_daemons("bgpd=yes\nbgpd=no\n", ["bgpd"]) == "bgpd=yes\nbgpd=yes\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("  -A 127.0.0.1 -s 9", None),
        ("-A ::1", None),
        ("-P 0", None),
        ("--vty_addr=127.0.0.1", None),
        ("", "-A 127.0.0.1"),
        ("-M rpki", "-M rpki -A 127.0.0.1"),
        ("-A 0.0.0.0 -M rpki", "-M rpki -A 127.0.0.1"),
        ("-A 127.0.0.1 -A 192.0.2.1", "-A 127.0.0.1"),
    ],
)
def test_terminals_on_loopback(options: str, expected: str | None) -> None:
    text = f'bgpd_options="{options}"\n'
    wanted = text if expected is None else f'bgpd_options="{expected}"\n'

    assert files.bind_to_loopback(text, ["bgpd"]) == wanted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bgpd_options='-A 127.0.0.1 -M rpki'\n", None),
        ("bgpd_options='-M rpki -A 0.0.0.0'\n", "bgpd_options='-M rpki -A 127.0.0.1'\n"),
        ('bgpd_options="-M rpki \\\n  -e 64"\nx=1\n', 'bgpd_options="-M rpki   -e 64 -A 127.0.0.1"\nx=1\n'),
        ("bgpd_options='-M rpki\n -e 64'\nx=1\n", "bgpd_options='-M rpki\n -e 64 -A 127.0.0.1'\nx=1\n"),
        ('bgpd_options="-A localhost"\n', None),
        ('bgpd_options="-A 127.0.0.5"\n', None),
        ('bgpd_options="-A 0.0.0.0"  # open\n', 'bgpd_options="-A 127.0.0.1"  # open\n'),
        ('bgpd_options="$MORE -A 0.0.0.0"\n', 'bgpd_options="$MORE -A 127.0.0.1"\n'),
        ("bgpd_options=-Mrpki\n", 'bgpd_options="-Mrpki -A 127.0.0.1"\n'),
    ],
)
def test_options_as_a_shell_reads_them(tmp_path: Path, text: str, expected: str | None) -> None:
    edited = files.bind_to_loopback(text, ["bgpd"])
    path = tmp_path / "daemons"
    path.write_text(edited)

    assert edited == (text if expected is None else expected)
    assert subprocess.run(["/bin/sh", "-n", str(path)], check=False).returncode == 0


def test_a_file_that_no_shell_reads_is_not_put_in_place(tmp_path: Path) -> None:
    path = tmp_path / "daemons"
    path.write_text("bgpd=no\n")
    with pytest.raises(Refusal, match="cannot be written"):
        files.write(local_shell(True, []), str(path), 'bgpd="yes\n', "0640", is_script=True)

    assert path.read_text() == "bgpd=no\n"
    assert [one.name for one in tmp_path.iterdir()] == ["daemons"]


def test_sysctls_in_a_file() -> None:
    text = "# ours\nnet.ipv4.ip_forward=1\nnet.ipv4.fib_multipath_hash_policy = 0\n"
    wanted = {"net.ipv4.ip_forward": "1", "net.ipv4.fib_multipath_hash_policy": "1", "net.x": "2"}
    edited = files.set_sysctls(text, wanted)

    assert edited == "# ours\nnet.ipv4.ip_forward=1\nnet.ipv4.fib_multipath_hash_policy = 1\nnet.x = 2\n"
    assert files.set_sysctls(edited, wanted) == edited


JSON = (
    '[{"dst":"10.9.1.1","nhid":22,"protocol":"bgp","metric":20,"flags":[],"nexthops":['
    '{"gateway":"10.31.8.1","dev":"br0","weight":1,"flags":[]},{"gateway":"10.31.8.11","dev":"br0","weight":2}]},'
    '{"dst":"10.9.1.2","gateway":"10.31.8.12","dev":"br0","protocol":"bgp","metric":20,"flags":[]},'
    '{"dst":"default","gateway":"10.31.254.254","dev":"br0","flags":[]}]'
)
TEXT = """default via 10.31.254.254 dev br0
10.9.1.1 nhid 22 proto bgp metric 20
\tnexthop via 10.31.8.1 dev br0 weight 1
\tnexthop via 10.31.8.11 dev br0 weight 2
10.9.1.2 nhid 23 via 10.31.8.12 dev br0 proto bgp metric 20 onlink
"""
BUSYBOX = (
    "default via 10.31.254.254 dev br0 \n10.9.1.1  metric 20 \n10.9.1.2 via 10.31.8.12 dev br0  metric 20 \n"
)


def _gateways(route: dict[str, Any]) -> list[tuple[str, int]]:
    return [(hop["gateway"], hop["weight"]) for hop in route["next_hops"]]


@pytest.mark.parametrize(("text", "source"), [(JSON, "json"), (TEXT, "text")])
def test_kernel_routes_of_iproute2(text: str, source: str) -> None:
    found = kernel.routes(text, 4)

    assert kernel.source(text) == source
    assert set(found) == {"0.0.0.0/0", "10.9.1.1/32", "10.9.1.2/32"}
    assert _gateways(found["10.9.1.1/32"]) == [("10.31.8.1", 1), ("10.31.8.11", 2)]
    assert _gateways(found["10.9.1.2/32"]) == [("10.31.8.12", 1)]
    assert (found["10.9.1.2/32"]["protocol"], found["10.9.1.2/32"]["metric"]) == ("bgp", 20)


def test_only_routes_that_matter_are_asked_for() -> None:
    """A router with the Internet's routes would print them all."""
    asked = kernel.questions(["10.9.1.1/32", "fd00:9::/64"])

    assert [version for _command, version in asked] == [4, 6]
    assert asked[0][0].startswith("ip -j -4 route show root 10.9.1.1/32 ")
    assert asked[1][0].endswith("|| ip -6 route show root fd00:9::/64")
    assert kernel.questions([]) == []
    assert "root" not in str(kernel.questions(None))


def test_busybox_hides_next_hops() -> None:
    found = kernel.routes(BUSYBOX, 4)

    assert kernel.source(BUSYBOX) == "busybox"
    assert found["10.9.1.1/32"]["next_hops"] is None
    assert _gateways(found["10.9.1.2/32"]) == [("10.31.8.12", 1)]


def test_ipv6_and_routes_of_other_kinds() -> None:
    text = (
        "blackhole 2001:db8::/32 dev lo proto static metric 1024\nfe80::/64 dev br0 proto kernel metric 256\n"
    )
    found = kernel.routes(text, 6)

    assert set(found) == {"2001:db8::/32", "fe80::/64"}


@pytest.mark.parametrize(
    ("text", "name", "numbers", "multipath"),
    [
        ("FRRouting 8.4.4 (vm) on Linux.\n '--enable-multipath=256' 'x'", "FRRouting", (8, 4, 4), 256),
        ("FRRouting 10.3 (vm).\n", "FRRouting", (10, 3), 16),
        ("FRRouting 10.2.1-git (OpenWrt).\n", "FRRouting", (10, 2, 1), 16),
        ("Quagga 1.2.4 (r).\n", "Quagga", (1, 2, 4), 8),
        ("Quagga 1.2.4 (r).\nconfigured with:\n    --enable-multipath=8\n", "Quagga", (1, 2, 4), 8),
        ("Quagga 1.2.4 (r).\nconfigured with:\n    --enable-user=quagga\n", "Quagga", (1, 2, 4), 1),
    ],
)
def test_versions(text: str, name: str, numbers: tuple[int, ...], multipath: int) -> None:
    version = parse_version(text)

    assert (version.name, version.numbers, version.multipath) == (name, numbers, multipath)


def test_something_else_than_a_routing_daemon() -> None:
    with pytest.raises(Refusal, match="it says: sh: vtysh: not found"):
        parse_version("sh: vtysh: not found\n")


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("show bgp summary json", True),
        ("show bgp ipv4 unicast 10.9.1.1/32 json", True),
        ("show ip route 10.9.1.1/32 json", True),
        ("show bgp neighbors graceful-restart json", False),
        ("show bgp all json", False),
        ("show bgp ipv4 unicast 10.9.1.1/32 json\nclear bgp *", False),
        ("clear bgp *", False),
    ],
)
def test_only_known_commands_are_asked(command: str, allowed: bool) -> None:
    assert parse_version("FRRouting 8.4.4 (vm).").allows(command) is allowed


def test_a_question_that_ends_quaggas_bgpd_is_not_asked() -> None:
    version = parse_version("Quagga 1.2.3 ().")

    assert version.allows("show ip bgp neighbors 10.31.8.1 received-routes")
    assert not version.allows("show ip bgp neighbors 10.31.8.1 prefix-counts")
    assert not version.allows("show bgp summary json")


AWKWARD = "a 'quoted' \"line\"\n$HOME `id` \\n %s\n\n" + "x" * 50000 + "\nend\n"


@pytest.mark.parametrize("takes_input", [True, False])
def test_files_arrive_as_they_are(tmp_path: Path, takes_input: bool) -> None:
    target = tmp_path / "folder" / "it's a file"
    shell = local_shell(takes_input, [])
    files.write(shell, str(target), AWKWARD, "0640")
    assert (target.read_text(), target.stat().st_mode & 0o777) == (AWKWARD, 0o640)

    target.chmod(0o600)
    files.write(shell, str(target), "new\n", "0644")
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("new\n", 0o600)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert files.read(shell, str(target)) == "new\n"
    assert files.read(shell, str(tmp_path / "none")) is None


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old\n")
    (tmp_path / "link").symlink_to("real")
    files.write(local_shell(True, []), str(tmp_path / "link"), "new\n", "0644")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new\n"


def test_several_commands_in_one_trip() -> None:
    log: list[str] = []
    answers = local_shell(True, log).batch(
        {"a": "printf 'no newline'", "b": "echo two; exit_with() { return 3; }; exit_with"}
    )

    assert len(log) == 1
    assert (answers["a"].stdout, answers["a"].rc) == ("no newline", 0)
    assert (answers["b"].stdout, answers["b"].rc) == ("two", 3)


VTYSH = """#!/bin/sh
case "$*" in
  "-c show version") echo "FRRouting 8.4.4 (fake) on Linux";;
  "-c show daemons") echo " zebra bgpd";;
  "-C -f "*) if grep -q BAD "$3"; then
    echo "line 2: % Unknown command[4]:  neighbor 192.0.2.1 password s3cret" >&2
    exit 2
  fi;;
  "-f "*) stat -c %a "$2" > mode; cat "$2" > entered;;
esac
exit 0
"""


@pytest.fixture
def vtysh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vtysh:
    """A vtysh that writes down what it is given."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "vtysh"
    program.write_text(VTYSH)
    program.chmod(0o755)
    return Vtysh(local_shell(True, []), str(program))


def test_lines_are_entered_from_a_private_file(vtysh: Vtysh, tmp_path: Path) -> None:
    vtysh.apply(["router bgp 1", " neighbor 192.0.2.1 password s3cret"])

    assert (tmp_path / "entered").read_text() == "router bgp 1\n neighbor 192.0.2.1 password s3cret\n"
    assert (tmp_path / "mode").read_text().strip() == "600"


def test_no_secret_is_an_argument(tmp_path: Path) -> None:
    """Anybody who lists the processes of the router would see it."""
    log: list[str] = []
    shell = local_shell(False, log)
    with pytest.raises(Refusal) as refused:
        shell.run("cat > /dev/null", " neighbor 192.0.2.1 password s3cret\n")

    assert refused.value.reason is Reason.NO_INPUT
    assert "s3cret" not in str(log) + str(refused.value)
    assert shell.run("cat", " neighbor 192.0.2.1 remote-as 1\n").stdout == " neighbor 192.0.2.1 remote-as 1\n"


@pytest.fixture
def heard_interrupts() -> Iterator[None]:
    """Let programs that are started hear SIGINT: a run in the background ignores it, and they would too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_interrupts")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_connection_that_ends_leaves_no_file(vtysh: Vtysh, tmp_path: Path, number: int) -> None:
    """vtysh is made to end the shell that waits for it, which has a file with secrets."""
    (tmp_path / "vtysh").write_text(
        f'#!/bin/sh\n[ "$1" = -f ] && echo "$2" > where && kill -{number} $PPID\n'
    )
    with pytest.raises(Refusal):
        vtysh.apply(["router bgp 1"])

    assert not Path((tmp_path / "where").read_text().strip()).exists()


@pytest.mark.parametrize(
    ("command", "prefix", "folder"),
    [
        ("vtysh", "", "/etc/frr"),
        ("sudo -n /usr/bin/vtysh", "", "/etc/frr"),
        ("vtysh -N blue", "", "/etc/frr/blue"),
        ("docker exec -i frr vtysh", "docker exec -i frr", "/etc/frr"),
        ("ip netns exec red vtysh -N red", "ip netns exec red", "/etc/frr/red"),
    ],
)
def test_where_a_vtysh_is(command: str, prefix: str, folder: str) -> None:
    vtysh = Vtysh(local_shell(True, []), command)

    assert (vtysh.place.prefix, vtysh.folder) == (prefix, folder)


def test_a_vtysh_that_hears_nothing_is_refused(vtysh: Vtysh, tmp_path: Path) -> None:
    """`docker exec` without -i is like that: it would call any configuration right."""
    log: list[str] = []
    deaf = tmp_path / "deaf"
    deaf.write_text('#!/bin/sh\nexec "$@" < /dev/null\n')
    heard = tmp_path / "heard"
    heard.write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "vtysh").write_text(
        "#!/bin/sh\ngrep . && { echo 'line 1: % Unknown command'; exit 2; }; exit 0\n"
    )
    for path in (deaf, heard):
        path.chmod(0o755)
    with pytest.raises(Refusal) as refused:
        Vtysh(local_shell(True, log), f"{deaf} {tmp_path}/vtysh").demand_input()
    Vtysh(local_shell(True, log), f"{heard} {tmp_path}/vtysh").demand_input()

    assert refused.value.reason is Reason.NO_INPUT


def test_a_refusal_names_line_and_reason_without_the_secret(vtysh: Vtysh) -> None:
    with pytest.raises(Refusal) as refused:
        vtysh.check_syntax("router bgp 1\n neighbor 192.0.2.1 password s3cret\n! BAD\n")

    assert refused.value.reason is Reason.SYNTAX
    assert "line 2 ('neighbor 192.0.2.1 password ********" in str(refused.value)
    assert "% Unknown command" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_an_unsafe_question_is_not_asked(vtysh: Vtysh) -> None:
    with pytest.raises(ValueError, match="not known to be safe on FRRouting"):
        vtysh.show("show bgp neighbors graceful-restart json")
