#!/bin/sh
# Builds and runs one of the examples: sh capi/examples/run.sh c|python|python-crf|wasm|firmware|page|page-test [--wrong]
#
# page makes one HTML file and says where it is; page-test FOLDER uses it in a headless browser.
# --wrong (wasm, firmware) changes one expected value: the example has to fail. Exit code 77: a tool is missing, and the
# last line says which.
set -eu
cd "$(dirname "$0")/../.."
example=${1:-} wrong=${2:-}
target=${CARGO_TARGET_DIR:-target}
profile="--profile capi --locked --quiet"

need() { # COMMAND WHERE-FROM
  command -v "$1" >/dev/null 2>&1 || { echo "missing: $1 ($2)"; exit 77; }
}

need_target() {
  rustc --print target-libdir --target "$1" | while read -r folder; do
    [ -d "$folder" ] || { echo "missing: the target $1 (rustup target add $1)"; exit 77; }
  done
}

build() { cargo build -p wseg-capi --no-default-features --features crf $profile "$@"; }

case $example in
  c)
    need cc "a C compiler"
    build
    mkdir -p "$target/capi/examples"
    cc -std=c99 -Wall -Wextra -Werror -pedantic -O2 -I capi/include capi/examples/refine.c "$target/capi/libwseg_c.a" \
      -o "$target/capi/examples/refine"
    "$target/capi/examples/refine"
    ;;
  python)
    need python3 "Python 3"
    build
    python3 capi/examples/refine.py "$target/capi/libwseg_c.so"
    ;;
  python-crf)
    need python3 "Python 3"
    python3 -c "import numpy" 2>/dev/null || { echo "missing: numpy (Debian's package python3-numpy)"; exit 77; }
    build
    python3 capi/examples/densecrf.py "$target/capi/libwseg_c.so" fixtures
    ;;
  wasm)
    need node "Node.js"
    need_target wasm32-unknown-unknown
    build --target wasm32-unknown-unknown
    node capi/examples/golden.mjs "$target/wasm32-unknown-unknown/capi/wseg_c.wasm" fixtures $wrong
    ;;
  firmware)
    need qemu-system-arm "Debian's package qemu-system-arm"
    need_target thumbv7em-none-eabihf
    cargo build --manifest-path capi/examples/firmware/Cargo.toml --target-dir "$target/firmware" --release --locked \
      --quiet --target thumbv7em-none-eabihf ${wrong:+--features wrong}
    qemu-system-arm -cpu cortex-m4 -machine mps2-an386 -nographic -semihosting-config enable=on,target=native \
      -kernel "$target/firmware/thumbv7em-none-eabihf/release/wseg-firmware"
    ;;
  page | page-test)
    need node "Node.js"
    need_target wasm32-unknown-unknown
    build --target wasm32-unknown-unknown --target-dir "$target/page" --config 'profile.capi.strip="symbols"'
    node capi/web/build.mjs "$target/page/wasm32-unknown-unknown/capi/wseg_c.wasm" "$target/wseg.html"
    echo "open $target/wseg.html in a browser"
    [ "$example" = page-test ] || exit 0
    browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
    [ -n "$browser" ] || { echo "missing: chromium (Debian's package chromium)"; exit 77; }
    node capi/web/test.mjs "$browser" "$target/wseg.html" "$wrong"
    ;;
  *)
    echo "usage: sh capi/examples/run.sh c|python|python-crf|wasm|firmware|page" >&2
    exit 2
    ;;
esac
