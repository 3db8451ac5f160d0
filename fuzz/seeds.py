#!/usr/bin/env python3
"""Writes the seed corpora anew: `seeds.py`, with ffmpeg. Well-formed inputs, and for each parser the shapes that broke others.

Coded media are lists of units, each with its length in front (16 bits, big-endian), so that one input can be a whole stream.
"""
import base64
import hmac
import json
import re
import struct
import subprocess
import zlib
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"


def write(target: str, name: str, data: bytes | str) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def units(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(part)) + part for part in parts)


def ffmpeg(*arguments: str) -> bytes:
    return subprocess.run(["ffmpeg", "-v", "error", *arguments, "-"], stdout=subprocess.PIPE, check=True).stdout


def access_units(stream: bytes) -> list[bytes]:
    """Annex B cut before every access unit delimiter."""
    cuts = [match.start() for match in re.finditer(rb"\x00\x00\x00\x01\x09", stream)] + [len(stream)]
    return [stream[a:b] for a, b in zip(cuts, cuts[1:])]


def ivf_frames(stream: bytes) -> list[bytes]:
    frames, at = [], 32
    while at + 12 <= len(stream):
        (size,) = struct.unpack_from("<I", stream, at)
        frames.append(stream[at + 12 : at + 12 + size])
        at += 12 + size
    return frames


def ogg_packets(stream: bytes) -> list[bytes]:
    packets, at, part = [], 0, b""
    while stream[at : at + 4] == b"OggS":
        table = stream[at + 27 : at + 27 + stream[at + 26]]
        at += 27 + len(table)
        for length in table:
            part += stream[at : at + length]
            at += length
            if length < 255:
                packets.append(part)
                part = b""
    return packets[2:]


