// Batch norms, with given and with the batch's own statistics, and what follows a convolution. A map is [n, c, pixels];
// scales, shifts and statistics are of the type that sums are made in.
// `ops/scale_shift.rs`, `ops/batch_norm.rs` and `ops/conv2d/affine.rs` are the same on the CPU.
#include "device.cuh"

namespace norms {

// Elements that a thread does, all in one plane. `PER_THREAD` in norm.rs.
constexpr int PER_THREAD = 4;

// The plane that this block works in, and the first pixel that this thread does. Blocks lie plane by plane.
struct Place {
    int channel, pixel;
    long long start;
};

DEVICE Place place(int channels, int pixels) {
    int tile = THREADS * PER_THREAD;
    int tiles = (pixels + tile - 1) / tile;
    int plane = blockIdx.x / tiles;
    return {plane % channels, int(blockIdx.x % tiles) * tile + int(threadIdx.x), (long long)plane * pixels};
}

// `x * scale + shift`, plus the residual if there is one, rectified if `relu`.
template <typename T, bool RESIDUAL>
DEVICE void transform(In<T> x, In<real<T>> scale, In<real<T>> shift, In<T> residual, Out<T> y, int channels, int pixels,
                      int relu) {
    using R = real<T>;
    Place here = place(channels, pixels);
    R factor = scale[here.channel], offset = shift[here.channel];
#pragma unroll
    for (int k = 0; k < PER_THREAD; ++k) {
        int pixel = here.pixel + k * THREADS;
        if (pixel >= pixels) return;
        R value = wide(x[here.start + pixel]) * factor + offset;
        if (RESIDUAL) value += wide(residual[here.start + pixel]);
        // Asked this way round, a NaN is not hidden.
        y[here.start + pixel] = narrow<T>(relu && value <= R(0) ? R(0) : value);
    }
}

// The gradient that the rectification lets pass: `passed`; and `scale` times it: `scaled`.
template <typename T, bool PASSED, bool SCALED>
DEVICE void rectify(In<T> y, In<T> dy, In<real<T>> scale, Out<T> passed, Out<T> scaled, int channels, int pixels,
                    int relu) {
    using R = real<T>;
    Place here = place(channels, pixels);
    R factor = SCALED ? R(scale[here.channel]) : R(1);
#pragma unroll
    for (int k = 0; k < PER_THREAD; ++k) {
        int pixel = here.pixel + k * THREADS;
        if (pixel >= pixels) return;
        long long at = here.start + pixel;
        R d = wide(dy[at]);
        if (relu && !(wide(y[at]) > R(0))) d = R(0);
        if (PASSED) passed[at] = narrow<T>(d);
        if (SCALED) scaled[at] = narrow<T>(factor * d);
    }
}

// `factors[0] * passed dy + factors[1] * (x - factors[3]) + factors[2]` of the plane's channel.
template <typename T>
DEVICE void combine(In<T> x, In<T> y, In<T> dy, In<real<T>> factors, Out<T> dx, int channels, int pixels, int relu) {
    using R = real<T>;
    Place here = place(channels, pixels);
    R slope = factors[4 * here.channel], curve = factors[4 * here.channel + 1];
    R offset = factors[4 * here.channel + 2], centre = factors[4 * here.channel + 3];
#pragma unroll
    for (int k = 0; k < PER_THREAD; ++k) {
        int pixel = here.pixel + k * THREADS;
        if (pixel >= pixels) return;
        long long at = here.start + pixel;
        R d = wide(dy[at]);
        if (relu && !(wide(y[at]) > R(0))) d = R(0);
        dx[at] = narrow<T>(slope * d + (curve * (wide(x[at]) - centre) + offset));
    }
}

// One block a plane: its mean, and the sum of squared distances from it.
template <typename T> DEVICE void plane_moments(In<T> x, Out<double> moments, int pixels) {
    using R = real<T>;
    auto plane = x + (long long)blockIdx.x * pixels;
    R sum = 0;
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) sum += wide(plane[i]);
    double mean = block_sum(double(sum)) / pixels;
    R centre = R(mean), squares = 0, rest = 0;
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) {
        R distance = wide(plane[i]) - centre;
        squares += distance * distance;
        rest += distance;
    }
    double distances = block_sum(double(rest));
    double total = block_sum(double(squares));
    if (threadIdx.x == 0) {
        // The centre is the mean, rounded.
        moments[2 * blockIdx.x] = double(centre) + distances / pixels;
        moments[2 * blockIdx.x + 1] = total - distances * distances / pixels;
    }
}

