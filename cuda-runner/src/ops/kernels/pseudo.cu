// Pseudo labels of masks. `ops/pseudo.rs` is the same on the CPU.
#include "device.cuh"

namespace pseudo {

// One block a channel of an image: what its masks must exceed.
template <typename R>
DEVICE void thresholds(In<R> masks, Out<R> result, int channels, int pixels, double low, double background,
                       double object) {
    auto mask = masks + (long long)blockIdx.x * pixels;
    R peak = mask[0];
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) peak = larger(peak, R(mask[i]), false);
    peak = block_largest(peak, false);
    if (threadIdx.x == 0) {
        R share = peak * R(blockIdx.x % channels == 0 ? background : object);
        result[blockIdx.x] = share > R(low) ? share : R(low);
    }
}

// One thread a pixel: 1 for the only channel that claims it.
template <typename R>
DEVICE void claims(In<R> masks, In<R> thresholds, Out<R> labels, int count, int channels, int pixels) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int image = int(i) / pixels;
        long long start = i + (long long)image * (channels - 1) * pixels;
        int claimed = 0, last = -1;
        for (int c = 0; c < channels; ++c)
            if (masks[start + (long long)c * pixels] > thresholds[image * channels + c]) {
                ++claimed;
                last = c;
            }
        for (int c = 0; c < channels; ++c)
            labels[start + (long long)c * pixels] = claimed == 1 && c == last ? R(1) : R(0);
    }
}

} // namespace pseudo

#define KERNELS(R, suffix)                                                                                             \
    KERNEL(THREADS, thresholds_##suffix, In<R> masks, Out<R> result, int channels, int pixels, double low,             \
           double background, double object) {                                                                         \
        pseudo::thresholds<R>(masks, result, channels, pixels, low, background, object);                               \
    }                                                                                                                  \
    KERNEL(THREADS, claims_##suffix, In<R> masks, In<R> thresholds, Out<R> labels, int count, int channels,            \
           int pixels) {                                                                                               \
        pseudo::claims<R>(masks, thresholds, labels, count, channels, pixels);                                         \
    }

KERNELS(float, f32)
KERNELS(double, f64)
#undef KERNELS
