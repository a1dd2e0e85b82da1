# syntax=docker/dockerfile:1
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The caches live beside the layers: a change of the source builds only what depends on it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/log-ingestor /log-ingestor

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home log-ingestor
COPY --from=build /log-ingestor /usr/local/bin/log-ingestor
USER log-ingestor
EXPOSE 1323
STOPSIGNAL SIGTERM
ENTRYPOINT ["log-ingestor"]
