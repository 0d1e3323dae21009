# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for programs under test, as two processes of these tests see them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import ports

TESTS = Path(__file__).parents[2]
_ASK = "import sys; from support.ports import free_port; print(free_port(), flush=True); sys.stdin.read()"


@contextmanager
def another_process() -> Iterator[int]:
    """A process that was given a port and still runs."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", _ASK]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate(timeout=10)


@pytest.fixture
def new_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next port is the first of a block."""
    monkeypatch.setattr(ports, "_ports", ports._ports_of_ours())


def block_of(port: int) -> range:
    return next(block for block in ports.blocks() if port in block)


def test_the_kernel_gives_none_of_them_to_a_client() -> None:
    low, high = (int(number) for number in ports._RANGE.read_text().split())
    assert not [port for block in ports.blocks() for port in block if low <= port <= high]
    assert len(ports.blocks()) >= 20


def test_each_process_has_blocks_of_its_own() -> None:
    ours = ports.free_port()
    with another_process() as first, another_process() as second:
        given = [block_of(port) for port in (ours, first, second)]
        assert len({block.start for block in given}) == 3


def test_a_port_is_given_once_and_one_that_is_taken_is_left_out(new_block: None) -> None:
    first = ports.free_port()
    with socket.create_server(("127.0.0.1", first + 1)):
        assert ports.free_port() == first + 2
    assert ports.free_port() == first + 3


def test_a_process_that_needs_more_than_a_block_has_another(new_block: None) -> None:
    given = [ports.free_port() for _each in range(ports.BLOCK + 1)]
    assert len(set(given)) == len(given)
    assert len({block_of(port).start for port in given}) == 2
