# What the scripts of `mixdown bench --compare` share. They are given, in the environment:
#   INPUTS    a folder with 0.mp4, 1.mp4, … (H.264), one for each sender; or N.why, which says why N.mp4 is not there
#   SENDERS   how many there are
#   ENCODES   how often the grid is encoded
#   MEDIA_S   seconds of media in each
# Each prints one line, "CPU_SECONDS MEDIA_SECONDS", and ends with 77 and a reason on standard error where something is missing.
set -euo pipefail
# The decimal point of `time` is a point.
export LC_ALL=C
WIDTH=1280 HEIGHT=720 FPS=30 KBPS=1500

missing() { echo "$*" >&2; exit 77; }

# Each program that is named must be there.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || missing "$program is not installed"
  done
}

# So must the clip of each sender.
need_clips() {
  local i
  for ((i = 0; i < SENDERS; i++)); do
    [[ -s $INPUTS/$i.mp4 ]] || missing "$(cat "$INPUTS/$i.why" 2>/dev/null || echo "$i.mp4 is not there")"
  done
}

# The grid: as many columns as rows, or one more; even tiles.
columns=1
while ((columns * columns < SENDERS)); do ((++columns)); done
tile_width=$((WIDTH / columns / 2 * 2)) tile_height=$((HEIGHT / columns / 2 * 2))

# Runs a command and prints the processor time of it and its children.
measure() {
  local TIMEFORMAT='%3U %3S' user system
  read -r user system < <({ time "$@" >/dev/null 2>"$INPUTS/log" || echo failed >"$INPUTS/failed"; } 2>&1)
  if [[ -e $INPUTS/failed ]]; then
    rm "$INPUTS/failed"
    tail -n 1 "$INPUTS/log" >&2
    exit 1
  fi
  # Bash has no fractions: milliseconds.
  local total=$((10#${user/./} + 10#${system/./}))
  printf '%d.%03d %s\n' $((total / 1000)) $((total % 1000)) "$MEDIA_S"
}
