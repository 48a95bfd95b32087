#!/usr/bin/env bash
# Prepares a bare Debian 12 with Node 20: system packages, npm packages, build. Idempotent; run it as root.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "setup: $1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "needs root: it installs packages and the tests make network namespaces"
command -v node >/dev/null || fail "Node 20 is missing"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || fail "Node $(node --version) is too old: 20 is needed"

# clang, libbpf-dev and the kernel headers build the eBPF program; libbpf1 loads it; iproute2 configures VIPs and
# the lab; openssl makes the certificates of `baton certs`; the others are what the end-to-end tests use: curl, wrk,
# h2load (nghttp2-client), tcpdump, nft (cut links), sysctl (procps), clocks that jump (libfaketime), a kernel that
# refuses (strace) and the names of services (netbase), without which wrk does not start.
packages=(
  clang libbpf-dev linux-libc-dev libbpf1 iproute2 openssl tcpdump curl wrk nghttp2-client procps netbase nftables
  libfaketime strace
)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "setup: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! mountpoint -q /sys/fs/bpf; then
  echo "setup: mounting bpffs on /sys/fs/bpf"
  mount -t bpf bpf /sys/fs/bpf
fi

echo "setup: npm ci"
npm ci --loglevel=error --no-fund --no-audit
echo "setup: build"
npm run --silent build
echo "setup: done"
