"""Janus AudioBridge: one room of SENDERS plain-RTP participants, in real time.

Given, in the environment: INPUTS (a folder with 0.opus, 1.opus, …, a packet every 20 ms, each after its length as two bytes;
one of length 0 is not sent), SENDERS and MEDIA_S. Prints "CPU_SECONDS MEDIA_SECONDS" of the Janus process; ends with 77 and a
reason where Janus is missing.
"""
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
API = "http://127.0.0.1:8188/janus"
WARM_UP_S = 2.0
PACKET_S = 0.02


def missing(reason: str) -> None:
    print(reason, file=sys.stderr)
    sys.exit(77)


def packets(path: Path) -> list[bytes]:
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        (length,) = struct.unpack_from("!H", data, at)
        found.append(data[at + 2:at + 2 + length])
        at += 2 + length
    return found


def folder(name: str) -> str:
    """Where Debian and a build of one's own put modules."""
    places = [Path("/usr/lib") / machine / "janus" for machine in ("x86_64-linux-gnu", "aarch64-linux-gnu")]
    places += [Path("/usr/lib/janus"), Path("/usr/local/lib/janus"), Path("/opt/janus/lib/janus")]
    for place in places:
        if (place / name).is_dir():
            return str(place / name)
    missing(f"Janus's {name} are not where they are looked for")
    return ""


def configure(into: Path) -> None:
    for source in (HERE / "janus").iterdir():
        text = source.read_text()
        for mark, value in (("@CONFIG@", str(into)), ("@PLUGINS@", folder("plugins")), ("@TRANSPORTS@", folder("transports"))):
            text = text.replace(mark, value)
        (into / source.name).write_text(text)


class Janus:
    def __init__(self) -> None:
        self.transactions = 0
        for _ in range(100):
            try:
                self.session = self.post(API, {"janus": "create"})["data"]["id"]
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("Janus did not start")

    def post(self, url: str, body: dict) -> dict:
        self.transactions += 1
        data = json.dumps(body | {"transaction": str(self.transactions)}).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=10))

    def join(self) -> tuple[socket.socket, tuple[str, int]]:
        """A participant: its socket, and where it sends to."""
        attach = {"janus": "attach", "plugin": "janus.plugin.audiobridge"}
        handle = self.post(f"{API}/{self.session}", attach)["data"]["id"]
        port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        port.bind(("127.0.0.1", 0))
        port.setblocking(False)
        rtp = {"ip": "127.0.0.1", "port": port.getsockname()[1], "payload_type": 100}
        join = {"janus": "message", "body": {"request": "join", "room": 1, "rtp": rtp}}
        self.post(f"{API}/{self.session}/{handle}", join)
        while True:
            event = json.load(urllib.request.urlopen(f"{API}/{self.session}?maxev=1", timeout=40))
            for one in event if isinstance(event, list) else [event]:
                if one.get("sender") == handle and one.get("janus") == "event":
                    return port, ("127.0.0.1", one["plugindata"]["data"]["rtp"]["port"])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def talk(people: list, voices: list[list[bytes]], sent: list[int], first: int, seconds: float) -> int:
    """Everybody sends and receives for a while, after so many packets each; the number of the next beat."""
    begin, n = time.monotonic(), first
    while time.monotonic() - begin < seconds:
        for index, (port, address) in enumerate(people):
            packet = voices[index][n % len(voices[index])]
            if packet:
                sent[index] += 1
                header = struct.pack("!BBHII", 0x80, 100, sent[index] & 0xFFFF, (n * 960) & 0xFFFFFFFF, 1000 + index)
                port.sendto(header + packet, address)
            try:
                while port.recv(2048):
                    pass
            except BlockingIOError:
                pass
        n += 1
        time.sleep(max(0.0, begin + (n - first) * PACKET_S - time.monotonic()))
    return n


def main() -> None:
    if not shutil.which("janus"):
        missing("janus is not installed")
    inputs, senders, seconds = Path(os.environ["INPUTS"]), int(os.environ["SENDERS"]), float(os.environ["MEDIA_S"])
    voices = [packets(inputs / f"{number}.opus") for number in range(senders)]
    with tempfile.TemporaryDirectory(prefix="mixdown-janus-") as config:
        configure(Path(config))
        command = ["janus", "-F", config, "-C", f"{config}/janus.jcfg"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            janus = Janus()
            people = [janus.join() for _ in range(senders)]
            sent = [0] * senders
            after = talk(people, voices, sent, 0, WARM_UP_S)
            before, begin = cpu_seconds(process.pid), time.monotonic()
            talk(people, voices, sent, after, seconds)
            print(f"{cpu_seconds(process.pid) - before:.3f} {time.monotonic() - begin:.3f}")
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
