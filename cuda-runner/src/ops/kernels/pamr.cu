// Pixel-adaptive mask refinement: affinities once, then one launch an iteration. `ops/pamr.rs` is the same on the CPU.
//
// An iteration reads `8 D` affinities and writes every channel of a pixel. Its bound is the memory that affinities come
// from, and the first-level cache that neighbours do: so a thread keeps the affinities of its pixel in registers and
// streams the channels, and a block is wide, so that neighbours 24 rows away are read by as few blocks as possible.
#include "device.cuh"

namespace pamr {

// Threads of a block of an iteration, and how many dilations are kept in registers. As in pamr.rs.
constexpr int WIDE = 512;
constexpr int KEPT = 6;
// Most dilations.
constexpr int MOST = 16;

// Where the neighbours at one distance lie, borders repeated: rows and columns of 3.
struct Ring {
    int row[3], column[3];

    // The neighbour with that number, the centre left out.
    DEVICE int at(int number) const {
        int place = number < 4 ? number : number + 1;
        return row[place / 3] + column[place % 3];
    }
};

DEVICE Ring ring(int y, int x, int distance, int h, int w) {
    return {{clamped(y - distance, h) * w, y * w, clamped(y + distance, h) * w},
            {clamped(x - distance, w), x, clamped(x + distance, w)}};
}

// `channel share / (epsilon + w sigma)` of a pixel of one image channel: how much a difference counts there.
template <typename R, int D>
DEVICE R scale_of(In<R> guide, int pixel, int y, int x, int h, int w, const Table<int, MOST> &distances, int dilations,
                  double sigma_weight, double epsilon, double share) {
    R centre = guide[pixel], mean = 0;
#pragma unroll
    for (int d = 0; d < (D > 0 ? D : dilations); ++d) {
        Ring near = ring(y, x, distances.at[d], h, w);
#pragma unroll
        for (int p = 0; p < 8; ++p) mean += guide[near.at(p)] - centre;
    }
    mean *= R(1.0 / (9 * dilations));
    R squares = mean * mean * R(dilations);
#pragma unroll
    for (int d = 0; d < (D > 0 ? D : dilations); ++d) {
        Ring near = ring(y, x, distances.at[d], h, w);
#pragma unroll
        for (int p = 0; p < 8; ++p) {
            R difference = guide[near.at(p)] - centre - mean;
            squares += difference * difference;
        }
    }
    return R(share) / (root(squares * R(1.0 / (9 * dilations - 1))) * R(sigma_weight) + R(epsilon));
}

// One thread a pixel, `D` dilations in registers: affinities [n, 8 D, h, w].
template <typename R, int D>
DEVICE void affinities(In<R> image, Out<R> result, int channels, int h, int w, const Table<int, MOST> &distances,
                       double sigma_weight, double epsilon) {
    int pixel = first_index();
    if (pixel >= h * w) return;
    int y = pixel / w, x = pixel % w;
    R kernel[8 * D];
#pragma unroll
    for (int p = 0; p < 8 * D; ++p) kernel[p] = R(0);
    for (int k = 0; k < channels; ++k) {
        renew(y), renew(x);
        auto guide = image + ((long long)blockIdx.y * channels + k) * h * w;
        R scale = scale_of<R, D>(guide, pixel, y, x, h, w, distances, D, sigma_weight, epsilon, 1.0 / channels);
        R centre = guide[pixel];
#pragma unroll
        for (int d = 0; d < D; ++d) {
            Ring near = ring(y, x, distances.at[d], h, w);
#pragma unroll
            for (int p = 0; p < 8; ++p) kernel[8 * d + p] -= magnitude(guide[near.at(p)] - centre) * scale;
        }
    }
    R peak = kernel[0], total = 0;
#pragma unroll
    for (int p = 1; p < 8 * D; ++p) peak = larger(peak, kernel[p], false);
#pragma unroll
    for (int p = 0; p < 8 * D; ++p) {
        kernel[p] = exponential(kernel[p] - peak);
        total += kernel[p];
    }
    auto affinity = result + ((long long)blockIdx.y * 8 * D * h * w + pixel);
#pragma unroll
    for (int p = 0; p < 8 * D; ++p) affinity[(long long)p * h * w] = kernel[p] / total;
}

// The same for any number of dilations: what a thread sums lies in its affinities' own memory.
template <typename R>
DEVICE void affinities_of_any(In<R> image, Out<R> result, int channels, int h, int w, const Table<int, MOST> &distances,
                              int dilations, double sigma_weight, double epsilon) {
    int pixel = first_index();
    if (pixel >= h * w) return;
    int y = pixel / w, x = pixel % w, offsets = 8 * dilations;
    auto affinity = result + ((long long)blockIdx.y * offsets * h * w + pixel);
    for (int k = 0; k < channels; ++k) {
        auto guide = image + ((long long)blockIdx.y * channels + k) * h * w;
        R scale = scale_of<R, 0>(guide, pixel, y, x, h, w, distances, dilations, sigma_weight, epsilon, 1.0 / channels);
        R centre = guide[pixel];
        for (int p = 0; p < offsets; ++p) {
            R near = guide[ring(y, x, distances.at[p / 8], h, w).at(p % 8)];
            R before = k == 0 ? R(0) : R(affinity[(long long)p * h * w]);
            affinity[(long long)p * h * w] = before - magnitude(near - centre) * scale;
        }
    }
    R peak = affinity[0], total = 0;
    for (int p = 1; p < offsets; ++p) peak = larger(peak, R(affinity[(long long)p * h * w]), false);
    for (int p = 0; p < offsets; ++p) {
        R value = exponential(affinity[(long long)p * h * w] - peak);
        affinity[(long long)p * h * w] = value;
        total += value;
    }
    for (int p = 0; p < offsets; ++p) affinity[(long long)p * h * w] = affinity[(long long)p * h * w] / total;
}

// One thread a pixel and some channels: those of part `blockIdx.z`, `each` in number.
template <typename R, int D>
DEVICE void iterate(In<R> masks, In<R> affinities, Out<R> refined, int channels, int each, int h, int w,
                    const Table<int, MOST> &distances) {
    int pixel = first_index();
    if (pixel >= h * w) return;
    int y = pixel / w, x = pixel % w;
    auto affinity = affinities + ((long long)blockIdx.y * 8 * D * h * w + pixel);
    R weight[8 * D];
#pragma unroll
    for (int p = 0; p < 8 * D; ++p) weight[p] = affinity[(long long)p * h * w];
    long long start = (long long)blockIdx.y * channels * h * w;
    int last = at_most((blockIdx.z + 1) * each, channels);
    // Two channels share the arithmetic of where their neighbours lie, which is made anew for every two: all places do
    // not fit into registers, beside the affinities.
    for (int c = blockIdx.z * each; c < last; c += 2) {
        renew(y), renew(x);
        bool pair = c + 1 < last;
        auto mask = masks + (start + (long long)c * h * w), other = masks + (start + (long long)(pair ? c + 1 : c) * h * w);
        R sums[2] = {R(0), R(0)};
#pragma unroll
        for (int d = 0; d < D; ++d) {
            Ring near = ring(y, x, distances.at[d], h, w);
#pragma unroll
            for (int p = 0; p < 8; ++p) {
                sums[0] += weight[8 * d + p] * mask[near.at(p)];
                sums[1] += weight[8 * d + p] * other[near.at(p)];
            }
        }
        refined[start + (long long)c * h * w + pixel] = sums[0];
        if (pair) refined[start + (long long)(c + 1) * h * w + pixel] = sums[1];
    }
}

// The same for any number of dilations: affinities are read again for each channel.
template <typename R>
DEVICE void iterate_any(In<R> masks, In<R> affinities, Out<R> refined, int channels, int each, int h, int w,
                        const Table<int, MOST> &distances, int dilations) {
    int pixel = first_index();
    if (pixel >= h * w) return;
    int y = pixel / w, x = pixel % w;
    auto affinity = affinities + ((long long)blockIdx.y * 8 * dilations * h * w + pixel);
    int last = at_most((blockIdx.z + 1) * each, channels);
    for (int c = blockIdx.z * each; c < last; ++c) {
        auto mask = masks + ((long long)blockIdx.y * channels + c) * h * w;
        R sum = 0;
        for (int d = 0; d < dilations; ++d) {
            Ring near = ring(y, x, distances.at[d], h, w);
            for (int p = 0; p < 8; ++p) sum += affinity[(long long)(8 * d + p) * h * w] * mask[near.at(p)];
        }
        refined[((long long)blockIdx.y * channels + c) * h * w + pixel] = sum;
    }
}

} // namespace pamr

