# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake nasm pkg-config libvpx-dev fonts-noto-core \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# libvpx is linked in, so that the image below needs no codec package; rebuild the image for its security fixes.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    command -v nasm && VPX_STATIC=1 cargo build --locked --release --bin mixdown \
 && install -D -s target/release/mixdown /image/usr/local/bin/mixdown
# Fonts for names in pictures; mount more (Noto CJK, for one) over /usr/share/fonts/more.
RUN mkdir -p /image/usr/share/fonts/truetype/noto /image/usr/share/fonts/more /image/etc/mixdown \
 && cd /usr/share/fonts/truetype/noto \
 && cp NotoSans-Regular.ttf NotoSans-Bold.ttf NotoSansArabic-*.ttf NotoSansHebrew-*.ttf NotoSansDevanagari-*.ttf NotoSansThai-*.ttf \
       /image/usr/share/fonts/truetype/noto/ \
 && install -m 0444 /src/config/docker.toml /image/etc/mixdown/mixdown.toml

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libstdc++6 ca-certificates ffmpeg \
 && apt-get upgrade -y \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /image/ /
# Recordings, and whatever else is to outlive the container.
RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/mixdown /var/lib/mixdown/recordings
VOLUME /var/lib/mixdown
# No account, no home, no shell needed: a bare number is a user too.
USER 10001:10001
WORKDIR /
ENV NO_COLOR=1 MIXDOWN_CONFIG=/etc/mixdown/mixdown.toml
EXPOSE 8080/tcp 3478/udp 3478/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/mixdown", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/mixdown"]
CMD ["serve"]