class Bits:
    """Exp-Golomb and plain bits, as parameter sets are written."""

    def __init__(self) -> None:
        self.bits = ""

    def u(self, count: int, value: int) -> "Bits":
        self.bits += format(value, f"0{count}b")
        return self

    def ue(self, *values: int) -> "Bits":
        for value in values:
            code = format(value + 1, "b")
            self.bits += "0" * (len(code) - 1) + code
        return self

    def nal(self, header: int) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        payload = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        return b"\0\0\0\1" + bytes([header]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def sps(width: int, height: int, profile: int = 66, level: int = 31, chroma: int = 1, frame_only: int = 1, refs: int = 1) -> bytes:
    bits = Bits().u(8, profile).u(8, 0xC0 if profile == 66 else 0).u(8, level).ue(0)
    if profile >= 100:
        bits.ue(chroma)
        if chroma == 3:
            bits.u(1, 0)
        bits.ue(0, 0).u(1, 0).u(1, 0)
    bits.ue(0, 2, refs).u(1, 0).ue(width // 16 - 1, height // 16 // (2 - frame_only) - 1).u(1, frame_only)
    if not frame_only:
        bits.u(1, 0)
    return bits.u(1, 1).u(1, 0).u(1, 0).nal(0x67)


def h264() -> None:
    source = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.6"]
    coded = ["-c:v", "libx264", "-profile:v", "baseline", "-g", "4", "-x264-params", "aud=1:repeat-headers=1", "-f", "h264"]
    good = access_units(ffmpeg(*source, *coded))
    odd = access_units(ffmpeg("-f", "lavfi", "-i", "testsrc2=s=66x50:r=10:d=0.2", *coded))
    high = access_units(ffmpeg(*source, "-c:v", "libx264", "-pix_fmt", "yuv444p", "-g", "4", "-x264-params", "aud=1:repeat-headers=1", "-f", "h264"))
    pps = Bits().ue(0, 0).u(2, 0).ue(0, 0, 0).u(3, 0).ue(0, 0, 0).u(3, 0).nal(0x68)
    idr = b"\0\0\0\1\x65\x88\x84\0\x10\xff\xfe\xf6"
    write("h264", "stream", units(*good))
    write("h264", "resolution_change", units(*good[:3], *odd, *good[4:]))
    write("h264", "no_keyframe", units(*good[1:4]))
    write("h264", "truncated_picture", units(good[0][: len(good[0]) // 2], *good[1:3]))
    write("h264", "high_444", units(high[0][:600]))
    write("h264", "claims_4096x2304", units(sps(4096, 2304, level=51) + pps + idr))
    write("h264", "claims_65536x65536", units(sps(65536, 65536, level=62) + pps + idr))
    write("h264", "interlaced", units(sps(64, 64, profile=77, frame_only=0) + pps + idr))
    write("h264", "many_references", units(sps(64, 64, refs=16) + pps + idr))
    write("h264", "parameter_set_churn", units(*[sps(64 + 16 * i, 64) + pps for i in range(12)]))
    write("h264", "nal_types", units(*[b"\0\0\1" + bytes([kind]) + b"\x80\0\0" for kind in (0, 14, 20, 24, 25, 28, 29, 30, 31, 0x80 | 5)]))
    write("h264", "slice_before_sps", units(idr))
    write("h264", "pps_alone", units(pps + idr))
    write("h264", "long_exp_golomb", units(b"\0\0\0\1\x67\x42\xc0\x1f" + b"\0" * 40))
    write("h264", "emulation_prevention", units(b"\0\0\0\1\x67\x42\xc0\x1f" + b"\0\0\3" * 30, b"\0\0\3\0\0\3\0\0\1"))
    write("h264", "start_codes_alone", units(b"", b"\0", b"\0\0\1", b"\0\0\0\1", b"\0\0\1\0\0\1\0\0\1", b"\x67"))
    write("h264", "sei_flood", units(b"\0\0\1\x06" + b"\xff" * 2000 + b"\x80"))


def vp8() -> None:
    def key(width: int, height: int, tag: int = 0x10, code: bytes = b"\x9d\x01\x2a", rest: bytes = b"\0" * 24, first: int = 8) -> bytes:
        head = tag | first << 5
        return struct.pack("<I", head)[:3] + code + struct.pack("<HH", width, height) + rest

    good = ivf_frames(ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.6", "-c:v", "libvpx", "-g", "4", "-f", "ivf"))
    odd = ivf_frames(ffmpeg("-f", "lavfi", "-i", "testsrc2=s=65x49:r=10:d=0.2", "-c:v", "libvpx", "-g", "4", "-f", "ivf"))
    write("vp8", "stream", units(*good))
    write("vp8", "resolution_change", units(*good[:3], *odd, *good[4:]))
    write("vp8", "no_keyframe", units(*good[1:4]))
    write("vp8", "truncated_picture", units(good[0][: len(good[0]) // 2], *good[1:3]))
    write("vp8", "claims_16383x16383", units(key(0x3FFF, 0x3FFF)))
    write("vp8", "scaling_bits", units(key(64 | 0xC000, 48 | 0x8000)))
    write("vp8", "size_zero", units(key(0, 48), key(64, 0)))
    write("vp8", "bad_start_code", units(key(64, 48, code=b"\x9d\x01\x2b")))
    write("vp8", "partition_beyond_end", units(key(64, 48, first=0x7FFFF)))
    write("vp8", "versions", units(*[key(64, 48, tag=0x10 | version << 1) for version in range(8)]))
    write("vp8", "golden_alone", units(good[0], b"\x31\x02\0" + b"\xff" * 40))
    write("vp8", "short", units(b"", b"\0", b"\x10\x02", b"\x10\x02\0\x9d\x01"))


def audio() -> None:
    sound = ["-f", "lavfi", "-i", "sine=440:r=48000:d=0.3"]
    mono = ogg_packets(ffmpeg(*sound, "-c:a", "libopus", "-b:a", "24k", "-frame_duration", "20", "-f", "ogg"))
    long = ogg_packets(ffmpeg(*sound, "-c:a", "libopus", "-b:a", "24k", "-frame_duration", "60", "-f", "ogg"))
    stereo = ogg_packets(ffmpeg("-f", "lavfi", "-i", "aevalsrc=sin(440*t)|sin(660*t):s=48000:d=0.2", "-c:a", "libopus", "-b:a", "64k", "-f", "ogg"))
    write("opus", "mono", units(*mono))
    write("opus", "frames_of_60_ms", units(*long))
    write("opus", "stereo_and_mono", units(*[packet for pair in zip(stereo, mono) for packet in pair]))
    write("opus", "discontinuous", units(mono[0], mono[1][:1], b"", mono[2]))
    write("opus", "code_3", units(b"\x7b\0", b"\x7b\x31" + b"\0" * 49, b"\x7b\x71" + b"\xff" * 300, b"\xff\x3f" + b"\0" * 64))
    write("opus", "modes", units(*[bytes([toc << 3 | code, 0x55]) + b"\xaa" * 20 for toc in range(32) for code in (0, 3)]))
    write("opus", "too_long", units(b"\xfc" + b"\x5a" * 3000))
    write("g711", "tone", units(ffmpeg(*sound, "-ar", "8000", "-c:a", "pcm_mulaw", "-f", "mulaw")[:320]))
    write("g711", "odd_lengths", units(b"", b"\x80", b"\x7f" * 161, b"\xff" * 2000))


def texts() -> None:
    for name, value in {
        "grid": {"type": "grid", "fit": "cover", "max_tiles": 9, "gap": 0.01, "labels": True},
        "speaker": {"type": "speaker", "strip": "bottom", "active_speaker": {"attack_ms": 600, "hold_ms": 2000, "min_level_dbov": -50}},
        "custom": {"type": "custom", "regions": [{"id": "a", "x": 0, "y": "1/3", "width": "2/3", "height": 0.5, "z": 1, "seat": "any"}]},
        "out_of_range": {"type": "grid", "max_tiles": -1, "gap": 1e308},
    }.items():
        write("json", f"layout_{name}", json.dumps(value))
    write("json", "doubled_key", '{"type": "grid", "type": "auto"}')
    write("json", "deep", "[" * 200 + "]" * 200)
    write("json", "deep_objects", '{"a":' * 100 + "1" + "}" * 100)
    write("json", "numbers", '{"max_tiles": 1e400, "a": -0, "b": 9223372036854775808, "c": 1E-400, "d": 0.1e+1}')
    write("json", "text", '{"name": "\\ud800\\u0000\\ufffe \u202e", "a": "\\"", "": null}')
    write("json", "participant", json.dumps({"name": "Ann", "muted_audio": True, "pinned": ["pt_1"], "max_width": 640, "recording": "audio_only"}))
    write("json", "truncated", '{"name": "An')
    write("json", "not_utf8", b'{"name": "\xff\xfe"}')

    for name, value in {
        "chat": {"type": "chat", "text": "hello"},
        "mute": {"type": "mute", "audio": True},
        "pin": {"type": "pin", "participants": ["pt_1", "pt_2"]},
        "view": {"type": "view", "view": "main"},
        "hint": {"type": "hint", "width": 1280, "height": 720},
        "unknown": {"type": "reboot"},
        "other_types": {"type": 7, "text": [], "audio": "yes"},
        "negative": {"type": "hint", "width": -1, "height": 1e99},
    }.items():
        write("channel", name, json.dumps(value))
    write("channel", "long", json.dumps({"type": "chat", "text": "x" * 5000}))
    write("channel", "doubled_key", '{"type":"mute","audio":true,"audio":false}')
    write("channel", "control_characters", '{"type":"chat","text":"\\u0000\\u202e\\u0007"}')
    write("channel", "not_an_object", '["chat"]')

    write("config", "empty", "")
    write("config", "some", '[http]\nbind = "0.0.0.0:80"\n[rooms.canvas]\nwidth = 640\n[[auth.keys]]\nid = "a"\nsecret = "$SECRET"\n')
    write("config", "unknown_key", "[http]\nbnid = 1\n")
    write("config", "types", '[http]\nbind = 3\n[rooms]\nmax_rooms = -1\n[video]\ncodecs = ["av1"]\n')
    write("config", "table_for_value", "[http.bind]\n[net.port]\nx = 1\n")
    write("config", "environment", "MIXDOWN_HTTP_BIND=x\nMIXDOWN_NET_PORT=99999\nMIXDOWN_AUTH_KEYS=a:b,c\nMIXDOWN_ROOMS_CANVAS_WIDTH=1")
    write("config", "line_break_in_key", '[http]\n"a\\nb" = 1\n')
    write("config", "line_break_in_value", '[http]\nbind = "a\\nb"\ncors_origins = ["a\\nb"]\n[log]\nfilter = "a\\nb"\n[[auth.keys]]\nid = "a\\nb"\nsecret = "$A\\nB"\n')
    write("config", "syntax", '[http\nbind = "')
    write("config", "unicode", '[log]\nfilter = "\u202e\U0001f600"\n')


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def fragment(number: int, runs: list[tuple[int, int, list[tuple[int, int, bytes]]]]) -> bytes:
    """`moof` and `mdat` as recordings have them: track, when it begins, and samples with their duration and flags."""

    def moof(data: int) -> bytes:
        trafs = []
        for track, start, samples in runs:
            table = b"".join(struct.pack(">III", duration, len(sample), flags) for duration, flags, sample in samples)
            trafs.append(box(b"traf", box(b"tfhd", struct.pack(">II", 0x020000, track)), box(b"tfdt", struct.pack(">IQ", 1 << 24, start)),
                             box(b"trun", struct.pack(">IIi", 0x000701, len(samples), data), table)))
            data += sum(len(sample) for _, _, sample in samples)
        return box(b"moof", box(b"mfhd", struct.pack(">II", 0, number)), *trafs)

    head = moof(len(moof(0)) + 8)
    return head + box(b"mdat", *[sample for _, _, samples in runs for _, _, sample in samples])


def mp4() -> None:
    coded = ["-c:v", "libx264", "-profile:v", "baseline", "-g", "4", "-c:a", "libopus", "-f", "mp4", "-movflags", "empty_moov+default_base_moof+frag_keyframe"]
    source = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.2", "-f", "lavfi", "-i", "sine=440:r=48000:d=0.2"]
    stream = ffmpeg(*source, *coded)
    head = stream[: stream.index(b"moof") - 4]
    key, delta = b"\0\0\0\5\x65" + b"k" * 4, b"\0\0\0\5\x41" + b"d" * 4
    pictures = lambda start: (1, start, [(3000, 0x02000000, key), (3000, 0x01010000, delta), (3000, 0x01010000, delta)])
    sound = lambda start: (2, start, [(960, 0x02000000, b"\xfc\xff\xfe"), (960, 0x02000000, b"\xfc\xff\xfe")])
    parts = [fragment(n + 1, [pictures(n * 9000), sound(n * 1920)]) for n in range(3)]
    write("mp4", "film", head + b"".join(parts))
    write("mp4", "head_alone", head)
    write("mp4", "torn", head + b"".join(parts)[:-7])
    write("mp4", "zeros_at_the_end", head + parts[0] + parts[1][:-20] + b"\0" * 20)
    write("mp4", "other_offsets", head + parts[0].replace(struct.pack(">II", 0x000701, 3), struct.pack(">II", 0x000701, 0xFFFFFF)))
    write("mp4", "late", head + fragment(1, [pictures(2**64 - 3000), sound(2**63)]))
    write("mp4", "huge_box", head + struct.pack(">I4sQ", 1, b"moof", 2**64 - 8) + parts[0])
    write("mp4", "ffmpeg_s_own", stream)
    write("mp4", "empty", b"")


def matroska() -> None:
    source = ["-f", "lavfi", "-i", "testsrc2=s=16x8:r=20:d=0.1", "-f", "lavfi", "-i", "sine=440:r=48000:d=0.1"]
    told = ["-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", "-ac", "2", "-f", "matroska", "-live", "1", "-allow_raw_vfw", "1"]
    film = ffmpeg(*source, *told, "-cluster_time_limit", "20")
    write("matroska", "film", film)
    write("matroska", "truncated", film[: len(film) // 2])
    tracks = bytes.fromhex("1654ae6b")
    write("matroska", "huge_tracks", film[: film.index(tracks)] + tracks + bytes.fromhex("0110000000000000") + b"\0" * 64)
    write("matroska", "picture_without_a_size", film.replace(b"\xb0\x81\x10", b"\xb0\x81\x00"))
    write("matroska", "picture_of_another_size", film.replace(b"\xb0\x81\x10", b"\xb0\x81\x20"))
    write("matroska", "block_alone", bytes.fromhex("a38481000080"))
    write("matroska", "empty", b"")


OFFER = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS s
m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlMZ
a=ice-options:trickle
a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:s a
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=ssrc:1001 cname:x
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103
c=IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlMZ
a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08
a=setup:actpass
a=mid:1
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:13 urn:3gpp:video-orientation
a=sendrecv
a=msid:s v
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=rtcp-fb:102 nack pli
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=ssrc-group:FID 2001 2002
a=ssrc:2001 cname:x
a=ssrc:2002 cname:x
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlMZ
a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
"""


def offers() -> None:
    def offer(name: str, *changes: tuple[str, str]) -> None:
        text = OFFER
        for old, new in changes:
            assert old in text, (name, old)
            text = text.replace(old, new)
        write("offer", name, text.replace("\n", "\r\n"))

    offer("browser")
    write("offer", "line_feeds_alone", OFFER)
    offer("payload_type_above_127", ("a=rtpmap:96 VP8", "a=rtpmap:200 VP8"), ("SAVPF 96 97", "SAVPF 200 97"))
    offer("doubled_payload_type", ("a=rtpmap:102 H264", "a=rtpmap:96 H264"))
    offer("doubled_mid", ("a=mid:1", "a=mid:0"))
    offer("rtx_of_two", ("a=fmtp:103 apt=102", "a=fmtp:103 apt=96"))
    offer("rtx_of_rtx", ("a=fmtp:97 apt=96", "a=fmtp:97 apt=97"))
    offer("extension_0", ("a=extmap:1 ", "a=extmap:0 "))
    offer("extension_15", ("a=extmap:1 ", "a=extmap:15 "))
    offer("extension_256", ("a=extmap:1 ", "a=extmap:256 "))
    offer("no_bundle", ("a=group:BUNDLE 0 1 2\n", ""))
    offer("partial_bundle", ("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0 9"))
    offer("no_ufrag", ("a=ice-ufrag:4ZcD\n", ""))
    offer("short_password", ("2/1muCWoOi3uLifh0NuRHlMZ", "x"))
    offer("no_fingerprint", ("a=fingerprint:sha-256", "a=x:sha-256"))
    offer("sha_1", ("a=fingerprint:sha-256", "a=fingerprint:sha-1"))
    offer("short_fingerprint", (":A1:2C:19:08", ""))
    offer("holdconn", ("a=setup:actpass", "a=setup:holdconn"))
    offer("plain_rtp", ("UDP/TLS/RTP/SAVPF", "RTP/AVP"))
    offer("sdes", ("a=rtcp-mux\na=rtpmap:111", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\na=rtcp-mux\na=rtpmap:111"))
    offer("profile_garbage", ("profile-level-id=42e01f", "profile-level-id=zzzzzz"))
    offer("high_444", ("profile-level-id=42e01f", "profile-level-id=f4003e"))
    offer("packetization_mode_2", ("packetization-mode=1", "packetization-mode=2"))
    offer("packet_time", ("a=rtpmap:0 PCMU/8000", "a=ptime:0\na=maxptime:1000000\na=rtpmap:0 PCMU/8000"))
    offer("clock_rate", ("opus/48000/2", "opus/1/255"))
    offer("huge_numbers", ("a=ssrc:1001", "a=ssrc:99999999999999999999"), ("a=sctp-port:5000", "a=sctp-port:99999999"))
    offer("simulcast", ("a=ssrc-group:FID 2001 2002\na=ssrc:2001 cname:x\na=ssrc:2002 cname:x", "a=rid:h send\na=rid:l send\na=simulcast:send h;l"))
    offer("simulcast_of_nobody", ("a=ssrc-group:FID 2001 2002", "a=rid:%% send\na=simulcast:send x;~y,z;;;"))
    offer("candidates", ("a=mid:0", "a=mid:0\n" + "\n".join(f"a=candidate:{i} 1 udp 2122260223 {ip} {port} typ host" for i, (ip, port) in enumerate([
        ("127.0.0.1", 1), ("0.0.0.0", 9), ("224.0.0.1", 5), ("169.254.169.254", 80), ("::ffff:127.0.0.1", 22), ("x.local", 7), ("192.0.2.1", 0), ("192.0.2.1", 70000)]))))
    offer("many_lines", ("a=rtcp-rsize\n", "a=rtcp-rsize\n" * 1200))
    offer("long_line", ("a=msid:s v", "a=msid:" + "s" * 12000))
    offer("receive_alone", ("a=sendrecv", "a=recvonly"))
    offer("inactive", ("a=sendrecv", "a=inactive"))
    offer("nul", ("a=mid:1", "a=mid:1\0"))
    write("offer", "not_utf8", OFFER.encode().replace(b"s=-", b"s=\xff\xfe"))
    write("offer", "head_alone", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")
    write("offer", "empty", "")
    write("offer", "json", '{"sdp": "v=0"}')

    fragment = "a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlMZ\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    host = "a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host generation 0 ufrag 4ZcD network-id 1\r\n"
    write("fragment", "candidate", fragment + host)
    write("fragment", "end_of_candidates", fragment + host + "a=end-of-candidates\r\n")
    write("fragment", "restart", fragment.replace("4ZcD", "NewU").replace("muCWoOi3", "ABCDEFGH") + host.replace("4ZcD", "NewU"))
    write("fragment", "name", fragment + host.replace("192.0.2.1", "d7f0.local"))
    write("fragment", "tcp", fragment + host.replace(" udp ", " tcp ").replace("typ host", "typ host tcptype active"))
    write("fragment", "many", fragment + host * 100)
    write("fragment", "garbage", fragment + "a=candidate:\r\na=candidate:1 1 udp x y z\r\na=candidate:1 65536 udp 99999999999 ::::: 1 typ srflx raddr\r\n")
    write("fragment", "no_mid", host)
    write("fragment", "unknown_mid", fragment.replace("a=mid:0", "a=mid:77") + host)
    write("fragment", "empty", "")


def datagrams() -> None:
    def stun(kind: int, *attributes: tuple[int, bytes], cookie: int = 0x2112A442, length: int | None = None) -> bytes:
        body = b"".join(struct.pack(">HH", name, len(value)) + value + b"\0" * (-len(value) % 4) for name, value in attributes)
        return struct.pack(">HHI", kind, len(body) if length is None else length, cookie) + b"0123456789ab" + body

    user, integrity = (0x0006, b"abcd:4ZcD"), (0x0008, b"\x11" * 20)
    hello = bytes.fromhex("16feff0000000000000000003a0100002e000000000000002efefd") + b"\x42" * 32 + bytes.fromhex("000000020000010000")
    for name, data in {
        "binding_request": stun(1, user, (0x0024, b"\0\0\0\1"), (0x802A, b"\1" * 8), integrity, (0x8028, b"\0\0\0\0")),
        "binding_response": stun(0x0101, (0x0020, b"\0\1\x11\x11\x21\x12\xa4\x42"), integrity),
        "bad_cookie": stun(1, user, cookie=1),
        "length_beyond_end": stun(1, user, length=4000),
        "length_not_of_four": stun(1, user, length=13),
        "username_without_colon": stun(1, (0x0006, b"abcd"), integrity),
        "username_empty": stun(1, (0x0006, b""), integrity),
        "integrity_first": stun(1, integrity, user),
        "attribute_beyond_end": stun(1)[:2] + b"\0\4" + stun(1)[4:] + b"\0\6\xff\xff",
        "many_attributes": stun(1, *[(0x8030 + i, b"") for i in range(300)]),
        "unknown_required": stun(1, user, (0x7FFF, b"\0" * 4), integrity),
        "dtls_hello_null_suite": hello,
        "dtls_alert": bytes.fromhex("15fefd0000000000000001000201 00".replace(" ", "")),
        "dtls_short": b"\x16\xfe\xfd",
        "rtp": struct.pack(">BBHII", 0x80, 96, 65535, 0xFFFFFFF0, 2001) + b"\x10\0\0" + b"\x55" * 40,
        "rtp_csrc_truncated": struct.pack(">BBHII", 0x8F, 96, 1, 1, 1),
        "rtp_extension_beyond_end": struct.pack(">BBHII", 0x90, 96, 1, 1, 1) + b"\xbe\xde\xff\xff",
        "rtp_padding_beyond_start": struct.pack(">BBHII", 0xA0, 96, 1, 1, 1) + b"\xff",
        "rtcp": struct.pack(">BBHI", 0x80, 201, 1, 1) + struct.pack(">BBHII", 0x81, 206, 2, 1, 2),
        "rtcp_length": struct.pack(">BBHI", 0x9F, 200, 65535, 1),
        "empty": b"",
        "one_byte": b"\0",
        "other_ranges": bytes([5]) * 30,
        "turn_channel": bytes([0x40, 0, 0, 4]) + b"abcd",
        "too_long": b"\x80" * 2500,
    }.items():
        write("datagram", name, data)


def token(secret: str = "a secret of at least thirty-two bytes", algorithm: str = "HS256", **claims) -> str:
    text = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    head = text(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    body = text(json.dumps({"iss": "main", "sub": "ann", "exp": 1_800_000_600, "mixdown": {"room": "standup", "join": True}} | claims).encode())
    return f"{head}.{body}.{text(hmac.digest(secret.encode(), f'{head}.{body}'.encode(), 'sha256')) if algorithm == 'HS256' else ''}"


def requests() -> None:
    write("header", "token", token())
    write("header", "token_of_another_secret", token(secret="another secret of thirty-two bytes"))
    write("header", "token_that_is_over", token(exp=1))
    write("header", "token_without_grants", token(mixdown=None))
    write("header", "token_of_no_algorithm", token(algorithm="none"))
    write("header", "token_of_nobody", token(iss="../../etc/passwd"))
    write("header", "token_of_odd_types", token(exp="soon", sub=7))
    write("header", "token_of_two_parts", token().rsplit(".", 1)[0])
    for name, text in {"range": "bytes=0-99", "range_from": "bytes=90-", "range_of_the_end": "bytes=-10", "range_none": "bytes=-",
                       "range_beyond": "bytes=18446744073709551615-18446744073709551615", "ranges": "bytes=0-1,3-4", "lines": "lines=1-2",
                       "cursor": "bGlzdAoyCjM", "cursor_of_another_list": "b3RoZXIKMgoz", "cursor_broken": "bGlzdAoy===="}.items():
        write("header", name, text)

    for name, text in {
        "https": "https://hooks.example.org/in?room=a", "loopback": "https://127.0.0.1/", "decimal": "https://2130706433/", "octal": "https://0177.0.0.1/",
        "short": "https://127.1/", "mapped": "https://[::ffff:127.0.0.1]/", "nat64": "https://[64:ff9b::7f00:1]/", "six_to_four": "https://[2002:7f00:1::]/",
        "metadata": "https://169.254.169.254/latest/meta-data/", "localhost": "https://localhost./", "name_and_password": "https://a:b@example.org/",
        "port": "https://example.org:22/", "homograph": "https://ex\u0430mple.org/", "fragment": "https://example.org/#a", "file": "file:///etc/passwd",
        "gopher": "gopher://example.org:70/", "rtmp": "rtmp://live.example.org/app/key?a=b", "rtmps": "rtmps://live.example.org:443/app/key",
        "rtmp_with_a_space": "rtmp://live.example.org/app/key live=1", "rtmp_inside": "rtmp://[::1]:1935/app/key", "rtsp": "rtsp://camera.example.org/1",
        "rtsp_inside": "rtsp://10.0.0.1/1", "playlist": "https://example.org/a.m3u8", "control_characters": "https://exa\tmple.org/\r\nHost: x",
        "connect": "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
        "get": "GET http://u:p@[2001:db8::1]:8000/a?b=c HTTP/1.1\r\nHost: x\r\nProxy-Connection: y\r\nRange: bytes=0-\r\n\r\n",
        "get_without_a_path": "GET http://example.org?a HTTP/1.0\r\n\r\n", "get_split": "GET http://example.org/\nX: y HTTP/1.1\r\n\r\n",
    }.items():
        write("address", name, text)


def layouts() -> None:
    twilio = {"resolution": "1280x720", "video_layout": {
        "main": {"z_pos": 1, "video_sources": ["screen"]},
        "row": {"z_pos": 2, "x_pos": 10, "y_pos": 530, "width": 1260, "height": 160, "max_rows": 1, "max_columns": 5, "reuse": "none", "video_sources": ["*"]}}}
    write("convert", "twilio", json.dumps(twilio))
    write("convert", "twilio_zero", json.dumps({"resolution": "0x0", "video_layout": {"a": {"width": 0, "height": -1, "max_rows": 4294967296, "video_sources": ["*"]}}}))
    write("convert", "vonage", json.dumps({"type": "bestFit", "screenshareType": "verticalPresentation"}))
    write("convert", "vonage_custom", json.dumps({"type": "custom", "stylesheet": "stream {}"}))
    image = '<image x="0" y="0" scale="360" floor="true" reservation_id="a" overlap="true" zoom="true" hscale="180"/>'
    write("convert", "freeswitch", f'<configuration><!-- <layout name="no"> --><layouts><layout name="1x1" auto-3d-position="true">{image}</layout>'
          f'<layout name="2"><image x="0" y="90" scale="180"/><image x="180" y="90" scale="180"/></layout></layouts>'
          '<groups><group name="grid"><layout>1x1</layout><layout>2</layout></group></groups></configuration>')
    write("convert", "freeswitch_numbers", '<layout name="&#x1F600;&amp;"><image x="-1" y="99999999999" scale="0"/></layout>')
    write("convert", "freeswitch_deep", "<a>" * 500)
    write("convert", "freeswitch_entities", '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><layout name="&c;"/>')
    write("convert", "freeswitch_torn", '<layouts><layout name="a"><image x="0')


def png(width: int, height: int, rows: bytes, colour: int = 6, *more: bytes) -> bytes:
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def pictures() -> None:
    small = png(3, 2, (b"\0" + bytes.fromhex("ff000080 00ff00ff 0000ff00".replace(" ", ""))) * 2)
    source = ["-f", "lavfi", "-i", "testsrc2=s=18x10:r=1:d=1", "-frames:v", "1"]
    jpeg = ffmpeg(*source, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-f", "mjpeg")
    exif = bytes.fromhex("ffe1002245786966000049492a000800000001001201030001000000") + b"\6\0\0\0" + b"\0\0\0\0"
    write("picture", "png", small)
    write("picture", "png_of_one_pixel", png(1, 1, b"\0\0", 0))
    write("picture", "png_claims_30000", png(30000, 30000, b"\0" * 64))
    write("picture", "png_bomb", png(4096, 4096, b"\0" * (4 * 4096 * 64)))
    write("picture", "png_torn", small[:-20])
    write("picture", "png_of_no_size", png(0, 0, b""))
    write("picture", "jpeg", jpeg)
    write("picture", "jpeg_turned", jpeg[:2] + exif + jpeg[2:])
    write("picture", "webp", ffmpeg(*source, "-c:v", "libwebp", "-f", "webp"))
    write("picture", "gif", ffmpeg(*source, "-f", "gif"))
    write("picture", "svg", '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>')
    write("picture", "data", "data:image/png;base64," + base64.b64encode(small).decode())
    write("picture", "data_of_no_base64", "data:image/png;base64,????")
    write("picture", "address", "https://example.org/a.png")
    write("picture", "empty", b"")


def journals() -> None:
    ann, bob = "pt_" + "a" * 32, "pt_" + "b" * 32
    line = lambda at, **event: json.dumps({"at_ms": at, "wall": "2026-01-01T12:00:00Z"} | event) + "\n"
    meeting = [line(0, type="started"), line(10, type="joined", participant=ann, name="Ann <b>"), line(500, type="speaker", participant=ann),
               line(4000, type="chat", participant=None, name="Bob", text="--> hello"), line(8000, type="speaker", participant=bob),
               line(9000, type="paused", mode="cut"), line(9500, type="resumed"), line(10000, type="gap", track="video", from_ms=9000, to_ms=10000, lost=25),
               line(11000, type="left", participant=bob), line(12000, type="speaker", participant=None)]
    write("journal", "timeline", "".join(meeting))
    write("journal", "timeline_torn", "".join(meeting)[:-30])
    write("journal", "timeline_backwards", "".join(reversed(meeting)))
    write("journal", "timeline_of_other_times", "".join(meeting).replace("8000", "18446744073709551615"))
    message = {"id": "msg_" + "0" * 32, "type": "chat.message", "room": "standup", "at_ms": 1_800_000_000_000, "body": '{"a":"b"}'}
    outbox = json.dumps({"queued": {"message": message, "endpoints": ["crm", "log"]}}) + "\n" + json.dumps({"settled": {"message": message["id"], "endpoint": "crm"}}) + "\n"
    write("journal", "outbox", outbox)
    write("journal", "outbox_torn", outbox[:-9])
    manifest = {"version": 1, "id": "rec_" + "c" * 32, "room": "standup", "view": "main", "state": "complete", "reason": "requested", "form": "progressive",
                "started_at": "2026-01-01T12:00:00Z", "ended_at": "2026-01-01T12:00:09.5Z", "duration_ms": 9500, "video": {"codec": "h264", "width": 1280, "height": 720},
                "pictures": 285, "packets": 475, "lost_pictures": 0, "lost_packets": 0, "encryption": None,
                "files": [{"name": "media.mp4", "bytes": 18446744073709551615, "sha256": "0" * 64}, {"name": "../x", "bytes": 1, "sha256": ""}]}
    write("journal", "manifest", json.dumps(manifest))
    write("journal", "manifest_of_odd_times", json.dumps(manifest | {"started_at": "9999-99-99T99:99:99Z", "ended_at": "-262144-01-01T00:00:00+99:99"}))
    write("journal", "not_text", b"\xff\xfe\n{}\n")


if __name__ == "__main__":
    h264()
    vp8()
    audio()
    texts()
    offers()
    datagrams()
    mp4()
    matroska()
    requests()
    layouts()
    pictures()
    journals()
