#!/usr/bin/env python3
"""Runs every check of the project, each named and timed: `check.py [--lint] [STEP…]`.

Without names all steps run; `--lint` runs the quick ones. They run one after the other, but for those that run aside: what is fetched
and installed for the tests comes while others compile, and what only compiles and lints runs while tests wait for real time, and takes
only what these leave of the processors. A step's whole output goes to artifacts/checks/STEP.log and, with
CI set, to the terminal as well; a step that fails shows its end. The last line is `N passed, N failed, N skipped`: the sum of
the tests that the steps count themselves, and one for each step that does not count.
"""
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "artifacts" / "checks"
VENV = ROOT / ".venv"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count_nextest(text: str) -> Count | None:
    found = re.findall(r"^\s*Summary \[.*?\] .*? run: (.*)$", text, re.M)
    return count_words(found[-1], passed="passed", failed=("failed", "timed out", "exec failed"), skipped="skipped") if found else None


def count_words(line: str, passed: str, failed: tuple[str, ...], skipped: str) -> Count:
    def number(word: str) -> int:
        match = re.search(rf"(\d+) {word}", line)
        return int(match.group(1)) if match else 0

    return Count(number(passed), sum(number(word) for word in failed), number(skipped))


def count_cargo_test(text: str) -> Count | None:
    found = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", text, re.M)
    return sum((Count(*map(int, row)) for row in found), Count()) if found else None


def count_summary(text: str) -> Count | None:
    """The last `N passed, N failed, N skipped` of the output."""
    found = re.findall(r"(\d+) passed, (\d+) failed, (\d+) skipped", text)
    return Count(*map(int, found[-1])) if found else None


def count_unittest(text: str) -> Count | None:
    total = Count()
    rows = re.findall(r"^Ran (\d+) tests? in [^\n]*\n+(OK|FAILED)(?: \(([^)]*)\))?", text, re.M)
    for ran, _, notes in rows:
        number = {key: int(value) for key, value in re.findall(r"([\w ]+?)=(\d+)", notes)}
        skipped = sum(value for key, value in number.items() if key.strip() == "skipped")
        failed = sum(value for key, value in number.items() if key.strip() in ("failures", "errors", "unexpected successes"))
        total += Count(max(int(ran) - failed - skipped, 0), failed, skipped)
    return total if rows else None


@dataclass
class Step:
    name: str
    commands: list[list[str]]
    count: Callable[[str], Count | None] = lambda _: None
    timeout_s: int = 600
    needs: list[Path] = field(default_factory=list)
    "Files without which there is nothing to check."
    tools: list[str] = field(default_factory=list)
    "Programs without which the step is left out."
    directory: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)
    lint: bool = False
    aside: bool = False
    "Runs while those behind it do, and its output is shown when it is done."
    patient: bool = False
    "Takes what processor time nobody else wants, where it runs aside."
    joins: bool = False
    "Waits for all that runs aside when its turn comes."

    def missing(self) -> str | None:
        absent = [str(path.relative_to(ROOT)) for path in self.needs if not path.exists()]
        absent += [tool for tool in self.tools if not shutil.which(tool)]
        return ", ".join(absent) or None


def cargo(*words: str) -> list[str]:
    return ["cargo", *words]


def target(profile: str = "debug") -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute() / profile


def tests_step(install: list[str]) -> Step:
    # Charts of impaired links are kept.
    environment = {"MIXDOWN_ARTIFACTS": str(ROOT / "artifacts"), "MIXDOWN_TEST_COMPLETE": "1"}
    if shutil.which("cargo-nextest"):
        run = cargo("nextest", "run", "--locked", "--workspace", "--no-fail-fast", "--status-level", "slow", "--final-status-level", "fail")
        # Beside those that run in real time, as many as there are processors, one that does not (.config/nextest.toml).
        run += ["--test-threads", str((os.cpu_count() or 1) + 1)]
        return Step("tests", [install, run], count_nextest, timeout_s=2700, environment=environment, joins=True)
    run = cargo("test", "--locked", "--workspace", "--no-fail-fast", "-q")
    return Step("tests", [install, run], count_cargo_test, timeout_s=2700, environment=environment, joins=True)


