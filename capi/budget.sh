#!/bin/sh
# Code of the release build of the C library: sh capi/budget.sh [TARGET] [--control]
#
# Prints, for every call and for all of them together, the bytes of machine code and constants that a program gets which
# calls it and nothing else, found by linking it alone. Fails if any of them could reach a panic: then a symbol of
# core::panicking would be linked. TARGET is this machine's unless given, such as thumbv7em-none-eabihf. With --control
# overflow checks are on, which panic: then it has to fail. Exit code 77: a tool is missing.
set -eu
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
target=${1:-$host}
lld="$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld"
[ -x "$lld" ] || { echo "missing: $lld (part of the toolchains of rustup)"; exit 77; }
command -v readelf >/dev/null || { echo "missing: readelf (binutils)"; exit 77; }
[ -d "$(rustc --print target-libdir --target "$target")" ] || { echo "missing: the target $target (rustup target add $target)"; exit 77; }

folder=${CARGO_TARGET_DIR:-target} checks=false
[ "${2:-}" != --control ] || { folder=$folder/control; checks=true; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Cargo warns where a target has no shared libraries: what it says matters only if it fails.
RUSTFLAGS="" cargo build -p wseg-capi --profile capi --no-default-features --features crf --locked --quiet --target "$target" \
  --target-dir "$folder" --config "profile.capi.overflow-checks=$checks" 2>"$work/log" || { cat "$work/log"; exit 2; }
library=$folder/$target/capi/libwseg_c.a

# Links what the named functions reach. memcpy and memset, malloc and free are the C library's.
link() {
  roots=""
  for name in "$@"; do roots="$roots -u $name"; done
  "$lld" -flavor gnu --gc-sections --unresolved-symbols=ignore-all -e "$1" $roots -o "$work/linked" "$library"
  if readelf -sW "$work/linked" | grep -E 'core9?panicking|panic_|unwrap_failed|expect_failed|rust_begin_unwind|handle_alloc_error|capacity_overflow'; then
    echo "a panic can be reached from: $*"
    exit 1
  fi
  for name in "$@"; do
    readelf -sW "$work/linked" | grep -q " $name\$" || { echo "$name is not in the library"; exit 1; }
  done
  # Sections .text and .rodata: without its number, the fifth column is the size, in hexadecimal digits.
  readelf -SW "$work/linked" | sed 's/^ *\[ *[0-9]*\] *//' | awk '$1 ~ /^\.(text|rodata)/ { print $5 }' |
    { total=0; while read -r size; do total=$((total + 0x$size)); done; echo "$total"; }
}

calls=$(sed -n 's/^.* \**\(wseg_[a-z_]*\)(.*$/\1/p' capi/include/wseg.h | sort)
[ -n "$calls" ] || { echo "the header declares nothing"; exit 1; }
for call in $calls; do
  size=$(link "$call") || { echo "$size"; exit 1; }
  echo "$call $size"
done
size=$(link $calls) || { echo "$size"; exit 1; }
echo "all $size"
