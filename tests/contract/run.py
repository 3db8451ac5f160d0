"""Runs schemathesis against servers of our own: everything answers as /openapi.json says.

Once as `--dev` with every boundary of every value, once with keys and an administrator's token with values at random and with
requests that follow each other. Ends with `N passed, N failed, N skipped`, counted in operations.
"""
import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import urllib.request
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))

from server import Server  # noqa: E402

ARTIFACTS = Path(os.environ.get("MIXDOWN_ARTIFACTS", "artifacts")).absolute() / "contract"
# All that is refused because there is too much of it would look like an error of the server.
ENDLESS = {"MIXDOWN_ROOMS_MAX_ROOMS": "100000", "MIXDOWN_ROOMS_MAX_PARTICIPANTS": "10000", "MIXDOWN_NET_CONNECT_TIMEOUT_MS": "120000",
           "MIXDOWN_LIMITS_JOINS_PER_SECOND_PER_IP": "0", "MIXDOWN_ROOMS_EMPTY_TIMEOUT_MS": "600000"}


@dataclass
class Trial:
    """One server and what schemathesis does to it."""

    name: str
    serve: list[str]
    arguments: list[str]
    key: str | None = None

    def settings(self, folder: Path) -> Path:
        """A configuration with one webhook, behind which nobody listens."""
        file = folder / f"{self.name}.toml"
        keys = f'[[auth.keys]]\nid = "contract"\nsecret = "{self.key}"\n' if self.key else ""
        file.write_text(f"""{keys}
[webhooks]
outbox = "{folder / self.name}"

[[webhooks.endpoints]]
id = "contract"
url = "http://127.0.0.1:1/hook"
secrets = ["whsec_{'A' * 43}="]
allow_private_networks = true
""")
        return file

    def run(self, folder: Path) -> tuple[int, int]:
        server = Server(f"contract-{self.name}", ["--config", str(self.settings(folder)), *self.serve], ENDLESS)
        try:
            return self.compare(server.url)
        finally:
            server.stop()

    def compare(self, url: str) -> tuple[int, int]:
        """Operations that answer as described, and those that do not."""
        # The order of sets is part of what is generated.
        environment = os.environ | {"CONTRACT_URL": url, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"), "PYTHONHASHSEED": "0"}
        token = []
        if self.key:
            environment["CONTRACT_AUTHORIZATION"] = f"Bearer {administrator(url, self.key)}"
            token = ["-H", f"Authorization: {environment['CONTRACT_AUTHORIZATION']}"]
        report, log = ARTIFACTS / f"{self.name}.xml", ARTIFACTS / f"{self.name}.log"
        command = [Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json",
                   "--report-junit-path", report, *token, *self.arguments]
        with open(log, "wb") as output:
            code = subprocess.run(command, env=environment, cwd=ARTIFACTS, stdout=output, stderr=subprocess.STDOUT).returncode
        text = log.read_text(errors="replace")
        print(text if code else text[text.rfind("= SUMMARY") :], flush=True)
        suites = list(ElementTree.parse(report).getroot().iter("testsuite")) if report.exists() else []
        total, failed = (sum(int(suite.get(name, 0)) for suite in suites for name in names) for names in (("tests",), ("failures", "errors")))
        return total - failed, failed or int(code != 0)


def administrator(url: str, key: str) -> str:
    """A token for all rooms, made with the API key."""
    request = urllib.request.Request(f"{url}/v1/tokens", json.dumps({"identity": "contract", "admin": True, "ttl_ms": 3_600_000}).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Basic {base64.b64encode(f'contract:{key}'.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["token"]


TRIALS = [
    Trial("dev", ["--dev", "--no-demo"], ["--phases", "coverage", "--exclude-checks", "ignored_auth"]),
    Trial("keys", [], ["--phases", "fuzzing,stateful", "--max-examples", "5"], secrets.token_urlsafe(36)),
]


def main() -> int:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as together:
        counts = list(together.map(lambda trial: trial.run(Path(folder)), TRIALS))
    passed, failed = (sum(column) for column in zip(*counts))
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
