#!/usr/bin/env bash
# Builds dist/: TypeScript by tsc, bundles of what is started by esbuild, the eBPF programs by clang.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v clang >/dev/null || { echo "build: clang is missing: run deploy/setup.sh, or apt-get install clang" >&2; exit 1; }
rm -rf dist
node_modules/.bin/tsc -p tsconfig.json
chmod +x dist/cli.js

# To find and read 700 modules takes Node longer than to run them, so what is started often is one file each, in the place
# of tsc's. Without white space, since Node reads and parses what it is given at every start; the names stay, and
# `node --enable-source-maps` leads from a stack trace to the sources. Each is a directory below dist/, like its parts, so
# that paths that are relative to these hold. koffi is native and cannot be in it.
node_modules/.bin/esbuild src/cli/front.ts src/cli/agent.ts src/cli/check.ts src/front/worker.ts \
  --bundle --platform=node --target=node20 --external:koffi --alias:undici=./deploy/undici.cjs --outbase=src --outdir=dist --allow-overwrite \
  --minify-whitespace --line-limit=160 --legal-comments=none --sourcemap --sources-content=false --log-level=warning \
  --metafile=dist/bundles.json
node deploy/notices.cjs dist/bundles.json dist/THIRD-PARTY-NOTICES
rm dist/bundles.json

# Debian keeps asm/ headers in a directory per architecture, which the bpf target does not search by itself.
headers=/usr/include/$(uname -m)-linux-gnu
clang -O2 -g -Wall -Werror -target bpf -I"$headers" -c src/steer/steer.bpf.c -o dist/steer/steer.bpf.o
