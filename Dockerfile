FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/drawbridge ./cmd/drawbridge \
 && mkdir -m 0700 /out/data

# Nothing but the program, the certificates it trusts and a folder that it may write to.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/drawbridge /usr/bin/drawbridge
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# From here the default store path, data/drawbridge.db, is in the volume.
WORKDIR /
VOLUME /data
ENV DRAWBRIDGE_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/usr/bin/drawbridge", "health", "--config", "/etc/drawbridge/drawbridge.yaml"]
ENTRYPOINT ["/usr/bin/drawbridge"]
CMD ["serve", "--config", "/etc/drawbridge/drawbridge.yaml"]