// One thread a channel: mean and variance over all planes, and the scale and shift that they make.
template <typename R>
DEVICE void statistics(In<double> moments, In<R> gamma, In<R> beta, Out<R> mean, Out<R> variance, Out<R> scale,
                       Out<R> shift, int n, int channels, int pixels, double eps) {
    int c = first_index();
    if (c >= channels) return;
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += moments[2 * (i * channels + c)];
    double centre = sum / n, squares = 0;
    for (int i = 0; i < n; ++i) {
        double distance = moments[2 * (i * channels + c)] - centre;
        squares += moments[2 * (i * channels + c) + 1] + distance * distance * pixels;
    }
    double spread = squares / ((double)n * pixels);
    double factor = gamma[c] / sqrt(spread + eps);
    mean[c] = R(centre);
    variance[c] = R(spread);
    scale[c] = R(factor);
    shift[c] = R(beta[c] - centre * factor);
}

// One block a plane: the sum of the gradients that the rectification lets pass, and of their products with
// `x - centre` of the channel.
template <typename T, bool CENTRED>
DEVICE void plane_sums(In<T> x, In<T> y, In<T> dy, In<real<T>> centres, Out<double> sums, int channels, int pixels,
                       int relu) {
    using R = real<T>;
    long long start = (long long)blockIdx.x * pixels;
    R centre = CENTRED ? R(centres[blockIdx.x % channels]) : R(0);
    R plain = 0, product = 0;
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) {
        R d = wide(dy[start + i]);
        if (relu && !(wide(y[start + i]) > R(0))) d = R(0);
        plain += d;
        product += (wide(x[start + i]) - centre) * d;
    }
    double all = block_sum(double(plain));
    double products = block_sum(double(product));
    if (threadIdx.x == 0) {
        sums[2 * blockIdx.x] = all;
        sums[2 * blockIdx.x + 1] = products;
    }
}

// One thread a channel: the sums of its planes, the products' and the plain ones.
template <typename R> DEVICE void sum_planes(In<double> sums, Out<R> products, Out<R> plain, int n, int channels) {
    int c = first_index();
    if (c >= channels) return;
    double all = 0, product = 0;
    for (int i = 0; i < n; ++i) {
        all += sums[2 * (i * channels + c)];
        product += sums[2 * (i * channels + c) + 1];
    }
    products[c] = R(product);
    plain[c] = R(all);
}

// One thread a channel, from the planes' sums: the gradients of gamma and beta, and the factors of the input's.
template <typename R>
DEVICE void batch_factors(In<double> sums, In<R> gamma, In<R> mean, In<R> variance, Out<R> dgamma, Out<R> dbeta,
                          Out<R> factors, int n, int channels, int pixels, double eps) {
    int c = first_index();
    if (c >= channels) return;
    double plain = 0, centred = 0;
    for (int i = 0; i < n; ++i) {
        plain += sums[2 * (i * channels + c)];
        centred += sums[2 * (i * channels + c) + 1];
    }
    double samples = (double)n * pixels, spread = variance[c] + eps, inverse = 1.0 / sqrt(spread);
    double scale = gamma[c] * inverse;
    dgamma[c] = R(centred * inverse);
    dbeta[c] = R(plain);
    factors[4 * c] = R(scale);
    factors[4 * c + 1] = R(-scale * centred / (samples * spread));
    factors[4 * c + 2] = R(-scale * plain / samples);
    factors[4 * c + 3] = mean[c];
}

// One block an output of a convolution: its weights' gradient times its scale, and the scale's own gradient, which is
// the product of the weights with their gradient before.
template <typename R>
DEVICE void weight_scale(In<R> weight, In<R> bare, In<R> scale, Out<R> dweight, Out<R> dscale, int kernel) {
    long long start = (long long)blockIdx.x * kernel;
    R factor = scale[blockIdx.x];
    double product = 0;
    for (int i = threadIdx.x; i < kernel; i += blockDim.x) {
        R d = bare[start + i];
        product += double(weight[start + i]) * double(d);
        dweight[start + i] = d * factor;
    }
    double total = block_sum(product);
    if (threadIdx.x == 0) dscale[blockIdx.x] = R(total);
}

} // namespace norms

