/**
 * What the client does to its transceivers.
 *
 * @module
 */

/** What is sent with simulcast. */
export const LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];

/** Sets track and direction of a transceiver. @returns whether the direction has changed */
export function turn(transceiver, track, direction) {
  if (transceiver.sender.track !== track) transceiver.sender.replaceTrack(track).catch(() => {});
  if (transceiver.direction === direction) return false;
  transceiver.direction = direction;
  return true;
}

/** Moves a codec to the front; the others stay possible. @param {RTCRtpTransceiver} transceiver @param {string} [name] */
export function prefer(transceiver, name) {
  const codecs = name && RTCRtpReceiver.getCapabilities?.('video')?.codecs;
  if (!codecs || !transceiver.setCodecPreferences) return;
  const wanted = (codec) => codec.mimeType.toLowerCase() === `video/${name.toLowerCase()}`;
  transceiver.setCodecPreferences([...codecs.filter(wanted), ...codecs.filter((codec) => !wanted(codec))]);
}
