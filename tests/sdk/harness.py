"""What the checks share: a report, assertions that say what they found, and processes to check."""

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

# For a process to say where it listens, for any one answer, and for a process to end.
DEADLINE_SECONDS = 20


class Failed(Exception):
    """A check that failed, with the sentence that says how."""


class Report:
    """Runs checks and counts them."""

    def __init__(self):
        self.passed = 0

    def check(self, sentence, act, *args):
        try:
            act(*args)
        except BaseException:
            print(f"FAILED  {sentence}", flush=True)
            raise
        self.passed += 1
        print(f"ok      {sentence}", flush=True)


def ensure(condition, sentence):
    if not condition:
        raise Failed(sentence)


def ensure_equal(found, expected, what):
    ensure(found == expected, f"{what}: expected {expected!r}, found {found!r}")


@contextlib.contextmanager
def running(command, pattern, stream_name, **options):
    """Starts a process, waits until a line of `stream_name` has `pattern`, gives its first group,
    and ends the process."""
    # No setting from outside; only what a process needs to start at all.
    environment = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    environment.update(options.pop("env", {}))
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream_name: subprocess.PIPE}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, text=True, encoding="utf-8", env=environment, **streams, **options
    )
    try:
        lines = queue.Queue()
        reader = threading.Thread(target=forward, args=(getattr(process, stream_name), lines), daemon=True)
        reader.start()
        yield first_match(lines, pattern, command)
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def forward(stream, lines):
    """Reads to the end, or a process that logs would block; `None` marks the end."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def first_match(lines, pattern, command):
    deadline = time.monotonic() + DEADLINE_SECONDS
    seen = []
    while True:
        try:
            line = lines.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            line = None
        ensure(line is not None, f"{command} did not say where it listens, but: {''.join(seen)!r}")
        seen.append(line)
        found = re.search(pattern, line)
        if found:
            return found[1]


def simulator(binary, *flags):
    """Runs a simulator without pace; gives its URL."""
    command = [binary, "simulate", "--port", "0", "--pace", "instant", *flags]
    return running(command, r"^AZURE_OPENAI_ENDPOINT=(http://127\.0\.0\.1:\d+)$", "stdout")


def main(*parts):
    """Runs the parts of a check against the program that the command line names."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} PATH_TO_BINARY")
    binary = str(Path(sys.argv[1]).resolve(strict=True))
    report = Report()
    try:
        for part in parts:
            part(report, binary)
    except Exception as failure:
        if isinstance(failure, Failed):
            print(f"        {failure}", flush=True)
        else:
            traceback.print_exc(file=sys.stdout)
        print(f"{report.passed} passed, 1 failed", flush=True)
        sys.exit(1)
    print(f"{report.passed} passed, 0 failed", flush=True)
