"""A WHIP publisher and a WHEP player that are not ours, and the two protocols by their letter."""
import json
import unittest

from http_call import call
from media import Colour, Tone, colour_at, is_near, tone_share
from peer import Peer, until
from server import Server

RED = (90, 100, 210)
GREEN = (145, 54, 34)
WHOLE = {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0}


class WhipAndWhep(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server("whip-whep")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    async def publish(self, room: str, codec: str) -> Peer:
        peer = Peer()
        self.addAsyncCleanup(peer.close)
        peer.add("audio", "sendonly", Tone(440))
        peer.add("video", "sendonly", Colour(RED, 640, 360), codec)
        answer = await peer.offer(f"{self.server.url}/whip/{room}?name=Camera")
        self.assertEqual(answer.status, 201, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/sdp")
        self.assertTrue(answer.headers["Location"].startswith(f"/whip/{room}/"), answer.headers["Location"])
        return peer

    async def watch(self, room: str, codec: str, query: str = "") -> Peer:
        peer = Peer()
        self.addAsyncCleanup(peer.close)
        peer.add("audio", "recvonly")
        peer.add("video", "recvonly", codec=codec)
        answer = await peer.offer(f"{self.server.url}/whep/{room}{query}")
        self.assertEqual(answer.status, 201, answer.body)
        self.assertTrue(answer.headers["Location"].startswith(f"/whep/{room}/"), answer.headers["Location"])
        return peer

    async def test_what_is_published_in_h264_is_watched_in_vp8(self) -> None:
        await self.publish("one", "H264")
        player = await self.watch("one", "VP8")
        await until("the player sees the publisher's colour", lambda: player.frame and is_near(colour_at(player.frame, WHOLE), RED))
        await until("the player hears the publisher's tone", lambda: tone_share(player.pcm, 440) > 0.8)

    async def test_two_players_of_different_codecs_watch_one_publisher(self) -> None:
        await self.publish("two", "VP8")
        players = [await self.watch("two", codec) for codec in ("H264", "VP8")]
        for player in players:
            await until("the player sees the publisher's colour", lambda: player.frame and is_near(colour_at(player.frame, WHOLE), RED))

    async def test_the_view_that_is_asked_for_is_what_is_watched(self) -> None:
        await self.publish("views", "VP8")
        people = json.loads((await call("GET", f"{self.server.url}/v1/rooms/views/participants")).body)["items"]
        view = {"canvas": {"width": 320, "height": 180, "background": "#00ff00"}, "exclude": [people[0]["id"]]}
        made = await call("PUT", f"{self.server.url}/v1/rooms/views/views/side", json.dumps(view), Content_Type="application/json")
        self.assertIn(made.status, (200, 201), made.body)
        side, main = [await self.watch("views", "VP8", query) for query in ("?view=side", "?view=main")]
        await until("the other view has nobody in it", lambda: side.frame and is_near(colour_at(side.frame, WHOLE), GREEN))
        await until("the main one has the publisher", lambda: main.frame and is_near(colour_at(main.frame, WHOLE), RED))
        self.assertEqual((side.frame.width, side.frame.height), (320, 180))
        peer = Peer()
        self.addAsyncCleanup(peer.close)
        peer.add("video", "recvonly", codec="VP8")
        refused = await peer.offer(f"{self.server.url}/whep/views?view=nowhere")
        self.assertEqual(refused.status, 422, refused.body)

    async def test_a_session_that_is_deleted_is_gone(self) -> None:
        peer = await self.publish("gone", "VP8")
        self.assertIn((await call("DELETE", peer.session)).status, (200, 204))
        self.assertEqual((await call("DELETE", peer.session)).status, 404)
        fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"
        patch = await call("PATCH", peer.session, fragment, Content_Type="application/trickle-ice-sdpfrag", If_Match=peer.etag)
        self.assertEqual(patch.status, 404)

    async def test_trickle_and_its_preconditions(self) -> None:
        peer = await self.publish("trickle", "VP8")
        lines = peer.connection.localDescription.sdp.splitlines()
        pick = lambda prefix: next(line for line in lines if line.startswith(prefix))
        fragment = "\r\n".join([
            pick("a=ice-ufrag:"), pick("a=ice-pwd:"), "m=audio 9 UDP/TLS/RTP/SAVPF 0", pick("a=mid:"),
            "a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host", "a=end-of-candidates", "",
        ])

        async def patch(**headers: str) -> int:
            answer = await call("PATCH", peer.session, fragment, **{"Content_Type": "application/trickle-ice-sdpfrag"} | headers)
            if answer.status == 204:
                self.assertEqual(answer.body, "")
                self.assertIsNone(answer.headers["ETag"])
            return answer.status

        self.assertEqual(await patch(If_Match=peer.etag), 204)
        self.assertEqual(await patch(If_Match='"stale"'), 412)
        self.assertEqual(await patch(), 428)
        self.assertEqual(await patch(If_Match=peer.etag, Content_Type="text/plain"), 415)

    async def test_offers_that_cannot_be_are_refused(self) -> None:
        whip = f"{self.server.url}/whip/refused"
        self.assertEqual((await call("POST", whip, "v=0", Content_Type="text/plain")).status, 415)
        self.assertIn((await call("POST", whip, "v=0\r\nnonsense\r\n", Content_Type="application/sdp")).status, (400, 422))
        receiver = Peer()
        self.addAsyncCleanup(receiver.close)
        receiver.add("video", "recvonly")
        self.assertEqual((await receiver.offer(whip)).status, 422)
        options = await call("OPTIONS", whip)
        self.assertEqual(options.headers["Accept-Post"], "application/sdp")


if __name__ == "__main__":
    unittest.main()
