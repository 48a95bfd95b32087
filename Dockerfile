# Build: compiler, clang and development packages.
FROM node:20-bookworm-slim AS build
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends clang libbpf-dev linux-libc-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /baton
COPY package.json package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY tsconfig.json ./
COPY src src
COPY deploy/build.sh deploy/undici.cjs deploy/notices.cjs deploy/
RUN deploy/build.sh && npm prune --omit=dev --no-fund --no-audit

# Run: node, libbpf to load the steering program, iproute2 to configure VIPs.
FROM node:20-bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends libbpf1 iproute2 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /baton
COPY --from=build /baton/node_modules node_modules
COPY --from=build /baton/dist dist
COPY package.json LICENSE ./
COPY config config
# Needs the host's network (or an interface of its own) and these capabilities; a front also a bpf file system, an agent no
# CAP_BPF. CAP_NET_BIND_SERVICE is for VIP ports below 1024.
#   docker run --network host --cap-drop ALL --cap-add NET_ADMIN --cap-add BPF --cap-add NET_BIND_SERVICE \
#     -v /sys/fs/bpf:/sys/fs/bpf -v ./front.yaml:/etc/baton/front.yaml:ro baton front --config /etc/baton/front.yaml
ENTRYPOINT ["node", "dist/cli.js"]