#define DISTANCES Table<int, pamr::MOST> distances

#define KERNELS(R, suffix)                                                                                             \
    KERNEL(THREADS, pamr_affinities_any_##suffix, In<R> image, Out<R> affinities, int channels, int h, int w,          \
           DISTANCES, int dilations, double sigma_weight, double epsilon) {                                            \
        pamr::affinities_of_any<R>(image, affinities, channels, h, w, distances, dilations, sigma_weight, epsilon);    \
    }                                                                                                                  \
    KERNEL(pamr::WIDE, pamr_iterate_any_##suffix, In<R> masks, In<R> affinities, Out<R> refined, int channels,         \
           int each, int h, int w, DISTANCES, int dilations) {                                                         \
        pamr::iterate_any<R>(masks, affinities, refined, channels, each, h, w, distances, dilations);                  \
    }

KERNELS(float, f32)
KERNELS(double, f64)
#undef KERNELS

KERNEL(THREADS, pamr_affinities_f32, In<float> image, Out<float> affinities, int channels, int h, int w, DISTANCES,
       double sigma_weight, double epsilon) {
    pamr::affinities<float, pamr::KEPT>(image, affinities, channels, h, w, distances, sigma_weight, epsilon);
}

KERNEL(pamr::WIDE, pamr_iterate_f32, In<float> masks, In<float> affinities, Out<float> refined, int channels, int each,
       int h, int w, DISTANCES) {
    pamr::iterate<float, pamr::KEPT>(masks, affinities, refined, channels, each, h, w, distances);
}
#undef DISTANCES
