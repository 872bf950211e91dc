// The classification head: masks, class scores and their loss. `wseg_core::pooling::classify` and
// `wseg_core::loss::soft_margin` are the definitions.
#include "device.cuh"

namespace head {

// One thread a pixel: softmax over the background's constant score and the classes' scores.
template <typename R>
DEVICE void masks(In<R> scores, Out<R> result, int count, int classes, int pixels, double background) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int image = int(i) / pixels, pixel = int(i) % pixels;
        auto x = scores + ((long long)image * classes * pixels + pixel);
        auto m = result + ((long long)image * (classes + 1) * pixels + pixel);
        R rest = R(background), peak = rest;
        for (int c = 0; c < classes; ++c) peak = larger(peak, R(x[(long long)c * pixels]), false);
        R total = exponential(rest - peak);
        for (int c = 0; c < classes; ++c) total += exponential(x[(long long)c * pixels] - peak);
        R factor = R(1) / total;
        m[0] = exponential(rest - peak) * factor;
        for (int c = 0; c < classes; ++c)
            m[(long long)(c + 1) * pixels] = exponential(x[(long long)c * pixels] - peak) * factor;
    }
}

// Constants of the class scores; see `Pooling`.
struct Pooling {
    double epsilon, p, lambda;
};

// `(1 - m)^p ln(lambda + m)` of a mean mask, and its slope.
struct Penalty {
    double value, slope;
};

DEVICE Penalty penalty(double mean, Pooling pooling) {
    double log = logarithm(pooling.lambda + mean), inverse = 1.0 / (pooling.lambda + mean);
    // The factor is 1, also where the mask is full.
    if (pooling.p == 0.0) return {log, inverse};
    // Rounding may lift the mean of a full mask above 1. Just there the slope of the cut is a half.
    double rest = mean < 1.0 ? 1.0 - mean : 0.0;
    double cut = mean < 1.0 ? 1.0 : mean == 1.0 ? 0.5 : 0.0;
    double fading = pooling.p == 1.0 ? 1.0 : pooling.p * power(rest, pooling.p - 1.0);
    double factor = power(rest, pooling.p);
    return {factor * log, factor * inverse - cut * fading * log};
}

// One block a class of an image: its score, and the sums that it is made of: of the mask and of mask times score.
template <typename R>
DEVICE void scores(In<R> x, In<R> masks, Out<R> result, Out<double> sums, int classes, int pixels, Pooling pooling) {
    int image = blockIdx.x / classes, c = blockIdx.x % classes;
    auto y = x + (long long)blockIdx.x * pixels;
    auto m = masks + ((long long)image * (classes + 1) + c + 1) * pixels;
    R mass = 0, weighted = 0;
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) {
        R mask = m[i];
        mass += mask;
        weighted += mask * y[i];
    }
    double masses = block_sum(double(mass));
    double products = block_sum(double(weighted));
    if (threadIdx.x == 0) {
        sums[2 * blockIdx.x] = masses;
        sums[2 * blockIdx.x + 1] = products;
        result[blockIdx.x] = R(products / (pooling.epsilon + masses) + penalty(masses / pixels, pooling).value);
    }
}

// One thread a class of an image: the mask's gradient from the class score's is `slope * y + offset`, and the score
// map's is `slope * m`, beside what flows through the mask.
template <typename R>
DEVICE void factors(In<double> sums, In<R> dscores, Out<R> result, int count, int pixels, Pooling pooling) {
    int i = first_index();
    if (i >= count) return;
    double d = dscores[i], mass = sums[2 * i], products = sums[2 * i + 1];
    double inverse = 1.0 / (pooling.epsilon + mass);
    double slope = d * inverse;
    double offset = d * (penalty(mass / pixels, pooling).slope / pixels - products * inverse * inverse);
    // Where no gradient arrives none leaves.
    result[2 * i] = d == 0.0 ? R(0) : R(slope);
    result[2 * i + 1] = d == 0.0 ? R(0) : R(offset);
}

// One thread a pixel: the score map's gradient from those of masks and of class scores, as far as there are.
template <typename R, bool MASKS, bool SCORES>
DEVICE void gradient(In<R> x, In<R> masks, In<R> dmasks, In<R> factors, Out<R> result, int count, int classes,
                     int pixels) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int image = int(i) / pixels, pixel = int(i) % pixels;
        long long maps = (long long)image * classes * pixels + pixel;
        // The background comes first.
        long long background = (long long)image * (classes + 1) * pixels + pixel, planes = background + pixels;
        int first = image * 2 * classes;
        R total = MASKS ? masks[background] * dmasks[background] : R(0);
