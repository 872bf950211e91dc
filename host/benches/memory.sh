#!/usr/bin/env bash
# Peak memory of the whole process, as a Markdown table: two training steps (batch 2 at 321, 20 classes, both losses) and
# the prediction of one photo at the preset's own scales.
#
#   host/benches/memory.sh PHOTO [PRESET...]
#
# The table of the README was made with a photo of 500x375 pixels. Needs GNU time.
set -euo pipefail
photo=$(realpath "${1:?a photo}")
shift
cd "$(dirname "$0")/../.."
presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(squeezenet resnet18 vgg16 resnet50 resnet101 resnet38)

cargo build --release --locked --quiet
wseg=${CARGO_TARGET_DIR:-target}/release/wseg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Twelve kinds can be drawn; eight more names that no photo shows make it the 20 classes of Pascal VOC.
"$wseg" synth --out "$work/data" --images 4 --val 1 --classes 12 --size 330 --quiet
printf 'unseen%d\n' 1 2 3 4 5 6 7 8 >>"$work/data/classes.txt"
rm "$work/data/ImageSets/Segmentation/val.txt"

# peak COMMAND...: GB
peak() {
  command time -f '%M' -o "$work/peak" "$@" >/dev/null
  awk '{ printf "%.2f", $1 * 1024 / 1e9 }' "$work/peak"
}

echo '| preset | training step, batch 2 at 321 | prediction of one photo, all views |'
echo '|---|---|---|'
for preset in "${presets[@]}"; do
  training=$(peak "$wseg" train --data "$work/data" --preset "$preset" --out "$work/$preset" --epochs 1 --batch 2 --crop 321 \
    --set recipe.classification_epochs=0 --quiet)
  prediction=$(peak "$wseg" predict --checkpoint "$work/$preset/last.safetensors" --images "$photo" \
    --out "$work/masks" --quiet)
  echo "| $preset | $training GB | $prediction GB |"
  rm -r "${work:?}/$preset"
done
