"""aiortc in a room: H.264 and VP8 senders see and hear each other."""
import asyncio
import unittest

import numpy

from media import colour_at, is_near, tone_share
from peer import join, until
from server import Server

RED, BLUE, GREEN = (90, 100, 210), (60, 210, 110), (150, 60, 60)


class Participants(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server("participants")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    async def enter(self, room: str, name: str, codec: str, yuv: tuple[int, int, int], hertz: float):
        peer = await join(self.server.url, room, name, codec, yuv, hertz)
        self.addAsyncCleanup(peer.close)
        return peer

    async def test_an_h264_and_a_vp8_sender_see_and_hear_each_other(self) -> None:
        await self.meet("mixed", ("H264", "VP8"))

    async def test_two_h264_senders_see_and_hear_each_other(self) -> None:
        await self.meet("h264", ("H264", "H264"))

    async def test_two_vp8_senders_see_and_hear_each_other(self) -> None:
        await self.meet("vp8", ("VP8", "VP8"))

    async def meet(self, room: str, codecs: tuple[str, str]) -> None:
        ann = await self.enter(room, "Ann", codecs[0], RED, 440)
        bob = await self.enter(room, "Bob", codecs[1], BLUE, 1000)
        colours, tones = {"Ann": RED, "Bob": BLUE}, {"Ann": 440, "Bob": 1000}
        for name, peer in (("Ann", ann), ("Bob", bob)):
            await until(f"{name} sees both colours in the tiles of the map", lambda: sees(peer, colours))
            other = tones["Bob" if name == "Ann" else "Ann"]
            await until(f"{name} hears the other's tone", lambda: tone_share(peer.pcm, other) > 0.8)
            own = tone_share(peer.pcm, tones[name])
            self.assertLess(own, 0.01, f"{name} hears the own tone")

    async def test_who_leaves_leaves_the_picture(self) -> None:
        ann = await self.enter("leave", "Ann", "VP8", RED, 440)
        bob = await self.enter("leave", "Bob", "H264", GREEN, 1000)
        await until("Ann sees both", lambda: sees(ann, {"Ann": RED, "Bob": GREEN}))
        await bob.close()
        await until("Ann sees only herself", lambda: names(ann) == ["Ann"] and sees(ann, {"Ann": RED}))
        # Silence is not sent, so the last second of what was heard stays as it is: forget it, then listen again.
        ann.pcm = numpy.zeros_like(ann.pcm)
        await asyncio.sleep(2)
        self.assertLess(tone_share(ann.pcm, 1000), 0.01, "Bob's tone is gone")


def names(peer) -> list[str]:
    tiles = peer.latest("tiles")
    return sorted(tile["name"] for tile in tiles["tiles"]) if tiles else []


def sees(peer, colours: dict[str, tuple[int, int, int]]) -> bool:
    """Whether each tile of the latest map holds its participant's colour in the latest picture."""
    tiles = peer.latest("tiles")
    if not tiles or not peer.frame or names(peer) != sorted(colours):
        return False
    return all(is_near(colour_at(peer.frame, tile), colours[tile["name"]]) for tile in tiles["tiles"])


if __name__ == "__main__":
    unittest.main()
