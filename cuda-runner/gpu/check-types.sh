#!/bin/sh
# Type-checks and lints the code behind the feature `cuda` without NVIDIA's compiler, for which an empty stand-in
# answers. Nothing is built that could run. Arguments go to cargo clippy.
set -eu
cd "$(dirname "$0")/../.."

CUDA_HOME=$PWD/cuda-runner/gpu/nvcc
unset REAL_NVCC
export CUDA_HOME NVCC="$CUDA_HOME/bin/nvcc" CUDA_COMPUTE_CAP=90 CUDARC_CUDA_VERSION=13000
exec cargo clippy --workspace --features wseg/cuda --all-targets "$@"
