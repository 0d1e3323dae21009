# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags, their environment, and what a command may import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vipcast import __version__
from vipcast.cli import _daemon_options, _parser, main

FLAGS = {
    "--namespace": ("VIPCAST_NAMESPACE", "namespace", "metallb-system"),
    "--lb-class": ("VIPCAST_LB_CLASS", "lb_class", None),
    "--node-name": ("VIPCAST_NODE_NAME", "node_name", ...),
    "--kubeconfig": ("VIPCAST_KUBECONFIG", "kubeconfig", None),
    "--context": ("VIPCAST_CONTEXT", "context", None),
    "--health-address": ("VIPCAST_HEALTH_ADDRESS", "health_address", "127.0.0.1:17472"),
    "--metrics-address": ("VIPCAST_METRICS_ADDRESS", "metrics_address", ":9120"),
    "--metrics-cert-dir": ("VIPCAST_METRICS_CERT_DIR", "metrics_cert_dir", None),
}


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_beats_its_variable_which_beats_the_default(
    flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, field, default = FLAGS[flag]

    def value(*arguments: str) -> object:
        return getattr(_daemon_options(_parser().parse_args(["speaker", *arguments])), field)

    monkeypatch.delenv(variable, raising=False)
    if default is not ...:
        assert value() == default
    monkeypatch.setenv(variable, "from-environment")
    assert value() == "from-environment"
    assert value(flag, "from-flag") == "from-flag"


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"vipcast {__version__}\n"


def test_a_wrong_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["announce"])
    assert end.value.code == 2
    assert "speaker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--kubeconfig", "/nowhere"], "/nowhere"),
        (["--kubeconfig", "{config}", "--health-address", "nonsense"], "nonsense"),
        (["--kubeconfig", "{config}", "--metrics-address", "192.0.2.77:1"], "192.0.2.77:1"),
        (
            ["--kubeconfig", "{config}", "--metrics-address", ":0", "--metrics-cert-dir", "/nowhere"],
            "tls.crt",
        ),
        (["--kubeconfig", "{config}", "--metrics-access", "open", "--metrics-cert-dir", "/x"], "plain HTTP"),
    ],
)
def test_what_cannot_start_says_why_and_is_2(arguments: list[str], word: str, tmp_path: object) -> None:
    config = f"{tmp_path}/config"
    with open(config, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(
            '{"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:9"}}],'
            '"contexts":[{"name":"x","context":{"cluster":"c"}}],"current-context":"x"}'
        )
    defaults = ["--health-address=none", "--metrics-address=none"]
    done = _run("speaker", *defaults, *(each.format(config=config) for each in arguments))
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from vipcast.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=20, check=False
    )


def test_a_speaker_imports_nothing_that_it_does_not_need() -> None:
    program = "import sys, vipcast.cli, vipcast.speaker.run; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20
    )
    loaded = set(done.stdout.split())
    assert "vipcast.net.peering" in loaded
    assert not loaded & {"vipcast.controller", "vipcast.ipam", "vipcast.cli.check", "yaml", "http.client"}


def test_an_empty_class_is_no_class_as_in_manifests_for_metallb(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["controller"], ["speaker"]):
        assert _daemon_options(_parser().parse_args([*command, "--lb-class="])).lb_class is None
        assert _daemon_options(_parser().parse_args([*command, "--lb-class=a/b"])).lb_class == "a/b"
    assert _parser().parse_args(["plan", "--lb-class", "", "x"]).lb_class is None
    monkeypatch.setenv("VIPCAST_LB_CLASS", "from/outside")
    assert _parser().parse_args(["controller", "--lb-class="]).lb_class is None
    assert _parser().parse_args(["controller", "--config-map="]).config_map == ""
