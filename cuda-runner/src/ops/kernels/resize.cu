// Bilinear resize, both corner conventions, and its gradient in gathering form. `ops/resize.rs` is the same on the CPU.
#include "device.cuh"

namespace resize {

// Planes that a thread does: where its samples lie is found once for all of them. `PLANES` in resize.rs.
constexpr int PLANES = 8;

// One axis: extents of input and output, and input pixels for each output pixel.
struct Axis {
    int from, to;
    double ratio;
    bool aligned;
};

// An output pixel is `(1 - weight) * first + weight * second`.
template <typename R> struct Sample {
    int first, second;
    R weight;
};

template <typename R> DEVICE Sample<R> sample(Axis axis, int out) {
    double position = axis.aligned ? out * axis.ratio : (out + 0.5) * axis.ratio - 0.5;
    position = position < 0.0 ? 0.0 : position;
    int first = at_most(int(position), axis.from - 1);
    double weight = position - first;
    return {first, at_most(first + 1, axis.from - 1), R(weight < 1.0 ? weight : 1.0)};
}

// The weight that input pixel `in` has in output pixel `out`.
template <typename R> DEVICE R weight_of(Axis axis, int in, int out) {
    Sample<R> s = sample<R>(axis, out);
    return (s.first == in ? R(1) - s.weight : R(0)) + (s.second == in ? s.weight : R(0));
}

// Output pixels that may sample input pixel `in`: those at positions between its neighbours, and one more on either
// side, for rounding.
struct Range {
    int first, last;
};

DEVICE Range samplers(Axis axis, int in) {
    Range range = {0, axis.to - 1};
    if (axis.ratio == 0.0) return range;
    double offset = axis.aligned ? 0.0 : 0.5;
    // Positions before the first pixel and after the last are its own.
    if (in > 0) range.first = clamped(int((in - 1 + offset) / axis.ratio - offset) - 1, axis.to);
    if (in < axis.from - 1) range.last = clamped(int((in + 1 + offset) / axis.ratio - offset) + 2, axis.to);
    return range;
}

template <typename T>
DEVICE void forward(In<T> x, Out<T> y, int planes, int rows, int columns, int h, int w, double vertical,
                    double horizontal, int aligned) {
    using R = real<T>;
    int out = first_index();
    if (out >= h * w) return;
    Sample<R> row = sample<R>({rows, h, vertical, aligned != 0}, out / w);
    Sample<R> column = sample<R>({columns, w, horizontal, aligned != 0}, out % w);
    int corner[4] = {row.first * columns + column.first, row.second * columns + column.first,
                     row.first * columns + column.second, row.second * columns + column.second};
    int start = blockIdx.y * PLANES;
#pragma unroll
    for (int p = 0; p < PLANES; ++p) {
        if (start + p >= planes) return;
        auto plane = x + (long long)(start + p) * rows * columns;
        R a = wide(plane[corner[0]]), b = wide(plane[corner[2]]);
        a += row.weight * (wide(plane[corner[1]]) - a);
        b += row.weight * (wide(plane[corner[3]]) - b);
        y[(long long)(start + p) * h * w + out] = narrow<T>(a + column.weight * (b - a));
    }
}

template <typename T>
DEVICE void backward(In<T> dy, Out<T> dx, int planes, int rows, int columns, int h, int w, double vertical,
                     double horizontal, int aligned) {
    using R = real<T>;
    int in = first_index();
    if (in >= rows * columns) return;
    Axis down = {rows, h, vertical, aligned != 0}, across = {columns, w, horizontal, aligned != 0};
    int y = in / columns, x = in % columns;
    Range ys = samplers(down, y), xs = samplers(across, x);
    int start = blockIdx.y * PLANES;
    int count = at_most(planes - start, PLANES);
    R sums[PLANES];
#pragma unroll
    for (int p = 0; p < PLANES; ++p) sums[p] = R(0);
    for (int oy = ys.first; oy <= ys.last; ++oy) {
        R row = weight_of<R>(down, y, oy);
        if (row == R(0)) continue;
        for (int ox = xs.first; ox <= xs.last; ++ox) {
            R weight = row * weight_of<R>(across, x, ox);
            if (weight == R(0)) continue;
            auto from = dy + ((long long)start * h * w + oy * w + ox);
#pragma unroll
            for (int p = 0; p < PLANES; ++p)
                if (p < count) sums[p] += weight * wide(from[(long long)p * h * w]);
        }
    }
#pragma unroll
    for (int p = 0; p < PLANES; ++p)
        if (p < count) dx[(long long)(start + p) * rows * columns + in] = narrow<T>(sums[p]);
}

} // namespace resize

#define KERNELS(T, suffix)                                                                                             \
    KERNEL(THREADS, resize_##suffix, In<T> x, Out<T> y, int planes, int rows, int columns, int h, int w,               \
           double vertical, double horizontal, int aligned) {                                                          \
        resize::forward<T>(x, y, planes, rows, columns, h, w, vertical, horizontal, aligned);                          \
    }                                                                                                                  \
    KERNEL(THREADS, resize_gradient_##suffix, In<T> dy, Out<T> dx, int planes, int rows, int columns, int h, int w,    \
           double vertical, double horizontal, int aligned) {                                                          \
        resize::backward<T>(dy, dx, planes, rows, columns, h, w, vertical, horizontal, aligned);                       \
    }

KERNELS(float, f32)
KERNELS(double, f64)
KERNELS(bf16, bf16)
#undef KERNELS
