"""A Mixdown of its own for a test class, on ports that are free."""
import os
import socket
import subprocess
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = os.environ.get("MIXDOWN_BIN", "")
ARTIFACTS = Path(os.environ.get("MIXDOWN_ARTIFACTS", "artifacts")) / "interop"


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Starts on creation, is ready when the constructor returns."""

    def __init__(self, name: str, arguments: Sequence[str] = ("--dev", "--no-demo"), settings: Mapping[str, str] = {}) -> None:
        if not os.access(PROGRAM, os.X_OK):
            raise unittest.SkipTest("MIXDOWN_BIN does not name the mixdown program")
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        address = f"127.0.0.1:{free_port(socket.SOCK_STREAM)}"
        self.url = f"http://{address}"
        own = {"MIXDOWN_HTTP_BIND": address, "MIXDOWN_NET_PORT": str(free_port(socket.SOCK_DGRAM)), "MIXDOWN_RECORDINGS_FOLDER": str(ARTIFACTS / f"{name}-recordings"),
               # A machine that is busy with other programs is no server that is overloaded.
               "MIXDOWN_OVERLOAD_GOVERNOR": "false", "MIXDOWN_OVERLOAD_ADMISSION": "false"}
        with open(ARTIFACTS / f"{name}.log", "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "serve", *arguments], env=os.environ | own | settings, stdout=log, stderr=log)
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def wait_until_ready(self) -> None:
        end = time.monotonic() + 15
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"mixdown is not ready (exit code {self.process.poll()}); see {ARTIFACTS}") from None
                time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
