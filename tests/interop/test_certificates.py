"""Clients whose certificate is not the usual one: an RSA key is told apart by name, in the state, the events and the log; P-384 is taken."""
import asyncio
import datetime
import json
import unittest
import urllib.request

from aiortc.rtcdtlstransport import RTCCertificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from http_call import call
from media import Colour, Tone
from peer import Peer, until
from server import ARTIFACTS, Server


def certificate(key) -> RTCCertificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1), not_valid_after=now + datetime.timedelta(days=1),
    ).sign(key, hashes.SHA256())
    return RTCCertificate(key=key, cert=made)


def follow(url: str, kind: str) -> dict:
    """The first event of this kind."""
    with urllib.request.urlopen(url, timeout=30) as stream:
        for line in stream:
            if line.startswith(b"data:") and json.loads(line[5:]).get("type") == kind:
                return json.loads(line[5:])
    raise AssertionError(f"no {kind}")


class Certificates(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server("certificates")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    async def publish(self, room: str, key) -> Peer:
        peer = Peer()
        self.addAsyncCleanup(peer.close)
        # There is no other way to choose it.
        peer.connection._RTCPeerConnection__certificates = [certificate(key)]
        peer.add("audio", "sendonly", Tone(440))
        peer.add("video", "sendonly", Colour((90, 100, 210)), "VP8")
        answer = await peer.offer(f"{self.server.url}/whip/{room}")
        self.assertEqual(answer.status, 201, answer.body)
        return peer

    async def state(self, room: str, peer: Peer) -> dict:
        participant = peer.session.rsplit("/", 1)[1]
        return json.loads((await call("GET", f"{self.server.url}/v1/rooms/{room}/participants/{participant}")).body)

    async def test_an_rsa_certificate_is_named_in_the_state_the_event_and_the_log(self) -> None:
        # The room is there before its first guest, so that nothing is missed.
        await call("PUT", f"{self.server.url}/v1/rooms/rsa", "{}", Content_Type="application/json")
        told = asyncio.ensure_future(asyncio.to_thread(follow, f"{self.server.url}/v1/rooms/rsa/events", "participant.left"))
        await asyncio.sleep(0.5)
        peer = await self.publish("rsa", rsa.generate_private_key(65537, 2048))
        end = asyncio.get_running_loop().time() + 20
        while (state := await self.state("rsa", peer))["state"] != "disconnected":
            self.assertLess(asyncio.get_running_loop().time(), end, state)
            await asyncio.sleep(0.2)
        self.assertIn("RSA", state["reason"])
        self.assertEqual(state["reason_code"], "dtls_failed")
        event = await told
        self.assertIn("RSA", json.dumps(event))
        self.assertIn("dtls_failed", json.dumps(event))
        log = (ARTIFACTS / "certificates.log").read_text()
        self.assertRegex(log, r"participant out: .*RSA")

    async def test_a_certificate_of_p_384_is_taken(self) -> None:
        peer = await self.publish("curve", ec.generate_private_key(ec.SECP384R1()))
        await until("connected", lambda: peer.connection.connectionState == "connected")
        self.assertEqual((await self.state("curve", peer))["state"], "connected")


if __name__ == "__main__":
    unittest.main()