#define KERNELS(T, suffix)                                                                                             \
    KERNEL(THREADS, scale_shift_##suffix, In<T> x, In<real<T>> scale, In<real<T>> shift, Out<T> y, int channels,       \
           int pixels, int relu) {                                                                                     \
        norms::transform<T, false>(x, scale, shift, x, y, channels, pixels, relu);                                      \
    }                                                                                                                  \
    KERNEL(THREADS, scale_shift_onto_##suffix, In<T> x, In<real<T>> scale, In<real<T>> shift, In<T> residual,          \
           Out<T> y, int channels, int pixels, int relu) {                                                             \
        norms::transform<T, true>(x, scale, shift, residual, y, channels, pixels, relu);                                \
    }                                                                                                                  \
    KERNEL(THREADS, rectify_##suffix, In<T> y, In<T> dy, Out<T> passed, int channels, int pixels, int relu) {          \
        norms::rectify<T, true, false>(y, dy, In<real<T>>(), passed, passed, channels, pixels, relu);                   \
    }                                                                                                                  \
    KERNEL(THREADS, rectify_scaled_##suffix, In<T> y, In<T> dy, In<real<T>> scale, Out<T> scaled, int channels,        \
           int pixels, int relu) {                                                                                     \
        norms::rectify<T, false, true>(y, dy, scale, scaled, scaled, channels, pixels, relu);                           \
    }                                                                                                                  \
    KERNEL(THREADS, rectify_both_##suffix, In<T> y, In<T> dy, In<real<T>> scale, Out<T> passed, Out<T> scaled,         \
           int channels, int pixels, int relu) {                                                                       \
        norms::rectify<T, true, true>(y, dy, scale, passed, scaled, channels, pixels, relu);                            \
    }                                                                                                                  \
    KERNEL(THREADS, combine_##suffix, In<T> x, In<T> y, In<T> dy, In<real<T>> factors, Out<T> dx, int channels,        \
           int pixels, int relu) {                                                                                     \
        norms::combine<T>(x, y, dy, factors, dx, channels, pixels, relu);                                               \
    }                                                                                                                  \
    KERNEL(THREADS, plane_moments_##suffix, In<T> x, Out<double> moments, int pixels) {                                \
        norms::plane_moments<T>(x, moments, pixels);                                                                    \
    }                                                                                                                  \
    KERNEL(THREADS, plane_sums_##suffix, In<T> x, In<T> y, In<T> dy, Out<double> sums, int channels, int pixels,       \
           int relu) {                                                                                                 \
        norms::plane_sums<T, false>(x, y, dy, In<real<T>>(), sums, channels, pixels, relu);                             \
    }                                                                                                                  \
    KERNEL(THREADS, plane_sums_centred_##suffix, In<T> x, In<T> y, In<T> dy, In<real<T>> centres, Out<double> sums,    \
           int channels, int pixels, int relu) {                                                                       \
        norms::plane_sums<T, true>(x, y, dy, centres, sums, channels, pixels, relu);                                    \
    }

KERNELS(float, f32)
KERNELS(double, f64)
KERNELS(bf16, bf16)
#undef KERNELS

#define KERNELS(R, suffix)                                                                                             \
    KERNEL(THREADS, statistics_##suffix, In<double> moments, In<R> gamma, In<R> beta, Out<R> mean, Out<R> variance,    \
           Out<R> scale, Out<R> shift, int n, int channels, int pixels, double eps) {                                  \
        norms::statistics<R>(moments, gamma, beta, mean, variance, scale, shift, n, channels, pixels, eps);             \
    }                                                                                                                  \
    KERNEL(THREADS, sum_planes_##suffix, In<double> sums, Out<R> products, Out<R> plain, int n, int channels) {      \
        norms::sum_planes<R>(sums, products, plain, n, channels);                                                     \
    }                                                                                                                  \
    KERNEL(THREADS, batch_factors_##suffix, In<double> sums, In<R> gamma, In<R> mean, In<R> variance, Out<R> dgamma,   \
           Out<R> dbeta, Out<R> factors, int n, int channels, int pixels, double eps) {                                \
        norms::batch_factors<R>(sums, gamma, mean, variance, dgamma, dbeta, factors, n, channels, pixels, eps);         \
    }                                                                                                                  \
    KERNEL(THREADS, weight_scale_##suffix, In<R> weight, In<R> bare, In<R> scale, Out<R> dweight, Out<R> dscale,       \
           int kernel) {                                                                                               \
        norms::weight_scale<R>(weight, bare, scale, dweight, dscale, kernel);                                           \
    }

KERNELS(float, f32)
KERNELS(double, f64)
#undef KERNELS
