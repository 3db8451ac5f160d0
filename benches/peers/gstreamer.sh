#!/bin/bash
# GStreamer: decode, compositor, x264 ultrafast; one thread for each codec.
. "$(dirname "$0")/lib.sh"
need gst-launch-1.0 gst-inspect-1.0 tail cat
for element in filesrc queue tee fakesink qtdemux h264parse avdec_h264 compositor x264enc; do
  gst-inspect-1.0 --exists "$element" || missing "GStreamer has no $element"
done
need_clips

encoder="x264enc tune=zerolatency speed-preset=ultrafast bitrate=$KBPS key-int-max=3000 threads=1 bframes=0"
encoder+=" ! video/x-h264,profile=baseline ! fakesink sync=false async=false"
pipeline="compositor name=canvas background=black"
for ((i = 0; i < SENDERS; i++)); do
  pipeline+=" sink_$i::xpos=$((i % columns * tile_width)) sink_$i::ypos=$((i / columns * tile_height))"
  pipeline+=" sink_$i::width=$tile_width sink_$i::height=$tile_height"
done
pipeline+=" ! video/x-raw,format=I420,width=$WIDTH,height=$HEIGHT,framerate=$FPS/1"
if ((ENCODES > 1)); then
  pipeline+=" ! tee name=tee"
  for ((m = 0; m < ENCODES; m++)); do pipeline+=" tee. ! queue ! $encoder"; done
else
  pipeline+=" ! $encoder"
fi
for ((i = 0; i < SENDERS; i++)); do
  pipeline+=" filesrc location=$INPUTS/$i.mp4 ! qtdemux ! h264parse ! avdec_h264 max-threads=1"
  pipeline+=" ! queue max-size-buffers=3 ! canvas.sink_$i"
done
# The pipeline is one word for each word.
# shellcheck disable=SC2086
measure gst-launch-1.0 -q -e $pipeline
