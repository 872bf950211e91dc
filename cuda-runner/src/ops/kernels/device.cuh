// What the kernels share: element types and their arithmetic, pointers, shared memory, sums over a block.
//
// A kernel's body is plain C++. Without nvcc `emulation.hpp` (the package wseg-emulation) takes CUDA's place: pointers
// and shared memory are then checked at every access, and the whole grid of threads runs on one thread of the CPU.
#pragma once

#ifdef __CUDACC__
#include <cstring>

#define DEVICE __device__ __forceinline__

// Memory that a kernel reads, and memory that it writes. No two of a kernel's arguments overlap.
template <typename T> using In = const T* __restrict__;
template <typename T> using Out = T* __restrict__;

// Memory of a block, `count` elements of type T.
#define SHARED(T, name, count) __shared__ T name[count]

// A kernel, with the most threads that a block of it has.
#define KERNEL(threads, name, ...) extern "C" __global__ void __launch_bounds__(threads) name(__VA_ARGS__)

// The value that the lane with number `lane ^ mask` gives. All lanes of the warp must come here.
template <typename V> DEVICE V shuffle_xor(V value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }

// Keeps the compiler from holding in registers what it could make of `value` ahead of a loop.
DEVICE void renew(int &value) { asm volatile("" : "+r"(value)); }

#else
#include "emulation.hpp"

DEVICE void renew(int &) {}
#endif

// Threads of a block, where a kernel has no wish of its own: `THREADS` in mod.rs.
constexpr int THREADS = 256;

// So many arguments of one type as one.
template <typename T, int N> struct Table { T at[N]; };

// For storage alone: the upper half of a float.
struct bf16 {
    unsigned short bits;
};

// The type in which sums and products of T are made.
template <typename T> struct Arithmetic { using type = T; };
template <> struct Arithmetic<bf16> { using type = float; };
template <typename T> using real = typename Arithmetic<T>::type;

DEVICE float wide(float x) { return x; }
DEVICE double wide(double x) { return x; }
DEVICE float wide(bf16 x) {
    unsigned int bits = (unsigned int)x.bits << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <typename T> DEVICE T narrow(real<T> x) { return T(x); }
// To the nearest, ties to even.
template <> DEVICE bf16 narrow<bf16>(float x) {
    bf16 y;
#ifdef __CUDACC__
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
    unsigned int bits;
    memcpy(&bits, &x, sizeof bits);
    y.bits = x != x ? 0x7fff : (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
#endif
    return y;
}

DEVICE float exponential(float x) { return expf(x); }
DEVICE double exponential(double x) { return exp(x); }
DEVICE float logarithm(float x) { return logf(x); }
DEVICE double logarithm(double x) { return log(x); }
DEVICE float root(float x) { return sqrtf(x); }
DEVICE double root(double x) { return sqrt(x); }
DEVICE float power(float x, float exponent) { return powf(x, exponent); }
DEVICE double power(double x, double exponent) { return pow(x, exponent); }
DEVICE float magnitude(float x) { return fabsf(x); }
DEVICE double magnitude(double x) { return fabs(x); }

DEVICE int at_least(int x, int low) { return x < low ? low : x; }
DEVICE int at_most(int x, int high) { return x > high ? high : x; }
DEVICE int clamped(int x, int extent) { return at_most(at_least(x, 0), extent - 1); }

// The number of this thread in the grid, whose blocks lie along one axis, and how many there are.
DEVICE long long first_index() { return blockIdx.x * (long long)blockDim.x + threadIdx.x; }
DEVICE long long index_step() { return (long long)gridDim.x * blockDim.x; }

// The sum of all threads' values, in one order, for all of them. Every thread of the block must come here.
template <typename V> DEVICE V block_sum(V value) {
    SHARED(V, parts, 32);
    for (int mask = 16; mask > 0; mask >>= 1) value += shuffle_xor(value, mask);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    V sum = V(0);
    for (int warp = 0; warp < (int)blockDim.x / 32; ++warp) sum += parts[warp];
    // The next sum may not write what somebody still reads.
    __syncthreads();
    return sum;
}

// The smallest of all threads' values.
DEVICE int block_least(int value) {
    SHARED(int, parts, 32);
    for (int mask = 16; mask > 0; mask >>= 1) value = at_most(shuffle_xor(value, mask), value);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    int least = parts[0];
    for (int warp = 1; warp < (int)blockDim.x / 32; ++warp) least = at_most(parts[warp], least);
    __syncthreads();
    return least;
}

// The largest of all threads' values. With `noticed` a NaN is larger than any number, otherwise smaller.
template <typename V> DEVICE V larger(V a, V b, bool noticed) {
    if (noticed) return b > a || b != b ? b : a;
    return b > a || a != a ? b : a;
}

template <typename V> DEVICE V block_largest(V value, bool noticed) {
    SHARED(V, parts, 32);
    for (int mask = 16; mask > 0; mask >>= 1) value = larger(value, shuffle_xor(value, mask), noticed);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    V largest = parts[0];
    for (int warp = 1; warp < (int)blockDim.x / 32; ++warp) largest = larger(largest, V(parts[warp]), noticed);
    __syncthreads();
    return largest;
}
