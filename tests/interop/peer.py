"""aiortc as a participant, a WHIP publisher and a WHEP player."""
import asyncio
import json

import aioice.ice
import numpy
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioResampler

from http_call import Answer, call, location
from media import RATE, Colour, Tone

# aiortc leaves loopback out; here it is all there is.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Peer:
    """One connection: what it receives is kept in `frame` (the latest picture), `pcm` (the last second) and `messages`."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.frame = None
        self.frames = 0
        self.pcm = numpy.zeros(RATE)
        self.samples = 0
        self.messages: list[dict] = []
        self.session = ""
        self.etag = ""
        self.readers: list[asyncio.Task] = []
        self.connection.on("track", lambda track: self.readers.append(asyncio.ensure_future(self.read(track))))

    async def read(self, track) -> None:
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        try:
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    self.frame, self.frames = frame, self.frames + 1
                    continue
                for part in resampler.resample(frame):
                    self.hear(part.to_ndarray().reshape(-1).astype(float))
        except MediaStreamError:
            pass

    def hear(self, samples: numpy.ndarray) -> None:
        self.pcm = numpy.concatenate([self.pcm, samples])[-RATE:]
        self.samples += len(samples)

    def add(self, kind: str, direction: str, track=None, codec: str | None = None) -> None:
        transceiver = self.connection.addTransceiver(track or kind, direction=direction)
        if codec:
            known = RTCRtpReceiver.getCapabilities(kind).codecs
            transceiver.setCodecPreferences([entry for entry in known if entry.mimeType.lower() == f"{kind}/{codec}".lower()])

    def open_channel(self) -> None:
        channel = self.connection.createDataChannel("mixdown")
        channel.on("message", lambda text: self.messages.append(json.loads(text)))

    async def offer(self, url: str) -> Answer:
        """POSTs an offer with all candidates and applies the answer."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        answer = await call("POST", url, self.connection.localDescription.sdp, Content_Type="application/sdp")
        if answer.status == 201:
            self.session, self.etag = location(url, answer), answer.headers["ETag"]
            await self.connection.setRemoteDescription(RTCSessionDescription(answer.body, "answer"))
        return answer

    def latest(self, kind: str) -> dict | None:
        return next((message for message in reversed(self.messages) if message.get("type") == kind), None)

    async def close(self) -> None:
        if self.session:
            await call("DELETE", self.session)
        await self.connection.close()
        for reader in self.readers:
            reader.cancel()


async def join(url: str, room: str, name: str, codec: str, yuv: tuple[int, int, int], hertz: float) -> Peer:
    """A participant who sends one colour and one tone and receives the composite."""
    peer = Peer()
    peer.add("audio", "sendrecv", Tone(hertz))
    peer.add("video", "sendrecv", Colour(yuv), codec)
    peer.open_channel()
    answer = await peer.offer(f"{url}/v1/rooms/{room}/participants?name={name}")
    assert answer.status == 201, (answer.status, answer.body)
    return peer


async def until(what: str, probe, seconds: float = 15):
    """Waits until `probe()` gives something true and returns it; what it gave last is part of the error."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        last = probe()
        if last:
            return last
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"not within {seconds} s: {what}; last: {last!r}")
        await asyncio.sleep(0.1)