#pragma unroll 2
        for (int c = 0; c < classes; ++c) {
            long long at = (long long)c * pixels;
            R d = MASKS ? R(dmasks[planes + at]) : R(0);
            if (SCORES) d += factors[first + 2 * c] * x[maps + at] + factors[first + 2 * c + 1];
            total += masks[planes + at] * d;
        }
#pragma unroll 2
        for (int c = 0; c < classes; ++c) {
            long long at = (long long)c * pixels;
            R d = MASKS ? R(dmasks[planes + at]) : R(0);
            R slope = SCORES ? R(factors[first + 2 * c]) : R(0);
            if (SCORES) d += slope * x[maps + at] + factors[first + 2 * c + 1];
            result[maps + at] = masks[planes + at] * (d - total + slope);
        }
    }
}

// `ln(1 + exp(x))`, and its slope.
DEVICE double softplus(double x) {
    double positive = x > 0.0 ? x : 0.0;
    return positive + logarithm(1.0 + exponential(x - 2.0 * positive));
}

DEVICE double sigmoid(double x) {
    double decay = exponential(x > 0.0 ? -x : x);
    return (x > 0.0 ? 1.0 : decay) / (1.0 + decay);
}

// One block: the mean of `softplus(y) - z y`.
template <typename R> DEVICE void soft_margin(In<R> y, In<R> labels, Out<R> result, int count) {
    double mine = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        mine += softplus(double(y[i])) - double(labels[i]) * double(y[i]);
    double total = block_sum(mine);
    if (threadIdx.x == 0) result[0] = R(total / count);
}

template <typename R> DEVICE void soft_margin_gradient(In<R> y, In<R> labels, In<R> d, Out<R> result, int count) {
    for (long long i = first_index(); i < count; i += index_step())
        result[i] = R((sigmoid(double(y[i])) - double(labels[i])) * double(d[0]) / count);
}

} // namespace head

#define KERNELS(R, suffix)                                                                                             \
    KERNEL(THREADS, head_masks_##suffix, In<R> scores, Out<R> masks, int count, int classes, int pixels,               \
           double background) {                                                                                        \
        head::masks<R>(scores, masks, count, classes, pixels, background);                                             \
    }                                                                                                                  \
    KERNEL(THREADS, head_scores_##suffix, In<R> x, In<R> masks, Out<R> scores, Out<double> sums, int classes,          \
           int pixels, double epsilon, double p, double lambda) {                                                      \
        head::scores<R>(x, masks, scores, sums, classes, pixels, {epsilon, p, lambda});                                \
    }                                                                                                                  \
    KERNEL(THREADS, head_factors_##suffix, In<double> sums, In<R> dscores, Out<R> factors, int count, int pixels,      \
           double epsilon, double p, double lambda) {                                                                  \
        head::factors<R>(sums, dscores, factors, count, pixels, {epsilon, p, lambda});                                 \
    }                                                                                                                  \
    KERNEL(THREADS, head_gradient_##suffix, In<R> x, In<R> masks, In<R> dmasks, In<R> factors, Out<R> dx, int count,   \
           int classes, int pixels) {                                                                                  \
        head::gradient<R, true, true>(x, masks, dmasks, factors, dx, count, classes, pixels);                          \
    }                                                                                                                  \
    KERNEL(THREADS, head_gradient_of_masks_##suffix, In<R> x, In<R> masks, In<R> dmasks, Out<R> dx, int count,         \
           int classes, int pixels) {                                                                                  \
        head::gradient<R, true, false>(x, masks, dmasks, x, dx, count, classes, pixels);                               \
    }                                                                                                                  \
    KERNEL(THREADS, head_gradient_of_scores_##suffix, In<R> x, In<R> masks, In<R> factors, Out<R> dx, int count,       \
           int classes, int pixels) {                                                                                  \
        head::gradient<R, false, true>(x, masks, x, factors, dx, count, classes, pixels);                              \
    }                                                                                                                  \
    KERNEL(THREADS, soft_margin_##suffix, In<R> scores, In<R> labels, Out<R> loss, int count) {                        \
        head::soft_margin<R>(scores, labels, loss, count);                                                             \
    }                                                                                                                  \
    KERNEL(THREADS, soft_margin_gradient_##suffix, In<R> scores, In<R> labels, In<R> d, Out<R> dscores, int count) {   \
        head::soft_margin_gradient<R>(scores, labels, d, dscores, count);                                              \
    }

KERNELS(float, f32)
KERNELS(double, f64)
#undef KERNELS
