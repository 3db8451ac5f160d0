import assert from 'node:assert/strict';
import { chromium, firefox, missing, open, quit, serve, story, until } from './harness.mjs';

for (const [name, launch] of Object.entries({ chromium, firefox })) {
  story(`mixdown.js in ${name}, against a server in the same page,`, missing[name], (test, { before, after }) => {
    let browser;
    let origin;
    let page;
    const ask = (probe, ...args) => page.evaluate(probe, ...args);

    before(async () => {
      origin = await serve();
      browser = await launch();
      page = await open(browser, `${origin.url}/test/loop.html`);
      await until('the page is ready', () => ask(() => Boolean(window.server)));
    });
    after(async () => {
      await quit(browser);
      origin?.close();
    });

    test('joins with one request and shows the picture', async () => {
      await ask(async () => {
        window.seen = [];
        window.c = await mixdown.join({ room: 'loop', name: 'Ann', media: camera(), muted: { audio: true } });
        for (const type of ['state', 'joined', 'left', 'chat', 'tiles', 'picture', 'error']) {
          c.addEventListener(type, ({ detail }) => seen.push([type, detail?.state ?? detail?.text ?? detail?.person?.name ?? '']));
        }
        c.attach(document.getElementById('composite'));
      });
      const code = await until('the composite is seen', () => ask(() => look()));
      assert.equal(code.id, 3);
      await until('connected', () => ask(() => c.state === 'connected'));
      assert.deepEqual(await ask(() => server.requests.slice(0, 2)), ['OPTIONS', 'POST application/sdp']);
      assert.equal(await ask(() => c.id), 'pt_1');
    });

    test('knows the people, the tiles and that it is muted', async () => {
      await until('a tile map', () => ask(() => c.tiles !== null));
      assert.deepEqual(await ask(() => c.people.map((person) => person.name)), ['Ann', 'Bob']);
      assert.equal(await ask(() => c.tiles.tiles[0].name), 'Bob');
      const mutes = await ask(() => server.messages.filter((message) => message.type === 'mute').at(-1));
      assert.deepEqual(mutes, { type: 'mute', audio: true, video: false });
    });

    test('applies a tile map with the picture it belongs to', async () => {
      const timing = await ask(async () => {
        const video = document.getElementById('composite');
        const rtp = () => c.pc.getReceivers().find((r) => r.track.kind === 'video').getSynchronizationSources()[0]?.rtpTimestamp;
        const now = await new Promise((resolve) => video.requestVideoFrameCallback((_, meta) => resolve(meta.rtpTimestamp ?? rtp())));
        const began = performance.now();
        const due = new Promise((resolve) => c.addEventListener('tiles', () => resolve(performance.now() - began), { once: true }));
        server.say({ type: 'tiles', rtp_timestamp: (now + 0.5 * 90000) >>> 0, width: 640, height: 360, tiles: [] });
        return due;
      });
      assert.ok(timing > 300 && timing < 800, `half a second ahead, applied after ${Math.round(timing)} ms`);
    });

    test('adds a screen as slides behind the camera, takes it away and adds it again', async () => {
      await ask(() => c.shareScreen(camera()));
      assert.deepEqual(await ask(() => server.sends()), ['video', 'video slides']);
      const sections = await ask(() => server.offer.match(/^m=/gm).length);
      await ask(() => c.stopScreen());
      assert.deepEqual(await ask(() => server.sends()), ['video']);
      await ask(() => c.shareScreen(camera()));
      assert.deepEqual(await ask(() => server.sends()), ['video', 'video slides']);
      assert.equal(await ask(() => server.offer.match(/^m=/gm).length), sections);
      await ask(() => c.stopScreen());
    });

    test('drops the camera and brings it back', async () => {
      await ask(() => c.setCamera(null));
      assert.deepEqual(await ask(() => server.sends()), []);
      assert.deepEqual(await ask(() => server.messages.at(-1)), { type: 'mute', audio: true, video: true });
      await ask(() => c.setCamera(camera().getVideoTracks()[0]));
      assert.deepEqual(await ask(() => server.sends()), ['video']);
    });

    test('chats', async () => {
      assert.equal(await ask(() => c.chat('héllo 你好')), true);
      await until('the message is back', () => ask(() => seen.some(([type, text]) => type === 'chat' && text === 'héllo 你好')));
    });

    test('what was said is told once, however often the server repeats it', async () => {
      const said = () => ask(() => seen.filter(([type, text]) => type === 'chat' && text === 'once').length);
      await ask(() => {
        const message = { type: 'chat', participant: 'pt_x', name: 'Bob', text: 'once', at: '2026-01-01T12:00:01.000Z' };
        server.say(message);
        server.say(message);
        server.say({ ...message, text: 'after' });
      });
      await until('the last one', () => ask(() => seen.some(([, text]) => text === 'after')));
      assert.equal(await said(), 1);
    });

    test('hears what moderators decide: waiting, let in, muted, sent elsewhere', async () => {
      await ask(() => {
        window.decided = [];
        for (const type of ['admission', 'waiting', 'moderated', 'transfer']) c.addEventListener(type, ({ detail }) => decided.push([type, detail]));
        server.say({ type: 'hello', participant: c.id, room: 'loop', view: 'main', waiting: true });
        server.say({ type: 'hello', participant: c.id, room: 'loop', view: 'main', waiting: false });
        server.say({ type: 'waiting', participants: [{ id: 'pt_y', name: 'Cy' }] });
      });
      await until('who waits', () => ask(() => decided.length >= 3));
      assert.deepEqual(await ask(() => decided), [['admission', { waiting: true }], ['admission', { waiting: false }], ['waiting', { people: [{ id: 'pt_y', name: 'Cy' }] }]]);
      // The roster's word counts a while after it has had the own one.
      await ask(() => server.say({ type: 'roster', participants: [{ id: c.id, name: 'Ann', muted_audio: true }, { id: 'pt_x', name: 'Bob' }] }));
      await new Promise((resolve) => setTimeout(resolve, 1100));
      await ask(() => server.say({ type: 'roster', participants: [{ id: c.id, name: 'Ann', muted_audio: true, muted_video: true }, { id: 'pt_x', name: 'Bob' }] }));
      await until('muted', () => ask(() => decided.some(([type]) => type === 'moderated')));
      assert.deepEqual(await ask(() => [c.muted, decided.at(-1)]), [{ audio: true, video: true }, ['moderated', { audio: false, video: true }]]);
      await ask(() => c.setMuted({ video: false }));
      await ask(() => server.say({ type: 'transfer', room: 'other', token: null }));
      await until('sent elsewhere', () => ask(() => decided.some(([type, detail]) => type === 'transfer' && detail.room === 'other')));
      await ask(() => [c.admit('pt_y'), c.admit('pt_y', false), c.mute('pt_x')]);
      await until('three words', () => ask(() => server.messages.some(({ type, participant }) => type === 'mute' && participant === 'pt_x')));
      assert.deepEqual(await ask(() => server.messages.slice(-3)), [{ type: 'admit', participant: 'pt_y' }, { type: 'deny', participant: 'pt_y' }, { type: 'mute', participant: 'pt_x', audio: true }]);
    });

    test('is told when a moderator hides the camera and lets it be shown again', async () => {
      const say = (held) => ask((held) => {
        window.released = null;
        c.addEventListener('released', ({ detail }) => { window.released = detail; }, { once: true });
        server.say({ type: 'roster', participants: [{ id: c.id, name: 'Ann', muted_audio: true, muted_video: held, operator_muted_video: held }, { id: 'pt_x', name: 'Bob' }] });
      }, held);
      await say(true);
      await until('hidden', () => ask(() => c.muted.video));
      await say(false);
      await until('let go', () => ask(() => window.released));
      assert.deepEqual(await ask(() => [window.released, c.muted.video]), [{ audio: false, video: true }, true], 'nobody else switches it on');
      await ask(() => c.setMuted({ video: false }));
      await until('it is sent', () => ask(() => c.pc.getSenders().some(({ track }) => track && track === c.media.camera)));
    });

    test('a camera that is switched on while the server cannot be reached is offered once it can be', async () => {
      await ask(() => c.setCamera(null));
      const failed = await ask(async () => {
        server.down = true;
        return c.setCamera(camera().getVideoTracks()[0]).then(() => null, ({ status }) => status);
      });
      assert.equal(failed, 0);
      assert.deepEqual(await ask(() => server.sends()), []);
      await ask(() => { server.down = false; });
      await until('it is offered', () => ask(() => server.sends()[0] === 'video'));
    });

    test('gives figures', async () => {
      const stats = await until('a picture rate', async () => {
        const figures = await ask(() => c.stats());
        return figures?.video?.fps > 5 && figures.video.bitrate_bps > 1000 && figures;
      });
      assert.ok(stats.video.width >= 160);
      assert.match(stats.video.codec, /VP8|VP9|H264|AV1/);
      assert.ok(stats.camera, 'the camera that is sent');
      assert.match(stats.transport, /^udp/);
    });

    test('restarts ICE when asked, and the picture goes on', async () => {
      const before = await ask(() => server.offer.match(/a=ice-ufrag:(\S+)/)[1]);
      await ask(() => c.reconnect());
      await until('connected', () => ask(() => c.state === 'connected'));
      assert.notEqual(await ask(() => server.offer.match(/a=ice-ufrag:(\S+)/)[1]), before);
      assert.equal(await ask(() => server.restartedWith), '*');
      assert.equal(await ask(() => server.sessions), 1);
      const { frame } = await until('a code', () => ask(() => look()));
      await until('the picture moves', async () => ![frame, undefined].includes((await ask(() => look()))?.frame));
    });

    test('joins anew when the server has lost the session', async () => {
      await ask(() => {
        seen.length = 0;
        server.messages.length = 0;
        server.pc.close();
        server.pc = null;
      });
      await until('a second session', () => ask(() => server.sessions === 2 && c.state === 'connected'), 20_000);
      assert.equal(await ask(() => c.id), 'pt_2');
      assert.deepEqual(await ask(() => server.sends()), ['video']);
      await until('the picture is back', () => ask(() => seen.some(([type]) => type === 'picture') && look()));
      await until('mutes are told again', () => ask(() => server.messages.some((message) => message.type === 'mute' && message.audio)));
    });

    test('leaves with DELETE, and ends the capture of a screen', async () => {
      await ask(async () => {
        window.screenTrack = camera().getVideoTracks()[0];
        await c.shareScreen(new MediaStream([screenTrack]));
        c.leave();
      });
      assert.equal(await ask(() => screenTrack.readyState), 'ended');
      await until('the session is gone', () => ask(() => server.pc === null));
      assert.equal(await ask(() => c.state), 'closed');
      assert.equal(await ask(() => server.requests.at(-1)), 'DELETE');
      assert.deepEqual(page.complaints, []);
    });
  });
}
