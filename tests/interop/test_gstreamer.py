"""GStreamer publishes and plays, once its certificate is not RSA; and is told why while it is."""
import datetime
import json
import queue
import shutil
import subprocess
import threading
import time
import unittest
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from http_call import call_blocking
from server import ARTIFACTS, Server

RED = (81, 90, 240)
PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("gst_peer.py")
PROBE = """
import gi
for name in ("Gst", "GstSdp", "GstWebRTC"): gi.require_version(name, "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC
Gst.init(None)
for name in ("webrtcbin", "nicesink", "dtlsdec", "vp8enc", "x264enc", "opusenc", "rtpvp8pay", "avdec_h264"): assert Gst.ElementFactory.find(name), name
"""


def missing() -> str | None:
    if not shutil.which(PYTHON):
        return f"{PYTHON} is not here"
    probe = subprocess.run([PYTHON, "-c", PROBE], capture_output=True, text=True, check=False)
    return probe.stderr.strip().splitlines()[-1] if probe.returncode else None


class GstPeer:
    """A peer process; what it prints is kept as it comes."""

    def __init__(self, name: str, *words: str) -> None:
        with open(ARTIFACTS / f"{name}.log", "wb") as log:
            self.process = subprocess.Popen([PYTHON, str(SCRIPT), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.lines: queue.Queue[dict] = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def until(self, what: str, probe, seconds: float = 20) -> dict:
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                last = self.lines.get(timeout=0.2)
            except queue.Empty:
                continue
            if probe(last):
                return last
        raise AssertionError(f"not within {seconds} s: {what}; last: {last}")

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class GStreamer(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if lack := missing():
            raise unittest.SkipTest(f"GStreamer cannot be a peer here: {lack}")
        cls.server = Server("gstreamer")
        pem = ARTIFACTS / "ecdsa.pem"
        pem.write_text(ecdsa_certificate())
        cls.pem = str(pem)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def peer(self, room: str, role: str, codec: str, *pem: str) -> GstPeer:
        path = {"publish": "whip", "watch": "whep"}[role]
        peer = GstPeer(f"gstreamer-{role}-{codec}", role, f"{self.server.url}/{path}/{room}", codec, "440", *pem)
        self.addCleanup(peer.close)
        return peer

    def test_what_it_publishes_in_vp8_it_plays_in_h264(self) -> None:
        self.meet("vp8", "h264")

    def test_what_it_publishes_in_h264_it_plays_in_vp8(self) -> None:
        self.meet("h264", "vp8")

    def test_with_an_rsa_certificate_it_fails_and_its_state_says_why(self) -> None:
        publisher = self.peer("rsa", "publish", "vp8")
        session = publisher.until("the publisher is answered", lambda line: "session" in line)["session"]
        participant = f"{self.server.url}/v1/rooms/rsa/participants/{session.rsplit('/', 1)[1]}"
        end, state = time.monotonic() + 20, {}
        while state.get("state") != "disconnected":
            self.assertLess(time.monotonic(), end, f"still not disconnected: {state}")
            time.sleep(0.2)
            state = json.loads(call_blocking("GET", participant).body)
        self.assertIn("RSA", state["reason"])

    def meet(self, up: str, down: str) -> None:
        publisher = self.peer(up, "publish", up, self.pem)
        publisher.until("the publisher is answered", lambda line: "session" in line)
        player = self.peer(up, "watch", down, self.pem)
        player.until("the player sees red", lambda line: is_near(line.get("colour")))
        player.until("the player hears the tone", lambda line: line.get("share", 0) > 0.8)


def ecdsa_certificate() -> str:
    """Certificate and key, P-256, self-signed, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gstreamer")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1), not_valid_after=now + datetime.timedelta(days=1),
    ).sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()


def is_near(colour: list[int] | None) -> bool:
    """The label takes its share of the mean, and GStreamer takes pictures of this size for BT.709 where the stream does not say."""
    return colour is not None and all(abs(a - b) <= 45 for a, b in zip(colour, RED))


if __name__ == "__main__":
    unittest.main()
