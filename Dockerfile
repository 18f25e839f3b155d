# syntax=docker/dockerfile:1

# One image with the CLI and one code location: the package named by LOCATION, which is the example unless told otherwise.
#
#   docker build --build-arg LOCATION=./cmd/warehouse --build-arg PACKAGES="python3 r-base-core" -t warehouse .

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG LOCATION=./examples/flights
# The build id of a location is a hash of its program: the same source gives the same build.
ENV CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -ldflags="-s -w" -o /out/perdure ./cmd/perdure && \
    go build -ldflags="-s -w" -o /out/location "${LOCATION}"

FROM debian:bookworm-slim
# Certificates for buckets and Temporal Cloud; time zones for schedules; and Debian's packages of the programs that steps run.
ARG PACKAGES=python3
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates tzdata ${PACKAGES} && \
    rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin perdure && \
    install -d -o perdure -g perdure /var/lib/perdure
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
WORKDIR /var/lib/perdure
VOLUME /var/lib/perdure
# SIGTERM drains a location: its steps get worker.drain_timeout to end.
STOPSIGNAL SIGTERM
CMD ["location", "serve"]
