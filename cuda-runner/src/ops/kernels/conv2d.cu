// What follows a convolution, and what its gradients are made of. `ops/conv2d/finish.rs` and `affine_gradient.rs` are
// the same on the CPU.
#include "device.cuh"

namespace conv2d {

// What follows the sum of one output.
template <typename T> struct Finish {
    real<T> scale, shift;
    bool relu;

    DEVICE T operator()(real<T> sum, real<T> residual) const {
        real<T> value = sum * scale + shift + residual;
        // A NaN is not hidden.
        return narrow<T>(relu && value <= real<T>(0) ? real<T>(0) : value);
    }
};

// Maps of fewer pixels than this are done element by element.
constexpr int SMALL = 64;
// Elements that a thread does in a part of a larger map.
constexpr int PER_THREAD = 4;

// The finished sums in place: times the scale of their channel, plus its shift, plus the residual, cut at 0. Null
// pointers stand for what there is not. Scale and shift are of the type that is computed in.
template <typename T>
DEVICE void finish(Out<T> y, In<real<T>> scale, In<real<T>> shift, In<T> residual, int count, int channels, int pixels,
                   int relu) {
    using R = real<T>;
    auto of = [&](int channel) {
        return Finish<T>{scale ? R(scale[channel]) : R(1), shift ? R(shift[channel]) : R(0), relu != 0};
    };
    if (pixels < SMALL) {
        for (long long i = first_index(); i < count; i += index_step())
            y[i] = of(int(i) / pixels % channels)(wide(T(y[i])), residual ? wide(residual[i]) : R(0));
        return;
    }
    // Parts of maps, so that there is one division for many elements.
    int part = THREADS * PER_THREAD, parts = (pixels + part - 1) / part;
    long long all = (long long)(count / pixels) * parts;
    for (long long number = blockIdx.x; number < all; number += gridDim.x) {
        int plane = int(number / parts), first = int(number % parts) * part + int(threadIdx.x);
        Finish<T> finish = of(plane % channels);
        long long start = (long long)plane * pixels;
#pragma unroll
        for (int k = 0; k < PER_THREAD; ++k) {
            int pixel = first + k * THREADS;
            if (pixel < pixels)
                y[start + pixel] = finish(wide(T(y[start + pixel])), residual ? wide(residual[start + pixel]) : R(0));
        }
    }
}

// The sum of every channel, a block for each.
template <typename T> DEVICE void channel_sums(In<T> x, Out<real<T>> sums, int images, int channels, int pixels) {
    int channel = blockIdx.x;
    real<T> sum = 0;
    for (int image = 0; image < images; ++image) {
        long long plane = (image * (long long)channels + channel) * pixels;
        for (int pixel = threadIdx.x; pixel < pixels; pixel += blockDim.x) sum += wide(x[plane + pixel]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[channel] = sum;
}

} // namespace conv2d

#define KERNELS(T, suffix)                                                                                             \
    KERNEL(THREADS, finish_##suffix, Out<T> y, In<real<T>> scale, In<real<T>> shift, In<T> residual, int count,        \
           int channels, int pixels, int relu) {                                                                       \
        conv2d::finish<T>(y, scale, shift, residual, count, channels, pixels, relu);                                   \
    }                                                                                                                  \
    KERNEL(THREADS, channel_sums_##suffix, In<T> x, Out<real<T>> sums, int images, int channels, int pixels) {         \
        conv2d::channel_sums<T>(x, sums, images, channels, pixels);                                                    \
    }

KERNELS(float, f32)
KERNELS(double, f64)
KERNELS(bf16, bf16)
#undef KERNELS
