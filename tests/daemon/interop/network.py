# SPDX-License-Identifier: GPL-3.0-or-later
"""Two network namespaces with a cable between them, and the processes that run in the second.

    "vb-..-n", the node   veth   "vb-..-r", the router
    10.99.0.1, fd99::1   ------  10.99.0.2, fd99::2

Everything that was made is gone when the context ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

NODE, ROUTER = "10.99.0.1", "10.99.0.2"
NODE6, ROUTER6 = "fd99::1", "fd99::2"

_numbers = itertools.count()
# util-linux: the kernel ends a daemon when the test run ends, however that happens.
_BOUND_TO_US = ("setpriv", "--pdeathsig", "KILL", "--")


def lacking() -> str | None:
    """Return what namespaces need and isn't there, as an instruction."""
    if os.geteuid() != 0:
        return "these tests make network namespaces: run them as root"
    if shutil.which("ip") is None:
        return "no ip command: apt-get install iproute2"
    return None


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def eventually(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def wait_carrier(namespace: str, device: str = "eth0") -> None:
    """Wait until the kernel sends by this device: until then it drops each packet (net/core/link_watch.c)."""
    state = ("ip", "-n", namespace, "-br", "link", "show", "dev", device)
    eventually(lambda: "UP" in run(*state).split(), f"{device} of {namespace} is up")


class Cable:
    """The namespaces, a folder for files, and daemons by name."""

    def __init__(self) -> None:
        tag = f"vb-{os.getpid()}-{next(_numbers)}"
        self.node, self.router = f"{tag}-n", f"{tag}-r"
        self.folder = Path(tempfile.mkdtemp(prefix=f"{tag}-"))
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Any:
        try:
            self._wire()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for namespace in (self.node, self.router):
            run("ip", "netns", "del", namespace, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wire(self) -> None:
        for namespace in (self.node, self.router):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
            # A router that advertises itself gives the node one more address, which no neighbor line has.
            run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.default.autoconf=0")
        self.join()

    def join(self) -> None:
        """Put the cable between the two."""
        run(
            "ip", "-n", self.node, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", self.router
        )
        for namespace, four, six in ((self.node, NODE, NODE6), (self.router, ROUTER, ROUTER6)):
            run("ip", "-n", namespace, "addr", "add", f"{four}/24", "dev", "eth0")
            run("ip", "-n", namespace, "addr", "add", f"{six}/64", "dev", "eth0", "nodad")
            run("ip", "-n", namespace, "link", "set", "eth0", "up")
        for namespace in (self.node, self.router):
            wait_carrier(namespace)

    # ---- daemons ----

    def spawn(
        self,
        name: str,
        *command: str,
        environment: Mapping[str, str] | None = None,
        inside: str | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a daemon in a process group of its own; output to ``NAME.out``.

        ``inside``: its namespace, the router's where none is named.
        """
        with (self.folder / f"{name}.out").open("ab") as output:
            process = subprocess.Popen(
                [*_BOUND_TO_US, "ip", "netns", "exec", inside or self.router, *command],
                stdin=stdin,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                cwd=self.folder,
                start_new_session=True,
            )
        self._daemons[name] = process
        return process

    def signal_daemon(self, name: str, number: int) -> None:
        """Send a signal to the daemon and all processes that it made."""
        os.killpg(self._daemons[name].pid, number)

    def kill(self, name: str) -> None:
        """Kill it as a crash does: the kernel closes its connections."""
        self.signal_daemon(name, signal.SIGKILL)
        self._daemons.pop(name).wait(20)

    def stop(self) -> None:
        """End every daemon in good order, and what is left of its process group at once."""
        for name in reversed(list(self._daemons)):
            process = self._daemons.pop(name)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
