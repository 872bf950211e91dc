// Maximum pooling and its gradient in gathering form. `ops/pool.rs` is the same on the CPU.
#include "device.cuh"

namespace pool {

// One axis: extents of input and output, and the windows.
struct Axis {
    int from, to, kernel, stride, padding;
};

struct Range {
    int first, last;
};

// The part of a window that lies inside the map.
DEVICE Range window(Axis axis, int out) {
    int start = out * axis.stride - axis.padding;
    return {at_least(start, 0), at_most(start + axis.kernel, axis.from) - 1};
}

// The windows that hold input pixel `in`.
DEVICE Range windows(Axis axis, int in) {
    int reach = in + axis.padding - axis.kernel;
    return {reach < 0 ? 0 : reach / axis.stride + 1, at_most((in + axis.padding) / axis.stride, axis.to - 1)};
}

template <typename T> DEVICE void forward(In<T> x, Out<T> y, int count, Axis down, Axis across) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int out = int(i) % (down.to * across.to), plane = int(i) / (down.to * across.to);
        Range ys = window(down, out / across.to), xs = window(across, out % across.to);
        auto map = x + (long long)plane * down.from * across.from;
        real<T> largest = wide(map[ys.first * across.from + xs.first]);
        for (int row = ys.first; row <= ys.last; ++row)
            for (int column = xs.first; column <= xs.last; ++column)
                largest = larger(largest, wide(map[row * across.from + column]), true);
        y[i] = narrow<T>(largest);
    }
}

// Whether pixel (row, column), which has the largest value of its window, is the one that the gradient goes to: the
// first of several that are equal, or the last NaN.
template <typename T>
DEVICE bool chosen(In<T> map, Range ys, Range xs, int columns, int row, int column, real<T> value) {
    if (value != value) {
        for (int r = row; r <= ys.last; ++r)
            for (int c = r == row ? column + 1 : xs.first; c <= xs.last; ++c) {
                real<T> other = wide(map[r * columns + c]);
                if (other != other) return false;
            }
        return true;
    }
    for (int r = ys.first; r <= row; ++r)
        for (int c = xs.first; c <= (r == row ? column - 1 : xs.last); ++c)
            if (wide(map[r * columns + c]) == value) return false;
    return true;
}

template <typename T>
DEVICE void backward(In<T> x, In<T> y, In<T> dy, Out<T> dx, int count, Axis down, Axis across) {
    using R = real<T>;
    for (long long i = first_index(); i < count; i += index_step()) {
        int in = int(i) % (down.from * across.from), plane = int(i) / (down.from * across.from);
        int row = in / across.from, column = in % across.from;
        Range rows = windows(down, row), columns = windows(across, column);
        auto map = x + (long long)plane * down.from * across.from;
        R value = wide(map[in]), sum = 0;
        for (int oy = rows.first; oy <= rows.last; ++oy)
            for (int ox = columns.first; ox <= columns.last; ++ox) {
                long long out = ((long long)plane * down.to + oy) * across.to + ox;
                R largest = wide(y[out]);
                if (value != largest && (value == value || largest == largest)) continue;
                if (chosen<T>(map, window(down, oy), window(across, ox), across.from, row, column, value))
                    sum += wide(dy[out]);
            }
        dx[i] = narrow<T>(sum);
    }
}

// One block a plane.
template <typename T> DEVICE void largest(In<T> x, Out<T> y, int pixels) {
    auto plane = x + (long long)blockIdx.x * pixels;
    real<T> value = wide(plane[0]);
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) value = larger(value, wide(plane[i]), true);
    value = block_largest(value, true);
    if (threadIdx.x == 0) y[blockIdx.x] = narrow<T>(value);
}

template <typename T> DEVICE void largest_gradient(In<T> x, In<T> y, In<T> dy, Out<T> dx, int pixels) {
    using R = real<T>;
    long long start = (long long)blockIdx.x * pixels;
    R value = wide(y[blockIdx.x]);
    // The first maximum; the last NaN, as the least of the negative positions.
    int found = pixels;
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) {
        R other = wide(x[start + i]);
        if (other == value) found = at_most(i, found);
        if (other != other) found = at_most(-1 - i, found);
    }
    found = block_least(found);
    if (found < 0) found = -1 - found;
    for (int i = threadIdx.x; i < pixels; i += blockDim.x) dx[start + i] = i == found ? dy[blockIdx.x] : narrow<T>(R(0));
}

} // namespace pool

#define AXES                                                                                                           \
    pool::Axis{rows, out_rows, kernel_rows, stride, padding}, pool::Axis {                                             \
        columns, out_columns, kernel_columns, stride, padding                                                          \
    }

#define KERNELS(T, suffix)                                                                                             \
    KERNEL(THREADS, max_pool_##suffix, In<T> x, Out<T> y, int count, int rows, int columns, int out_rows,              \
           int out_columns, int kernel_rows, int kernel_columns, int stride, int padding) {                            \
        pool::forward<T>(x, y, count, AXES);                                                                           \
    }                                                                                                                  \
    KERNEL(THREADS, max_pool_gradient_##suffix, In<T> x, In<T> y, In<T> dy, Out<T> dx, int count, int rows,            \
           int columns, int out_rows, int out_columns, int kernel_rows, int kernel_columns, int stride, int padding) { \
        pool::backward<T>(x, y, dy, dx, count, AXES);                                                                  \
    }                                                                                                                  \
    KERNEL(THREADS, largest_##suffix, In<T> x, Out<T> y, int pixels) { pool::largest<T>(x, y, pixels); }               \
    KERNEL(THREADS, largest_gradient_##suffix, In<T> x, In<T> y, In<T> dy, Out<T> dx, int pixels) {                    \
        pool::largest_gradient<T>(x, y, dy, dx, pixels);                                                               \
    }

KERNELS(float, f32)
KERNELS(double, f64)
KERNELS(bf16, bf16)
#undef KERNELS
#undef AXES
