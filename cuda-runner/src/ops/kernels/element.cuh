// What the kernels share: element types, and the type that arithmetic is done in. bfloat16 is for storage alone.
#pragma once

#include <cuda_bf16.h>

template <typename T> struct Arithmetic { using type = T; };
template <> struct Arithmetic<__nv_bfloat16> { using type = float; };

// The type in which sums and products of T are made.
template <typename T> using real = typename Arithmetic<T>::type;

__device__ __forceinline__ float load(float x) { return x; }
__device__ __forceinline__ double load(double x) { return x; }
__device__ __forceinline__ float load(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T> __device__ __forceinline__ T store(real<T> x) { return T(x); }
template <> __device__ __forceinline__ __nv_bfloat16 store<__nv_bfloat16>(float x) { return __float2bfloat16(x); }

// The number of this thread among all of the grid's first axis, and how many there are.
__device__ __forceinline__ long long first_index() { return blockIdx.x * (long long)blockDim.x + threadIdx.x; }
__device__ __forceinline__ long long index_step() { return (long long)gridDim.x * blockDim.x; }
