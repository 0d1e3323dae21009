# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories to copy, as they are: preflight finds nothing wrong but that their hosts are not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

# `make ansible-versions` runs it with each version.
pytestmark = pytest.mark.thorough
ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path.name for path in (ROOT / "inventories").glob("example*"))
# What their owners keep in a vault, and ssh that does not wait long for addresses of documentation.
GIVEN = {
    "vault_bgp_password": "bgp-hidden",
    "vault_become_password": "sudo-hidden",
    "ansible_ssh_common_args": "-o ConnectTimeout=2 -o BatchMode=yes",
}


def preflight(example: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the first role of site.yml, with a home in which there is no kubeconfig."""
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    arguments = ["-i", f"inventories/{example}", "playbooks/site.yml", "--tags", "preflight"]
    return subprocess.run(
        [program, *arguments, "-e", json.dumps(GIVEN)],
        cwd=ROOT,
        env={**os.environ, "HOME": str(home), "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.mark.parametrize("example", EXAMPLES)
def test_only_what_is_not_there_is_wrong(example: str, tmp_path: Path) -> None:
    done = preflight(example, tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    hosts = yaml.safe_load((ROOT / "inventories" / example / "hosts.yml").read_text())
    routers = list(hosts["routers"]["hosts"])
    # The cluster and each router; whatever is wrong with a declaration would be one more.
    assert f"Nothing was changed. {1 + len(routers)} to put right first" in done.stdout, done.stdout
    assert "- kubeconfig " in done.stdout
    for name in routers:
        assert f"- router {name}: Ansible cannot reach it" in done.stdout, done.stdout
    assert "hidden" not in done.stdout
