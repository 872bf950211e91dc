// Kernels that are wrong, each in its own way: the emulation must say so.
#include "device.cuh"

KERNEL(THREADS, fault_none, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (i < count) y[i] = x[i];
}

KERNEL(THREADS, fault_reads_beyond, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (i < count) y[i] = x[i + 1];
}

KERNEL(THREADS, fault_writes_beyond, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (i <= count) y[i] = x[i % count];
}

KERNEL(THREADS, fault_leaves_one_out, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (i > 0 && i < count) y[i] = x[i];
}

KERNEL(THREADS, fault_writes_twice, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (i < count) y[i / 2 * 2] = x[i];
}

KERNEL(THREADS, fault_reads_what_is_not_written, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (i < count) y[i] = x[i] + y[i];
}

KERNEL(THREADS, fault_barrier_of_some, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (i >= count) return;
    __syncthreads();
    y[i] = x[i];
}

KERNEL(THREADS, fault_two_barriers, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    if (i < count) y[i] = x[i];
}

KERNEL(THREADS, fault_shuffle_of_some, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    if (i < count) y[i] = shuffle_xor(x[i], 1);
}

KERNEL(THREADS, fault_no_barrier, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    SHARED(float, given, THREADS);
    given[threadIdx.x] = i < count ? float(x[i]) : 0.0f;
    if (i < count) y[i] = given[threadIdx.x ^ 1];
}

KERNEL(THREADS, fault_no_second_barrier, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    SHARED(float, given, THREADS);
    given[threadIdx.x] = i < count ? float(x[i]) : 0.0f;
    __syncthreads();
    float other = given[threadIdx.x ^ 1];
    given[threadIdx.x] = other;
    if (i < count) y[i] = other;
}

KERNEL(THREADS, fault_beyond_shared, In<float> x, Out<float> y, int count) {
    long long i = first_index();
    SHARED(float, given, THREADS);
    given[threadIdx.x + 1] = i < count ? float(x[i]) : 0.0f;
    if (i < count) y[i] = x[i];
}
