#!/bin/bash
# ffmpeg: decode, scale, xstack, x264 ultrafast; one thread for each stage.
. "$(dirname "$0")/lib.sh"
need ffmpeg tail cat
# All of it is read: a list that is cut off would end ffmpeg, and look like one without.
encoders=$(ffmpeg -v error -encoders 2>&1) || missing "ffmpeg does not run: $(tail -n 1 <<<"$encoders")"
[[ $encoders == *" libx264 "* ]] || missing "ffmpeg has no libx264"
filters=$(ffmpeg -v error -filters 2>&1) || missing "ffmpeg does not run: $(tail -n 1 <<<"$filters")"
for filter in scale xstack pad split; do
  [[ $filters == *" $filter "* ]] || missing "ffmpeg has no filter $filter"
done
need_clips

arguments=(-v error -nostdin -y -filter_complex_threads 1 -filter_threads 1)
tiles="" stack="" places=""
for ((i = 0; i < SENDERS; i++)); do
  arguments+=(-threads 1 -i "$INPUTS/$i.mp4")
  tiles+="[$i:v]scale=$tile_width:$tile_height:flags=bilinear[tile$i];"
  stack+="[tile$i]"
  places+="|$((i % columns * tile_width))_$((i / columns * tile_height))"
done
if ((SENDERS > 1)); then
  canvas="${stack}xstack=inputs=$SENDERS:layout=${places:1}:fill=black,pad=$WIDTH:$HEIGHT,format=yuv420p"
else
  canvas="${stack}format=yuv420p"
fi
canvas+=",split=$ENCODES"
for ((m = 0; m < ENCODES; m++)); do canvas+="[out$m]"; done
arguments+=(-filter_complex "$tiles$canvas")
for ((m = 0; m < ENCODES; m++)); do
  arguments+=(-map "[out$m]" -c:v libx264 -preset ultrafast -tune zerolatency -profile:v baseline -threads 1)
  arguments+=(-b:v "${KBPS}k" -maxrate "${KBPS}k" -bufsize "${KBPS}k" -g 3000 -t "$MEDIA_S" -f null -)
done
measure ffmpeg "${arguments[@]}"
