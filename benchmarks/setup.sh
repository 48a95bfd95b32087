#!/usr/bin/env bash
# What `npm run bench` needs beside deploy/setup.sh: the competitors as Debian ships them, and tsx. Idempotent; run as root.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
for package in haproxy nginx-light; do
  [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "benchmarks: installing ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # Debian starts a service with its package, and this host's ports are none of our business.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
[ -x node_modules/.bin/tsx ] || npm ci --loglevel=error --no-fund --no-audit >&2
