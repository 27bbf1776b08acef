# A small image without a shell: the program with its page, glibc and root certificates.
#
# The program is linked with glibc, not musl: musl's allocator is slow with many threads, and its
# resolver lacks features that the DNS of some clusters needs. Both stages use the same Debian
# release, because the program does not run with an older glibc than the one it was linked with.
ARG BUILDER=docker.io/library/rust:1.95-slim-trixie
ARG RUNTIME=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILDER} AS builder
# Puts the list of dependencies into the program, where scanners of images find it.
RUN cargo install cargo-auditable --version 0.7.7 --locked
WORKDIR /build

# A layer with the compiled dependencies, which only changes of these three files rebuild. An empty
# library is enough to compile them.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir src static && echo '//! Empty.' > src/lib.rs && \
    cargo build --release --locked --lib

# Cargo compares modification times, and the sources may be older than the empty library. So the
# output of the empty library is removed.
COPY src src
COPY static static
RUN cargo clean --release --locked -p rasta-stream && \
    cargo auditable build --release --locked --bin rasta-stream

FROM ${RUNTIME}
LABEL org.opencontainers.image.title="rasta-stream" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

# Root owns the program and another user runs it, so it cannot change itself.
WORKDIR /app
COPY --from=builder /build/target/release/rasta-stream ./

# The default, 127.0.0.1, cannot be reached from outside the container.
ENV HOST=0.0.0.0
EXPOSE 8080
USER 65532:65532

# Exec form throughout: there is no shell, and SIGTERM must reach the program, which then drains for up
# to DRAIN_SECONDS.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/app/rasta-stream", "healthcheck"]
ENTRYPOINT ["/app/rasta-stream"]
