# A small image without a shell: the program, glibc and root certificates.
#
# Linked with glibc rather than musl: musl's allocator is slow under many threads, and its
# resolver does not read what some clusters' DNS needs. Both stages are the same Debian
# release, for the program must not meet an older glibc than it was linked with.
ARG BUILDER=docker.io/library/rust:1.95-slim-trixie
ARG RUNTIME=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILDER} AS builder
WORKDIR /build

# The dependencies, in a layer that only Cargo.toml and Cargo.lock can make stale.
# An empty library is enough to compile them: there is never a dummy program to ship.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir src static && echo '//! Empty.' > src/lib.rs && \
    cargo build --release --locked --lib

# Cargo compares times, and the sources may well be older than the empty library compiled
# above. `cargo clean -p` removes this crate's own artefacts, so that nothing is left to compare.
COPY src src
COPY static static
RUN cargo clean --release --locked -p rasta-stream && \
    cargo build --release --locked --bin rasta-stream

FROM ${RUNTIME}
LABEL org.opencontainers.image.title="rasta-stream" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

# Owned by root, run by another: the program cannot change itself.
WORKDIR /app
COPY --from=builder /build/target/release/rasta-stream ./

# Loopback would be unreachable from outside the container.
ENV HOST=0.0.0.0
EXPOSE 8080
USER 65532:65532

# Exec form throughout: there is no shell, and SIGTERM must reach the program, which then lets replies
# end for DRAIN_SECONDS.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/app/rasta-stream", "healthcheck"]
ENTRYPOINT ["/app/rasta-stream"]
