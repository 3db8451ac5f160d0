import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { load } from './modules.mjs';

const { Hints } = await load('hints.js');

/** A page and a connection that the test moves by hand, and what was told. */
function fixture({ saveData = false } = {}) {
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible', pictureInPictureElement: null });
  const connection = Object.assign(new EventTarget(), { saveData });
  const told = [];
  const hints = new Hints((hint) => told.push(hint), page, connection);
  const show = (state) => {
    page.visibilityState = state;
    page.dispatchEvent(new Event('visibilitychange'));
  };
  return { page, connection, told, hints, show };
}

test('a size is told once, and one of nothing never', () => {
  const { told, hints } = fixture();
  for (const [width, height] of [[0, 0], [640, 360], [640, 360], [320, 180]]) hints.shownAt(width, height);
  assert.deepEqual(told, [{ type: 'hint', width: 640, height: 360 }, { type: 'hint', width: 320, height: 180 }]);
});

test('a glance at another page is not told, a longer look is, and the return at once', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { told, show, page } = fixture();
  show('hidden');
  mock.timers.tick(1900);
  show('visible');
  mock.timers.tick(5000);
  assert.deepEqual(told, []);
  show('hidden');
  mock.timers.tick(2000);
  assert.deepEqual(told, [{ type: 'hint', hidden: true }]);
  show('visible');
  assert.deepEqual(told.at(-1), { type: 'hint', hidden: false });
  page.pictureInPictureElement = {};
  show('hidden');
  mock.timers.tick(5000);
  assert.equal(told.length, 2, 'a picture in picture is looked at');
  mock.timers.reset();
});

test('the wish to save data is told at the start and on every change', () => {
  const { told, connection } = fixture({ saveData: true });
  assert.deepEqual(told, [{ type: 'hint', save_data: true }]);
  connection.saveData = false;
  connection.dispatchEvent(new Event('change'));
  assert.deepEqual(told.at(-1), { type: 'hint', save_data: false });
});

test('a new channel is told everything, and nothing after the end', () => {
  const { told, hints, connection } = fixture();
  hints.repeat();
  assert.deepEqual(told, []);
  hints.shownAt(640, 360);
  hints.repeat();
  assert.deepEqual(told.at(-1), { type: 'hint', width: 640, height: 360 });
  hints.stop();
  connection.saveData = true;
  connection.dispatchEvent(new Event('change'));
  assert.equal(told.length, 2);
});
