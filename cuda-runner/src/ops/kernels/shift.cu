// Shifted and mirrored maps. `ops/shift.rs` is the same on the CPU.
#include "device.cuh"

namespace shift {

// Output positions of an axis that read position `in`: those whose clamped source it is.
struct Range {
    int first, last;
};

DEVICE Range readers(int in, int offset, int extent) {
    return {in == 0 ? 0 : in - offset, in == extent - 1 ? extent - 1 : in - offset};
}

template <typename T> DEVICE void forward(In<T> x, Out<T> y, int count, int h, int w, int dy, int dx) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int pixel = int(i) % (h * w);
        int row = clamped(pixel / w + dy, h), column = clamped(pixel % w + dx, w);
        y[i] = x[i - pixel + row * w + column];
    }
}

template <typename T> DEVICE void backward(In<T> gradient, Out<T> result, int count, int h, int w, int dy, int dx) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int pixel = int(i) % (h * w);
        Range ys = readers(pixel / w, dy, h), xs = readers(pixel % w, dx, w);
        real<T> sum = 0;
        for (int y = at_least(ys.first, 0); y <= at_most(ys.last, h - 1); ++y)
            for (int x = at_least(xs.first, 0); x <= at_most(xs.last, w - 1); ++x)
                sum += wide(gradient[i - pixel + y * w + x]);
        result[i] = narrow<T>(sum);
    }
}

template <typename T> DEVICE void mirror(In<T> x, Out<T> y, int count, int w) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int column = int(i) % w;
        y[i] = x[i - column + (w - 1 - column)];
    }
}

} // namespace shift

#define KERNELS(T, suffix)                                                                                             \
    KERNEL(THREADS, shift_##suffix, In<T> x, Out<T> y, int count, int h, int w, int dy, int dx) {                      \
        shift::forward<T>(x, y, count, h, w, dy, dx);                                                                  \
    }                                                                                                                  \
    KERNEL(THREADS, shift_gradient_##suffix, In<T> gradient, Out<T> result, int count, int h, int w, int dy, int dx) { \
        shift::backward<T>(gradient, result, count, h, w, dy, dx);                                                     \
    }                                                                                                                  \
    KERNEL(THREADS, mirror_##suffix, In<T> x, Out<T> y, int count, int w) { shift::mirror<T>(x, y, count, w); }

KERNELS(float, f32)
KERNELS(double, f64)
KERNELS(bf16, bf16)
#undef KERNELS
