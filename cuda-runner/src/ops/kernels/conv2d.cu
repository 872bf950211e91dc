// What follows a convolution, and what its gradients are made of. `ops/conv2d/finish.rs` and `affine_gradient.rs` are
// the same on the CPU.
#include "device.cuh"

namespace conv2d {

// The finished sums in place: times the scale of their channel, plus its shift, plus the residual, cut at 0. Null
// pointers stand for what there is not. Scale and shift are of the type that is computed in.
template <typename T>
DEVICE void finish(Out<T> y, In<real<T>> scale, In<real<T>> shift, In<T> residual, int count, int channels, int pixels,
                   int relu) {
#pragma unroll 4
    for (long long i = first_index(); i < count; i += index_step()) {
        int channel = int(i) / pixels % channels;
        real<T> value = wide(y[i]);
        if (scale) value *= scale[channel];
        if (shift) value += shift[channel];
        if (residual) value += wide(residual[i]);
        // A NaN is not hidden.
        y[i] = narrow<T>(relu && value <= real<T>(0) ? real<T>(0) : value);
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