def steps() -> list[Step]:
    mixdown = str(target() / "mixdown")
    program = {"MIXDOWN_BIN": mixdown, "MIXDOWN_ARTIFACTS": str(ROOT / "artifacts")}
    browser, interop, contract = (ROOT / "tests" / name for name in ("browser", "interop", "contract"))
    python, requirements = str(VENV / "bin" / "python"), ROOT / "tests" / "requirements.txt"
    install = [sys.executable, str(ROOT / "tools" / "requirements.py"), str(requirements.relative_to(ROOT))]
    return [
        # Browsers, other servers and foreign clients: mostly waits for the network and the disk.
        Step("install", [[sys.executable, str(ROOT / "tools" / "packages.py"), "test"], install], timeout_s=1200, aside=True),
        Step("format", [cargo("fmt", "--all", "--check")], lint=True),
        # With the tests' features: the same dependencies are not built twice.
        Step("build", [cargo("build", "--locked", "--workspace", "--bins", "--tests")], timeout_s=1800, lint=True),
        tests_step(install),
        Step("clippy", [cargo("clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings")], timeout_s=1200, lint=True, aside=True, patient=True),
        # The program alone: its tests are run with all codecs. With a test, so that dependencies have the features that they have been checked with.
        Step("without-h264", [cargo("check", "--locked", "-p", "mixdown", "--no-default-features", "--lib", "--bins", "--test", "architecture")], lint=True,
             environment={"RUSTFLAGS": os.environ.get("RUSTFLAGS", "")}, aside=True, patient=True),
        Step("docs", [cargo("doc", "--locked", "--workspace", "--no-deps", "--document-private-items")], environment={"RUSTDOCFLAGS": "-D warnings -A rustdoc::private_intra_doc_links"},
             lint=True, aside=True, patient=True),
        Step("licences", [cargo("deny", "--offline", "check", "bans", "licenses", "sources")], needs=[ROOT / "deny.toml"], tools=["cargo-deny"], lint=True),
        Step("config", [[mixdown, "config", "check", "--dev", "config/mixdown.toml"], [mixdown, "config", "check", "config/docker.toml"]], lint=True,
             environment={"MIXDOWN_AUTH_KEYS": f"main:{secrets.token_urlsafe(36)}", "TURN_SECRET": secrets.token_urlsafe(36)}),
        Step("browser", [["npm", "ci", "--silent"], ["npm", "test"]], count_summary, 900, [browser / "package.json"], ["node", "npm"], browser,
             program | {"PUPPETEER_SKIP_DOWNLOAD": "1"}),
        Step("contract", [install, [python, str(contract / "run.py")]], count_summary, 600, [requirements], environment=program),
        Step("interop", [install, [python, "-m", "unittest", "discover", "-v", "-s", str(interop), "-t", str(interop)]],
             count_unittest, 600, [requirements], environment=program),
    ]


def run_step(step: Step) -> tuple[int, str]:
    """Runs the step's commands until one fails; returns its exit code (124: out of time) and all output."""
    loud = bool(os.environ.get("CI")) and not step.aside
    deadline = time.monotonic() + step.timeout_s
    output: list[str] = []
    with open(LOGS / f"{step.name}.log", "w", encoding="utf-8") as log:
        for command in step.commands:
            if step.aside and step.patient and shutil.which("chrt"):
                command = ["chrt", "--idle", "0", *command]
            log.write(f"$ {' '.join(command)}\n")
            try:
                process = subprocess.Popen(command, cwd=step.directory, env=os.environ | step.environment, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
            except OSError as error:
                return 127, f"{command[0]}: {error}"
            expired = threading.Event()
            timer = threading.Timer(max(deadline - time.monotonic(), 1), lambda: (expired.set(), end_group(process)))
            timer.start()
            for line in process.stdout:
                output.append(ANSI.sub("", line))
                log.write(output[-1])
                if loud:
                    print(line, end="", flush=True)
            code = process.wait()
            timer.cancel()
            if expired.is_set():
                return 124, "".join(output) + f"\nstopped: longer than {step.timeout_s} s\n"
            if code != 0:
                return code, "".join(output)
    return 0, "".join(output)


def end_group(process: subprocess.Popen) -> None:
    """Ends the step's own process group: a test that hangs leaves no server or browser behind."""
    try:
        os.killpg(process.pid, 15)
        time.sleep(2)
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass


def report(step: Step) -> Count:
    if missing := step.missing():
        print(f"skip  {step.name:<14}        not here: {missing}", flush=True)
        return Count(skipped=1)
    if os.environ.get("CI"):
        # In one piece: two lanes write.
        print(f"----  {step.name}{' (aside)' if step.aside else ''}\n", end="", flush=True)
    start = time.monotonic()
    code, text = run_step(step)
    count = step.count(text) or (Count(passed=1) if code == 0 else Count())
    if code != 0 and count.failed == 0:
        # It failed outside of what it counts.
        count += Count(failed=1)
    said = f"{'FAIL' if count.failed else 'ok  '}  {step.name:<14} {time.monotonic() - start:6.1f} s  {count}\n"
    if os.environ.get("CI") and step.aside:
        said = text + said
    if count.failed and not os.environ.get("CI"):
        said += "".join(f"      {line}\n" for line in text.splitlines()[-80:])
    print(said, end="", flush=True)
    return count


def report_all(chosen: list[Step]) -> Count:
    """Runs the steps in their order; those that run aside, one after the other beside the rest."""
    total = Count()
    with ThreadPoolExecutor(max_workers=1) as lane:
        aside: list[Future[Count]] = []
        for step in chosen:
            if step.aside:
                aside.append(lane.submit(report, step))
                continue
            if step.joins:
                wait(aside)
            total += report(step)
    return sum((ended.result() for ended in aside), total)


def main() -> int:
    names = [word for word in sys.argv[1:] if not word.startswith("-")]
    chosen = [step for step in steps() if (not names or step.name in names) and ("--lint" not in sys.argv or step.lint)]
    unknown = set(names) - {step.name for step in steps()}
    if unknown:
        print(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(step.name for step in steps())}", file=sys.stderr)
        return 2
    if names or "--lint" in sys.argv:
        chosen = [replace(step, aside=False) for step in chosen]
    LOGS.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    total = report_all(chosen)
    print(f"{time.monotonic() - start:.0f} s; logs in {LOGS.relative_to(ROOT)}")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
