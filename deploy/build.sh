#!/usr/bin/env bash
# Builds dist/: TypeScript by tsc, the eBPF programs by clang.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v clang >/dev/null || { echo "build: clang is missing: run deploy/setup.sh, or apt-get install clang" >&2; exit 1; }
rm -rf dist
node_modules/.bin/tsc -p tsconfig.json
chmod +x dist/cli.js

# Debian keeps asm/ headers in a directory per architecture, which the bpf target does not search by itself.
headers=/usr/include/$(uname -m)-linux-gnu
clang -O2 -g -Wall -Werror -target bpf -I"$headers" -c src/steer/steer.bpf.c -o dist/steer/steer.bpf.o
