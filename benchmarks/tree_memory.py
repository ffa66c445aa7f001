"""The memory of a process and everything it started, sampled from outside, so that the samples cost it no lock."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

EVERY = 0.2  # seconds between two samples


@dataclass(slots=True)
class Peak:
    """The most memory seen, in bytes. `measure` is PSS (shared pages split among those who share them), else RSS."""

    tree: int = 0
    process: int = 0  # resident set of the largest single process
    measure: str = "PSS"


def watch(process: subprocess.Popen[str]) -> Peak:
    """Return the peak of a process and its descendants, after the process has ended."""
    peak, root = Peak(), psutil.Process(process.pid)
    while process.poll() is None:
        sample(root, peak)
        try:
            process.wait(EVERY)
        except subprocess.TimeoutExpired:
            continue
    return peak


def sample(root: psutil.Process, peak: Peak) -> None:
    """Raise the peak to what the tree holds now; processes that end meanwhile count as nothing."""
    total = 0
    for member in tree(root):
        try:
            info = member.memory_full_info()
        except psutil.Error:
            continue
        if not hasattr(info, "pss"):
            peak.measure = "RSS"
        total += getattr(info, "pss", info.rss)
        peak.process = max(peak.process, info.rss)
    peak.tree = max(peak.tree, total)


def tree(root: psutil.Process) -> list[psutil.Process]:
    """Return the process and its descendants that are alive."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def end(process: subprocess.Popen[str]) -> None:
    """Return once the process and its descendants are gone: killed, where they have not ended by themselves."""
    members = [] if process.poll() is not None else tree(psutil.Process(process.pid))
    for member in members:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
    psutil.wait_procs(members, timeout=5)
