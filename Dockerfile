# Akin in a container: built by the Makefile, run with nothing but the libraries that it is linked to.
#   docker build -t akin .
#   docker run -p 8470:8470 -v akin-data:/data akin
# Beyond loopback every call but /livez and /readyz needs a key: the admin key is made at the first
# start in /data/admin.key, or read from the file that AKIN_ADMIN_KEY_FILE names.
FROM debian:12 AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make
WORKDIR /src
# Packages and FAISS first: these layers stay until their lists change.
COPY Makefile deps.txt ./
COPY tools/deps.sh tools/faiss.sh tools/
RUN make deps
COPY . .
RUN make && make install DESTDIR=/out

FROM debian:12-slim
COPY --from=build /src/deps.txt /tmp/akin/
COPY --from=build /src/tools/deps.sh /tmp/akin/tools/
RUN /tmp/akin/tools/deps.sh run \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl \
    && rm -rf /tmp/akin /var/lib/apt/lists/* \
    && groupadd --gid 8470 akin \
    && useradd --uid 8470 --gid 8470 --home-dir /data --no-create-home --shell /usr/sbin/nologin akin \
    && install -d -o akin -g akin -m 700 /data
COPY --from=build /out/ /
ENV AKIN_DATA=/data
USER akin
VOLUME /data
EXPOSE 8470
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD curl -fsS -o /dev/null http://127.0.0.1:8470/livez
ENTRYPOINT ["akin"]
CMD ["serve", "--listen", "0.0.0.0:8470"]
