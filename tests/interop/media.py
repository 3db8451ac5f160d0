"""What the test's people send (one colour, one tone) and how the same is read back from a composite and a mix."""
import asyncio
import fractions
import math
import time

import numpy
from aiortc import AudioStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame

RATE = 48_000
SAMPLES = RATE // 50


class Colour(VideoStreamTrack):
    """Pictures of one colour (Y, U, V), with a moving bar at the bottom so that no two are alike."""

    def __init__(self, yuv: tuple[int, int, int], width: int = 320, height: int = 180) -> None:
        super().__init__()
        self.yuv, self.width, self.height, self.count = yuv, width, height, 0

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        y, u, v = self.yuv
        picture = numpy.empty((self.height * 3 // 2, self.width), numpy.uint8)
        picture[: self.height] = y
        picture[self.height : self.height * 5 // 4] = u
        picture[self.height * 5 // 4 :] = v
        at = self.count * 4 % (self.width - 16)
        picture[self.height - 8 : self.height, at : at + 16] = 235
        self.count += 1
        frame = VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """A steady sine."""

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self.hertz, self.at, self.start = hertz, 0, 0.0

    async def recv(self) -> AudioFrame:
        self.start = self.start or time.monotonic()
        await asyncio.sleep(max(0.0, self.start + self.at / RATE - time.monotonic()))
        phase = 2 * math.pi * self.hertz * (self.at + numpy.arange(SAMPLES)) / RATE
        frame = AudioFrame.from_ndarray((9000 * numpy.sin(phase)).astype(numpy.int16).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.at, fractions.Fraction(1, RATE)
        self.at += SAMPLES
        return frame


def colour_at(frame: VideoFrame, tile: dict) -> tuple[int, int, int]:
    """Median Y, U, V of the upper middle of a tile, where neither label nor bar is."""
    planes = frame.to_ndarray(format="yuv420p")
    width, height = frame.width, frame.height
    x0, x1 = (tile["x"] + tile["width"] * part for part in (0.35, 0.65))
    y0, y1 = (tile["y"] + tile["height"] * part for part in (0.2, 0.5))
    luma = planes[:height][int(y0 * height) : int(y1 * height), int(x0 * width) : int(x1 * width)]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    rows, columns = slice(int(y0 * height) // 2, int(y1 * height) // 2), slice(int(x0 * width) // 2, int(x1 * width) // 2)
    return tuple(int(numpy.median(part)) for part in (luma, chroma[0][rows, columns], chroma[1][rows, columns]))


def is_near(a: tuple[int, int, int], b: tuple[int, int, int], tolerance: int = 12) -> bool:
    return all(abs(x - y) <= tolerance for x, y in zip(a, b))


def tone_share(pcm: numpy.ndarray, hertz: float) -> float:
    """Share of the sound's energy within 15 Hz of `hertz`, 0 to 1."""
    spectrum = numpy.abs(numpy.fft.rfft(pcm * numpy.hanning(len(pcm)))) ** 2
    frequencies = numpy.fft.rfftfreq(len(pcm), 1 / RATE)
    total = spectrum.sum()
    return float(spectrum[numpy.abs(frequencies - hertz) < 15].sum() / total) if total > 0 else 0.0
