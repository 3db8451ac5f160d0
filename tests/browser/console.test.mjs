import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { box, LEAST, moved, number, placed, resized, seatOf, seatParts, seatText, share, snapped, TEMPLATES, warningText } = await load('admin/regions.js');
const { content, curl, example, follow, operations, quoted, rows, typeName } = await load('openapi.js');
const { roomPath, splitter } = await load('api.js');
const near = (a, b) => Object.keys(b).forEach((key) => assert.ok(Math.abs(a[key] - b[key]) < 1e-9, `${key}: ${a[key]} is not ${b[key]}`));

test('shares are written as fractions where one fits and read back the same', () => {
  for (const [value, text] of [[0, 0], [1, 1], [1 / 3, '1/3'], [0.75, '3/4'], [5 / 12, '5/12'], [0.1234, 0.1234]]) {
    assert.equal(share(value), text);
    assert.ok(Math.abs(number(share(value)) - value) < 1e-4);
  }
});

test('a box that is moved or resized stays inside the canvas and never turns inside out', () => {
  const from = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
  near(moved(from, 2, -2), { x: 0.5, y: 0, width: 0.5, height: 0.5 });
  near(resized(from, 'se', 2, 2), { x: 0.25, y: 0.25, width: 0.75, height: 0.75 });
  near(resized(from, 'e', -2, 0), { x: 0.25, y: 0.25, width: LEAST, height: 0.5 });
  near(resized(from, 'nw', 2, 2), { x: 0.75 - LEAST, y: 0.75 - LEAST, width: LEAST, height: LEAST });
});

test('edges snap to twelfths and to other regions, and only when they are near', () => {
  const reach = { x: 0.01, y: 0.01 };
  near(snapped({ x: 0.255, y: 0.5, width: 0.3, height: 0.2 }, '', [], reach), { x: 0.25, y: 0.5, width: 0.3, height: 0.2 });
  near(snapped({ x: 0, y: 0, width: 0.338, height: 1 }, 'e', [], reach), { x: 0, y: 0, width: 1 / 3, height: 1 });
  near(snapped({ x: 0.29, y: 0.1, width: 0.3, height: 0.3 }, '', [{ x: 0, y: 0, width: 0.285, height: 1 }], reach), { x: 0.285, y: 0.1, width: 0.3, height: 0.3 });
  near(snapped({ x: 0.3, y: 0.3, width: 0.1, height: 0.1 }, '', [], { x: 0.001, y: 0.001 }), { x: 0.3, y: 0.3, width: 0.1, height: 0.1 });
});

test('seats survive the way through the form', () => {
  for (const seat of ['any', 'active_speaker', 'screen', { participant: 'pt_1' }, { role: 'interpreter' }]) {
    assert.deepEqual(seatOf(...seatParts(seat)), seat);
  }
});

test('a seat is said in a few words, also one that is a whole picture', () => {
  assert.equal(seatText('active_speaker'), 'active speaker');
  assert.equal(seatText({ role: 'host' }), 'host');
  assert.equal(seatText({ image: 'logo' }), 'picture logo');
  assert.equal(seatText({ image: `data:image/png;base64,${'A'.repeat(10_000)}` }), 'a picture');
});

test('the templates cover no region that lies outside, and keep what a region is besides its place', () => {
  for (const region of Object.values(TEMPLATES).flat()) {
    const { x, y, width, height } = box(region);
    assert.ok(x + width <= 1 + 1e-9 && y + height <= 1 + 1e-9, JSON.stringify(region));
    assert.deepEqual(placed(region, box(region)).seat, region.seat);
  }
});

test('a warning says which region it means, counted as they are named', () => {
  const said = (pointer) => warningText({ pointer, detail: 'so' });
  assert.equal(said('/regions/0/seat'), 'region 1 seat: so');
  assert.equal(said('/layout/groups/1/regions/2/min_fps'), 'layout group 2 region 3 min fps: so');
  assert.equal(said(''), 'so');
});

test('events are put together from pieces of any size', () => {
  const text = ': hello\n\nid: 7\nevent: chat.message\ndata: {"a":1,\ndata: "b":2}\n\nid: 8\r\nevent: x\r\ndata: {}\r\n\r\n';
  for (const size of [1, 3, 1000]) {
    const split = splitter();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...split(text.slice(at, at + size)));
    assert.deepEqual(events.map(({ id, event }) => [id, event]), [['7', 'chat.message'], ['8', 'x']]);
    assert.deepEqual(JSON.parse(events[0].data), { a: 1, b: 2 });
  }
});

test('what belongs to a room is found under its name, whatever that is', () => {
  assert.equal(roomPath('a/b', 'views', 'main'), '/v1/rooms/a%2Fb/views/main');
});

const DOCUMENT = {
  paths: {
    '/v1/rooms/{room}/messages': {
      post: {
        tags: ['messages'],
        security: [{ token: [] }],
        requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Message' } } } },
        responses: { 204: { description: 'Said.' } },
      },
    },
    '/v1/events': { get: { tags: ['events'], responses: { 200: { content: { 'text/event-stream': { schema: { type: 'string' } } } } } } },
  },
  components: {
    schemas: {
      Message: { type: 'object', required: ['text'], properties: { text: { type: 'string', description: 'What.' }, from: { type: ['string', 'null'] }, tone: { oneOf: [{ type: 'null' }, { $ref: '#/components/schemas/Tone' }] }, to: { type: 'array', items: { $ref: '#/components/schemas/Message' } } } },
      Tone: { type: 'string', enum: ['calm', 'loud'] },
    },
  },
};

test('an operation is shown with its fields, an example and a command', () => {
  const [post] = operations(DOCUMENT).get('messages');
  assert.deepEqual([post.id, post.method, post.path], ['post-v1-rooms-room-messages', 'POST', '/v1/rooms/{room}/messages']);
  const [body] = content(DOCUMENT, post.operation.requestBody);
  const fields = rows(DOCUMENT, body.schema);
  assert.deepEqual(fields.map(({ name, required, nullable }) => [name, required, nullable]), [['text', true, false], ['from', false, true], ['tone', false, true], ['to', false, false]]);
  assert.deepEqual(fields.map(({ type }) => type), ['string', 'string', '"calm" | "loud"', 'list of Message']);
  assert.equal(fields[3].ref, 'Message');
  assert.equal(example(DOCUMENT, body.schema).tone, 'calm');
  const command = curl(DOCUMENT, post, 'https://meet.example');
  assert.match(command, /^curl -X POST https:\/\/meet.example\/v1\/rooms\/standup\/messages -H "Authorization: Bearer \$TOKEN" -H 'Content-Type: application\/json' -d '\{"text"/);
  assert.equal(curl(DOCUMENT, operations(DOCUMENT).get('events')[0], ''), 'curl -N /v1/events');
});

test('schemas that contain themselves end, broken references are anything, and quotes are quoted', () => {
  assert.doesNotThrow(() => JSON.stringify(example(DOCUMENT, { $ref: '#/components/schemas/Message' })));
  assert.deepEqual(follow(DOCUMENT, { $ref: '#/components/schemas/None' }), {});
  assert.equal(typeName(DOCUMENT, undefined), 'anything');
  const plain = { components: { schemas: { Share: { type: 'number', description: '0 to 1.' } } } };
  const [row] = rows(plain, { properties: { x: { $ref: '#/components/schemas/Share' } } });
  assert.deepEqual([row.type, row.text, row.ref], ['number', '0 to 1.', null]);
  assert.equal(quoted("it's"), `'it'\\''s'`);
});
