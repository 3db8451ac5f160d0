"""GStreamer's webrtcbin as a WHIP publisher or a WHEP player; a process of its own, for the system's Python has GObject.

    gst_peer.py publish URL vp8|h264 HERTZ [PEM]   sends red pictures and a tone until its input closes
    gst_peer.py watch URL vp8|h264 HERTZ [PEM]     prints one JSON line each half second: mean Y, U, V of the picture, share of the tone

PEM is a file with certificate and key; without it the certificate is GStreamer's own, which is RSA.
"""
import hashlib
import json
import math
import re
import ssl
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

SIDE, RATE = 16, 8000
VIDEO = {
    "vp8": ("vp8enc deadline=1 keyframe-max-dist=60 target-bitrate=500000 ! rtpvp8pay pt=96", "VP8", 96),
    "h264": ("x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=500 ! video/x-h264,profile=constrained-baseline ! rtph264pay pt=97 config-interval=-1 aggregate-mode=zero-latency", "H264", 97),
}
PUBLISH = """webrtcbin name=rtc bundle-policy=max-bundle
 videotestsrc is-live=true pattern=solid-color foreground-color=0xffff0000 ! video/x-raw,width=640,height=360,framerate=25/1 ! videoconvert ! {video} ! rtc.
 audiotestsrc is-live=true freq={hertz} volume=0.4 ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay pt=111 ! rtc."""


class Peer:
    def __init__(self, pipeline: Gst.Pipeline, url: str, pem: str) -> None:
        self.pipeline, self.url, self.pem, self.session = pipeline, url, pem, ""
        self.rtc = pipeline.get_by_name("rtc")
        if pem:
            self.rtc.connect("deep-element-added", lambda rtc, inside, element: self.certify(element, pem))
        self.gathered = False
        self.rtc.connect("notify::ice-gathering-state", self.on_gathering)
        self.rtc.connect("on-negotiation-needed", lambda rtc: self.offer())

    def certify(self, element: Gst.Element, pem: str) -> None:
        factory = element.get_factory()
        if factory and factory.get_name() == "dtlssrtpdec":
            element.set_property("pem", pem)

    def offer(self) -> None:
        def created(promise: Gst.Promise) -> None:
            # The description lives as long as the reply that holds it.
            reply = promise.get_reply()
            offer = reply.get_value("offer")
            self.rtc.emit("set-local-description", offer, Gst.Promise.new())

        self.rtc.emit("create-offer", None, Gst.Promise.new_with_change_func(created))

    def on_gathering(self, rtc, _) -> None:
        if rtc.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE or self.gathered:
            return
        self.gathered = True
        threading.Thread(target=self.post, daemon=True).start()

    def post(self) -> None:
        text = self.rtc.get_property("local-description").sdp.as_text()
        if self.pem:
            # webrtcbin names the certificate that it had before.
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem[: self.pem.index("-----BEGIN PRIVATE")])).digest()
            text = re.sub(r"a=fingerprint:sha-256 \S+", f"a=fingerprint:sha-256 {digest.hex(':').upper()}", text)
        request = urllib.request.Request(self.url, text.encode(), {"Content-Type": "application/sdp"}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                self.session = urljoin(self.url, response.headers["Location"])
                answer = response.read().decode()
        except urllib.error.HTTPError as error:
            print(json.dumps({"refused": error.code, "detail": error.read().decode()}), flush=True)
            return
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.rtc.emit("set-remote-description", description, Gst.Promise.new())
        print(json.dumps({"session": self.session}), flush=True)


class Watcher:
    """Reads back mean colour and tone."""

    def __init__(self, pipeline: Gst.Pipeline, hertz: float) -> None:
        self.pipeline, self.hertz = pipeline, hertz
        self.colour, self.pcm = None, []
        pipeline.get_by_name("rtc").connect("pad-added", self.on_pad)
        GLib.timeout_add(500, self.report)

    def on_pad(self, _, pad: Gst.Pad) -> None:
        if pad.direction != Gst.PadDirection.SRC:
            return
        decoder = Gst.ElementFactory.make("decodebin")
        decoder.connect("pad-added", self.on_decoded)
        self.pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    def on_decoded(self, _, pad: Gst.Pad) -> None:
        video = pad.query_caps(None).to_string().startswith("video")
        chain = (
            f"queue leaky=downstream ! videoconvert ! videoscale ! video/x-raw,format=I420,width={SIDE},height={SIDE} ! appsink name=out emit-signals=true sync=false"
            if video else f"queue ! audioconvert ! audioresample ! audio/x-raw,format=S16LE,rate={RATE},channels=1 ! appsink name=out emit-signals=true sync=false"
        )
        tail = Gst.parse_bin_from_description(chain, True)
        tail.get_by_name("out").connect("new-sample", self.on_picture if video else self.on_sound)
        self.pipeline.add(tail)
        tail.sync_state_with_parent()
        pad.link(tail.get_static_pad("sink"))

    def data(self, sink) -> bytes:
        buffer = sink.emit("pull-sample").get_buffer()
        return buffer.extract_dup(0, buffer.get_size())

    def on_picture(self, sink) -> Gst.FlowReturn:
        data, luma = self.data(sink), SIDE * SIDE
        planes = data[:luma], data[luma : luma * 5 // 4], data[luma * 5 // 4 : luma * 3 // 2]
        self.colour = [sum(plane) // len(plane) for plane in planes]
        return Gst.FlowReturn.OK

    def on_sound(self, sink) -> Gst.FlowReturn:
        data = memoryview(self.data(sink)).cast("h")
        self.pcm = (self.pcm + list(data))[-RATE // 2 :]
        return Gst.FlowReturn.OK

    def report(self) -> bool:
        print(json.dumps({"colour": self.colour, "share": tone_share(self.pcm, self.hertz)}), flush=True)
        return True


def tone_share(pcm: list[int], hertz: float) -> float:
    """Share of the energy at one frequency (Goertzel), 0 to 1."""
    energy = sum(sample * sample for sample in pcm)
    if energy == 0:
        return 0.0
    real = sum(sample * math.cos(2 * math.pi * hertz * at / RATE) for at, sample in enumerate(pcm))
    imaginary = sum(sample * math.sin(2 * math.pi * hertz * at / RATE) for at, sample in enumerate(pcm))
    return 2 * (real * real + imaginary * imaginary) / (len(pcm) * energy)


def receivers(rtc, codec: str) -> None:
    _, name, payload = VIDEO[codec]
    # What says nothing of a packetization mode is mode 0, which is not sent.
    mode = ",packetization-mode=(string)1,profile-level-id=(string)42e01f" if codec == "h264" else ""
    for caps in (f"application/x-rtp,media=video,encoding-name={name},clock-rate=90000,payload={payload}{mode}",
                 "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,payload=111"):
        rtc.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, Gst.Caps.from_string(caps))


def main() -> None:
    role, url, codec, hertz, *pem = sys.argv[1:]
    Gst.init(None)
    if role == "publish":
        pipeline = Gst.parse_launch(PUBLISH.format(video=VIDEO[codec][0], hertz=hertz))
    else:
        pipeline = Gst.Pipeline.new()
        rtc = Gst.ElementFactory.make("webrtcbin", "rtc")
        rtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        pipeline.add(rtc)
        receivers(rtc, codec)
    peer = Peer(pipeline, url, Path(pem[0]).read_text() if pem else "")
    if role == "watch":
        Watcher(pipeline, float(hertz))
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    if peer.session:
        try:
            urllib.request.urlopen(urllib.request.Request(peer.session, method="DELETE"), timeout=5).close()
        except urllib.error.HTTPError:
            pass  # ended already
    pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
