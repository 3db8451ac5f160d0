/**
 * The composite alone, by WHEP. `?view=` chooses the view; `?clean=1` shows nothing but the picture, for capture
 * by other programs and for screens on a wall.
 *
 * @module
 */

import { watch } from './mixdown.js';
import { fillIcons, roomFromPath, setIcon, token } from './ui.js';

const room = roomFromPath();
const query = new URLSearchParams(location.search);
const clean = query.has('clean') && query.get('clean') !== '0';
const $ = (id) => document.getElementById(id);
const video = $('composite');

/** Until the server first accepts: a room may not run yet. */
const RETRY_MS = 3000;

function say(text) {
  $('waiting-text').textContent = text;
  $('waiting').hidden = text === '';
}

function showSound() {
  setIcon($('sound'), video.muted ? 'sound-off' : 'sound');
  $('sound').setAttribute('aria-pressed', String(!video.muted));
  $('unmute').hidden = !video.muted || clean;
}

function setMuted(muted) {
  video.muted = muted;
  if (!muted) video.play().catch(() => {});
  showSound();
}

async function fullscreen() {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen?.();
}

/** The bar hides when nothing moves. */
function hideIdle() {
  let timer = 0;
  const wake = () => {
    document.body.classList.remove('idle');
    clearTimeout(timer);
    timer = setTimeout(() => document.body.classList.add('idle'), 3000);
  };
  for (const type of ['pointermove', 'pointerdown', 'keydown', 'focusin']) addEventListener(type, wake);
  wake();
}

async function start() {
  say('Connecting…');
  const player = await watch({ room, view: query.get('view') ?? undefined, token: token() });
  player.addEventListener('picture', () => say(''));
  player.addEventListener('state', ({ detail }) => {
    if (detail.state === 'reconnecting') say('Reconnecting…');
    if (detail.state === 'connected' && video.videoWidth > 0) say('');
    if (detail.state === 'closed' && detail.error) again(detail.error);
  });
  player.attach(video).then(showSound);
}

function again(error) {
  say(error.status === 404 ? 'The room is not open yet.' : error.message);
  setTimeout(() => start().catch(again), RETRY_MS);
}

// A page that the browser kept comes back without its player.
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

document.title = `${room} · Mixdown`;
document.body.classList.toggle('clean', clean);
$('room-name').textContent = room;
$('join').href = `/r/${encodeURIComponent(room)}${location.hash}`;
fillIcons();
hideIdle();
$('unmute').addEventListener('click', () => setMuted(false));
$('sound').addEventListener('click', () => setMuted(!video.muted));
$('fullscreen').addEventListener('click', () => fullscreen().catch(() => {}));
video.addEventListener('click', () => video.muted && setMuted(false));
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === 'm') setMuted(!video.muted);
  if (event.key === 'f') fullscreen().catch(() => {});
});
start().catch(again);
