#!/bin/sh
# Builds wseg for NVIDIA's cards on a machine that has none: the binary and the tests, which look for the driver and the
# libraries when they are started and run on the CPU without them. Needs Rust, a C++ compiler, Python's pip and the
# network (for the compiler, 105 MB, unless CUDA_HOME names a toolkit of version 13.0 or later).
#
#   sh cuda-runner/gpu/build-portable.sh [OUT]            OUT is target/portable unless named
#
# CUDA_COMPUTE_CAP says for which cards: 90, the default here, for H100 and H200; 80 for A100 and all later ones, 89 for
# L4 and RTX 40, 100 for B200, 120 for RTX 50. Kernels are kept as PTX: a later card than named takes them as well.
# CARGO_BUILD_JOBS and CARGO_TARGET_DIR hold as ever. What is built goes to OUT/bin, to be carried elsewhere; what nvcc
# says of the kernels to OUT/kernels.txt.
set -eu
cd "$(dirname "$0")/../.."
began=$(date +%s)

work=$PWD/target/portable
[ -n "${1-}" ] && mkdir -p "$1" && work=$(cd "$1" && pwd)
mkdir -p "$work/lib" "$work/bin" "$work/source"
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$work/target}"

say() { printf '\n== %s (%s s)\n' "$*" "$(($(date +%s) - began))"; }

say "the compiler"
if [ ! -x "${CUDA_HOME-/nowhere}/bin/nvcc" ]; then
    CUDA_HOME=$work/toolkit/nvidia/cu13
    # 13.0: what it makes runs with drivers of the 580 series and later ones.
    [ -x "$CUDA_HOME/bin/nvcc" ] || python3 -m pip install --quiet --root-user-action ignore --target "$work/toolkit" \
        'cuda-toolkit[nvcc,crt,nvvm,cudart,cccl]==13.0.2'
fi
REAL_NVCC=$CUDA_HOME/bin/nvcc
"$REAL_NVCC" --version | tail -n 2

say "registers and spills"
# The driver compiles the PTX for its card; this asks the compiler what that will give.
report=$work/kernels.txt
: > "$report"
for source in cuda-runner/src/ops/kernels/*.cu; do
    echo "$source" >> "$report"
    "$REAL_NVCC" -cubin -arch "sm_$CUDA_COMPUTE_CAP" -Xptxas -v -O3 -std=c++17 -I cuda-runner/src/ops/kernels \
        -o "$work/kernel.cubin" "$source" 2>&1 | grep -v 'Compile time' >> "$report"
done
rm -f "$work/kernel.cubin"
kernels=$(grep -c 'Compiling entry function' "$report" || true)
# Kernels of f64 serve comparisons; those of f32 and bf16 are the ones that must not wait for memory.
spilling=$(awk '/Function properties for/ { name = $NF } /spill stores/ && !/ 0 bytes spill stores/ { print name ":" $0 }' \
    "$report")
[ "$kernels" -gt 0 ] || { echo "no kernels were compiled: $report"; exit 1; }
echo "$kernels kernels; details in $report"
[ -z "$spilling" ] || printf 'these spill registers:\n%s\n' "$spilling"
if printf '%s\n' "$spilling" | grep -q -E '^[a-z0-9_]+_(f32|bf16):'; then
    echo "one of them is of f32 or bf16"
    exit 1
fi

say "sources"
# A copy: candle-core is told to load libraries rather than to link them, which changes Cargo.lock.
git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
    [ -f "$file" ] && printf '%s\0' "$file"
done | xargs -0 cp --parents --update -p -t "$work/source"
cargo fetch --locked --quiet
candle=$(cargo metadata --locked --offline --format-version 1 | tr ',' '\n' |
    sed -n 's|.*"manifest_path":"\([^"]*/candle-core-[^"/]*\)/Cargo.toml".*|\1|p' | head -n 1)
rm -rf "$work/candle-core"
cp -r "$candle" "$work/candle-core"
sed -i 's/"dynamic-linking"/"fallback-dynamic-loading"/' "$work/candle-core/Cargo.toml"
grep -q '"fallback-dynamic-loading"' "$work/candle-core/Cargo.toml"
# Named by candle's build script, used by nothing that is built here.
rm -f "$work/lib/libcudart.a" && ar rcs "$work/lib/libcudart.a"

say "wseg and its tests"
nvcc=$work/source/cuda-runner/gpu/nvcc
cd "$work/source"
# The stand-in's folder is the toolkit as candle's build script sees it: compiler and headers.
ln -sfn "$CUDA_HOME/include" "$nvcc/include"
export REAL_NVCC CUDA_HOME="$nvcc" NVCC="$nvcc/bin/nvcc" PATH="$nvcc/bin:$PATH" LIBRARY_PATH="$work/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
build() {
    cargo "$@" --release --workspace --features wseg/cuda --config 'profile.release.strip="symbols"' \
        --config "patch.crates-io.candle-core.path='$work/candle-core'"
}
build build --bins
build test --no-run --test overrides --test properties --test properties_geometry --test edge_cases --test cuda \
    --message-format json > "$work/tests.json"
rm -f "$work"/bin/*
cp "$CARGO_TARGET_DIR/release/wseg" "$work/bin/wseg"
for name in overrides properties properties_geometry edge_cases cuda; do
    built=$(sed -n "s|.*\"name\":\"$name\".*\"executable\":\"\([^\"]*\)\".*|\1|p" "$work/tests.json" | head -n 1)
    cp "$built" "$work/bin/test-$name"
done
cp cuda-runner/gpu/check.sh cuda-runner/gpu/table.py host/benches/peer.py "$work/bin/"
rm -rf "$work/bin/fixtures" && cp -r fixtures "$work/bin/fixtures"

say "what was built"
du -sh "$work/bin"
ls -l "$work/bin"
size=$(wc -c < "$work/bin/wseg")
[ "$size" -lt 60000000 ] || { echo "wseg has $size bytes: more than 60 MB"; exit 1; }
"$work/bin/wseg" --version
"$work/bin/wseg" verify --quiet "$work/bin/fixtures" > "$work/verify.txt" || { tail -n 3 "$work/verify.txt"; exit 1; }
echo "$(grep -c ' ok' "$work/verify.txt") golden checks ok on this machine's CPU"
say "done: carry $work/bin to a machine with a card and run  sh check.sh"
