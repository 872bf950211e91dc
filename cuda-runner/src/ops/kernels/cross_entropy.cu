// Class-balanced cross entropy against pseudo labels. `ops/cross_entropy.rs` is the same on the CPU.
#include "device.cuh"

namespace cross_entropy {

// One block a class of a sample: its claimed pixels.
template <typename R> DEVICE void counts(In<R> pseudo, Out<double> result, int pixels) {
    auto map = pseudo + (long long)blockIdx.x * pixels;
    double sum = 0;
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) sum += map[i];
    double total = block_sum(sum);
    if (threadIdx.x == 0) result[blockIdx.x] = total;
}

// One block: the weight of every class of every sample, `a_n q_nc / (pixels * max(1, sum a_n))`.
template <typename R> DEVICE void weights(In<double> counts, Out<R> result, int n, int channels, int pixels) {
    double mine = 0;
    for (int i = threadIdx.x; i < n * channels; i += blockDim.x) mine += counts[i];
    double all = block_sum(mine);
    double divisor = pixels * (all > 1.0 ? all : 1.0);
    for (int i = threadIdx.x; i < n * channels; i += blockDim.x) {
        int sample = i / channels;
        double total = 0;
        for (int c = 0; c < channels; ++c) total += counts[sample * channels + c];
        result[i] = R(total * ((total - counts[i]) / (1.0 + total)) / divisor);
    }
}

// The logarithm of the softmax's denominator at a pixel, and the peak it is relative to.
template <typename R> struct Normaliser {
    R peak, total;
};

template <typename R> DEVICE Normaliser<R> normaliser(In<R> logits, long long start, int channels, int pixels) {
    R peak = logits[start];
    for (int c = 1; c < channels; ++c) peak = larger(peak, R(logits[start + (long long)c * pixels]), false);
    R total = 0;
    for (int c = 0; c < channels; ++c) total += exponential(logits[start + (long long)c * pixels] - peak);
    return {peak, total};
}

// `sum_c weight_c pseudo_c` of a pixel: 0 where nobody claims anything, and no exponential is needed.
template <typename R>
DEVICE R claimed(In<R> pseudo, In<R> weights, long long start, int channels, int pixels) {
    R sum = 0;
    for (int c = 0; c < channels; ++c) sum += weights[c] * pseudo[start + (long long)c * pixels];
    return sum;
}

// One thread a pixel: a block's part of the loss.
template <typename R>
DEVICE void parts(In<R> logits, In<R> pseudo, In<R> weights, Out<double> result, int count, int channels, int pixels) {
    double loss = 0;
    for (long long i = first_index(); i < count; i += index_step()) {
        int sample = int(i) / pixels;
        long long start = i + (long long)sample * (channels - 1) * pixels;
        auto weight = weights + (long long)sample * channels;
        if (claimed<R>(pseudo, weight, start, channels, pixels) == R(0)) continue;
        Normaliser<R> n = normaliser<R>(logits, start, channels, pixels);
        R log = logarithm(n.total), sum = 0;
        for (int c = 0; c < channels; ++c) {
            long long at = start + (long long)c * pixels;
            R share = weight[c] * pseudo[at];
            if (share != R(0)) sum += share * ((logits[at] - n.peak) - log);
        }
        loss -= sum;
    }
    double total = block_sum(loss);
    if (threadIdx.x == 0) result[blockIdx.x] = total;
}

// One block: the sum of all parts.
template <typename R> DEVICE void sum(In<double> parts, Out<R> result, int count) {
    double mine = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) mine += parts[i];
    double total = block_sum(mine);
    if (threadIdx.x == 0) result[0] = R(total);
}

// One thread a pixel: `softmax_c sum_k v_k - v_c` with `v = dy weight pseudo`.
template <typename R>
DEVICE void gradient(In<R> logits, In<R> pseudo, In<R> weights, In<R> dy, Out<R> result, int count, int channels,
                     int pixels) {
    R factor = dy[0];
    for (long long i = first_index(); i < count; i += index_step()) {
        int sample = int(i) / pixels;
        long long start = i + (long long)sample * (channels - 1) * pixels;
        auto weight = weights + (long long)sample * channels;
        R all = factor * claimed<R>(pseudo, weight, start, channels, pixels);
        if (all == R(0)) {
            for (int c = 0; c < channels; ++c) result[start + (long long)c * pixels] = R(0);
            continue;
        }
        Normaliser<R> n = normaliser<R>(logits, start, channels, pixels);
        R scale = all / n.total;
        for (int c = 0; c < channels; ++c) {
            long long at = start + (long long)c * pixels;
            result[at] = exponential(logits[at] - n.peak) * scale - factor * weight[c] * pseudo[at];
        }
    }
}

} // namespace cross_entropy

#define KERNELS(R, suffix)                                                                                             \
    KERNEL(THREADS, pseudo_counts_##suffix, In<R> pseudo, Out<double> result, int pixels) {                            \
        cross_entropy::counts<R>(pseudo, result, pixels);                                                              \
    }                                                                                                                  \
    KERNEL(THREADS, pseudo_weights_##suffix, In<double> counts, Out<R> result, int n, int channels, int pixels) {      \
        cross_entropy::weights<R>(counts, result, n, channels, pixels);                                                \
    }                                                                                                                  \
    KERNEL(THREADS, cross_entropy_##suffix, In<R> logits, In<R> pseudo, In<R> weights, Out<double> parts, int count,   \
           int channels, int pixels) {                                                                                 \
        cross_entropy::parts<R>(logits, pseudo, weights, parts, count, channels, pixels);                              \
    }                                                                                                                  \
    KERNEL(THREADS, sum_parts_##suffix, In<double> parts, Out<R> result, int count) {                                  \
        cross_entropy::sum<R>(parts, result, count);                                                                   \
    }                                                                                                                  \
    KERNEL(THREADS, cross_entropy_gradient_##suffix, In<R> logits, In<R> pseudo, In<R> weights, In<R> dy,              \
           Out<R> result, int count, int channels, int pixels) {                                                       \
        cross_entropy::gradient<R>(logits, pseudo, weights, dy, result, count, channels, pixels);                      \
    }

KERNELS(float, f32)
KERNELS(double, f64)
#undef KERNELS
