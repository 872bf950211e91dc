#!/bin/sh
# Checks and measures wseg on a GPU: what build-portable.sh left in its folder `bin`, carried to a machine with a card, a
# driver and Python with PyTorch. Needs neither Rust nor a network, and takes less than 8 minutes.
#
#   sh check.sh [--out DIR] [--device cuda:N] [--only PART]... [--again] [--tiny]
#               [--data VOC6] [--weights SQUEEZENET] [--torch-peer torch_peer.py]
#
# Parts: golden, tests, steps, pamr, train. Each leaves DIR/PART.txt and is not run again unless --again says so; a table
# of what there is comes at the end. --tiny takes small maps and few runs; with --device cpu that tries this script where
# there is no card.
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=$PWD/gpu-results device=cuda only='' again='' tiny='' data='' weights='' peer='' python=${PYTHON:-python3}

while [ $# -gt 0 ]; do
    case $1 in
        --out) out=$2; shift ;;
        --device) device=$2; shift ;;
        --only) only="$only $2"; shift ;;
        --data) data=$2; shift ;;
        --weights) weights=$2; shift ;;
        --torch-peer) peer=$2; shift ;;
        --again) again=yes ;;
        --tiny) tiny=yes ;;
        *) echo "check.sh: unknown argument $1; the head of the script says what there is" >&2; exit 2 ;;
    esac
    shift
done
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
wseg=$here/wseg
[ -x "$wseg" ] || { echo "check.sh: there is no $wseg; build-portable.sh makes it" >&2; exit 2; }
for part in $only; do
    case $part in
        golden | tests | steps | pamr | train) ;;
        *) echo "check.sh: there is no part $part" >&2; exit 2 ;;
    esac
done

# The libraries that PyTorch brings along: CUDA's and cuDNN.
libraries=$("$python" - <<'PY' 2>/dev/null
import glob, os, site, sys
folders = site.getsitepackages() + [site.getusersitepackages()] + sys.path
print(":".join(dict.fromkeys(f for s in folders for f in glob.glob(os.path.join(s, "nvidia", "*", "lib")))))
PY
)
[ -n "$libraries" ] && export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
have_torch=$("$python" -c 'import torch; print("yes")' 2>/dev/null || true)

began=$(date +%s)
failed=''
clock() { echo "$(($(date +%s) - began)) s"; }

# Runs a part whose result is not there yet; what fails is told and does not stop the others.
part() {
    name=$1
    case " $only " in '  ' | *" $name "*) ;; *) return 0 ;; esac
    if [ -e "$out/$name.txt" ] && [ -z "$again" ]; then
        echo "== $name: there already ($out/$name.txt)"
        return 0
    fi
    echo "== $name ($(clock))"
    if "run_$name" > "$out/$name.part" 2>&1; then
        mv "$out/$name.part" "$out/$name.txt"
        tail -n 3 "$out/$name.txt"
    else
        failed="$failed $name"
        tail -n 15 "$out/$name.part"
        echo "== $name FAILED; all of it is in $out/$name.part"
    fi
}

run_golden() {
    "$wseg" verify --backend candle --device "$device" "$here/fixtures"
}

run_tests() {
    status=0
    for test in overrides properties properties_geometry edge_cases cuda; do
        case $test in
            cuda) filter='' ;;
            *) filter=cuda_ ;;
        esac
        echo "-- $test"
        # One after the other: they share the device.
        RUST_TEST_THREADS=1 "$here/test-$test" $filter --nocapture 2>&1 || status=1
    done
    return $status
}

if [ -n "$tiny" ]; then batch=1 size=33 runs=1 sides='17' networks=resnet50 epochs=1
else batch=16 size=321 runs=10 sides='81 321' networks='resnet50 resnet38' epochs=2; fi
case $device in
    cpu) precisions=f32 ;;
    *) precisions='f32 tf32 bf16' ;;
esac

# Prints a line of JSON: who measured, what, and what the command said. Fails if the command does.
measured() {
    said=$("$@") || return 1
    printf '{"side": "%s", %s, "result": %s}\n' "$side" "$what" "$(printf %s "$said" | tr -d '\n')"
}

run_steps() {
    status=0
    for network in $networks; do
        for precision in $precisions; do
            what="\"network\": \"$network\", \"precision\": \"$precision\""
            side=wseg
            measured "$wseg" bench "$network" --only training --batch "$batch" --size "$size" --runs "$runs" \
                --device "$device" --precision "$precision" --json --quiet || status=1
            side=torch
            [ -z "$have_torch" ] || measured "$python" "$here/peer.py" training --network "$network" --batch "$batch" \
                --size "$size" --runs "$runs" --device "$device" --precision "$precision" || status=1
        done
    done
    if [ -n "$peer" ] && [ -n "$have_torch" ]; then
        for amp in '' --amp; do
            "$python" "$peer" train --batch "$batch" --size "$size" --runs "$runs" --device "$device" $amp || status=1
        done
    fi
    return $status
}

run_pamr() {
    status=0
    for pixels in $sides; do
        what="\"pixels\": $pixels"
        side=wseg
        measured "$wseg" bench --only pamr --size "$pixels" --runs "$runs" --device "$device" --json --quiet || status=1
        [ -n "$have_torch" ] || continue
        side=torch
        measured "$python" "$here/peer.py" pamr --size "$pixels" --runs "$runs" --device "$device" || status=1
        [ -z "$peer" ] || "$python" "$peer" pamr --size "$pixels" --runs "$runs" --device "$device" || status=1
    done
    # The card's copy bandwidth, to set PAMR beside.
    if [ -n "$have_torch" ] && [ "$device" != cpu ]; then
        "$python" "$here/table.py" bandwidth "$device" || status=1
    fi
    return $status
}

# Two epochs on real photos where they are given, on synthetic ones elsewhere.
run_train() {
    if [ -z "$data" ]; then
        data=$out/synth
        "$wseg" synth --out "$data" --images "$([ -n "$tiny" ] && echo 6 || echo 400)" --val 4 --size 64 --quiet || return 1
        set -- --preset small --crop 48
    else
        set -- --preset squeezenet
    fi
    [ -n "$weights" ] && set -- "$@" --weights "$weights"
    for precision in $precisions; do
        [ "$precision" = tf32 ] && continue
        "$wseg" train --data "$data" "$@" --epochs "$epochs" --device "$device" --precision "$precision" \
            --out "$out/train-$precision" --overwrite --json --quiet || return 1
    done
}

[ "$device" = cpu ] || nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader > "$out/card.txt" 2>&1
part golden
part tests
part steps
part pamr
part train
echo
if "$python" "$here/table.py" table "$out" > "$out/table.md"; then cat "$out/table.md"; else failed="$failed table"; fi
echo
echo "$(clock); results in $out"
[ -z "$failed" ] || { echo "FAILED:$failed"; exit 1; }
