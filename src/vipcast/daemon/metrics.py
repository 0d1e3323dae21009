# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format, version 0.0.4: counters and gauges with labels.

A registry of our own, because the official client brings threads, globals and two MiB.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

__all__ = ["CONTENT_TYPE", "Metric", "Registry"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Metric:
    """One name with a value per combination of labels."""

    def __init__(self, name: str, kind: str, text: str, labels: tuple[str, ...]) -> None:
        self.name, self.kind, self.text, self.labels = name, kind, text, labels
        self._values: dict[tuple[str, ...], float] = {}
        if not labels:
            self._values[()] = 0.0

    def inc(self, amount: float = 1.0, **labels: str) -> None:
        """Count up."""
        key = self._key(labels)
        self._values[key] = self._values.get(key, 0.0) + amount

    def set(self, value: float, **labels: str) -> None:
        """The value now."""
        self._values[self._key(labels)] = float(value)

    def value(self, **labels: str) -> float | None:
        """Return what is exposed for these labels."""
        return self._values.get(self._key(labels))

    def clear(self) -> None:
        """Forget all combinations: what is not set again is no longer exposed."""
        self._values.clear()

    def lines(self) -> Iterator[str]:
        """Return the metrics in Prometheus' text format."""
        yield f"# HELP {self.name} {self.text.translate(_HELP_ESCAPES)}"
        yield f"# TYPE {self.name} {self.kind}"
        for key, value in sorted(self._values.items()):
            yield f"{self.name}{self._braces(key)} {_number(value)}"

    def _key(self, labels: dict[str, str]) -> tuple[str, ...]:
        if labels.keys() != set(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}")
        return tuple(labels[name] for name in self.labels)

    def _braces(self, key: tuple[str, ...]) -> str:
        pairs = zip(self.labels, key, strict=True)
        inside = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs)
        return f"{{{inside}}}" if inside else ""


class Registry:
    """All metrics of a process."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._collectors: list[Callable[[], None]] = []

    def counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Metric:
        """A number that only grows."""
        return self._add(Metric(name, "counter", text, labels))

    def gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Metric:
        """A number that goes up and down."""
        return self._add(Metric(name, "gauge", text, labels))

    def before_scrape(self, collect: Callable[[], None]) -> None:
        """Call `collect` before every exposition: for what is known elsewhere and needn't be kept twice."""
        self._collectors.append(collect)

    def render(self) -> str:
        """The exposition."""
        for collect in self._collectors:
            collect()
        return "".join(f"{line}\n" for metric in self._metrics.values() for line in metric.lines())

    def add_process(self, version: str) -> None:
        """Add the metrics that Prometheus expects of every process."""
        self.gauge("vipcast_build_info", "The version that is running.", ("version",)).set(1, version=version)
        self.gauge("process_start_time_seconds", "When the process started, unix time.").set(time.time())
        memory = self.gauge("process_resident_memory_bytes", "Resident memory.")
        self.before_scrape(lambda: memory.set(resident_bytes()))

    def _add(self, metric: Metric) -> Metric:
        if metric.name in self._metrics:
            raise ValueError(f"{metric.name} is there already")
        self._metrics[metric.name] = metric
        return metric


def resident_bytes() -> int:
    """Memory of this process that is in RAM (proc(5), statm)."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - scraped often
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
