// Depthwise convolution and its gradients: each channel has its own kernel [kh, kw], and a bias where there is one.
// Input and output are cut at 0 where that is asked for. `ops/depthwise` is the same on the CPU.
#include "device.cuh"

namespace depthwise {

// One axis: extents of input and output, and how the kernel lies on it.
struct Axis {
    int from, to, kernel, stride, padding, dilation;
};

// The input position that tap `tap` of output `out` reads; outside the map there are zeros.
DEVICE int read_by(Axis axis, int out, int tap) { return out * axis.stride - axis.padding + tap * axis.dilation; }

// The output whose tap `tap` reads input `in`, or -1.
DEVICE int reader(Axis axis, int in, int tap) {
    int position = in + axis.padding - tap * axis.dilation;
    if (position < 0 || position % axis.stride != 0 || position / axis.stride >= axis.to) return -1;
    return position / axis.stride;
}

// Asked this way round, a NaN is not hidden.
template <typename R> DEVICE R cut(R value, int wanted) { return wanted && value <= R(0) ? R(0) : value; }

template <typename T>
DEVICE void forward(In<T> x, In<real<T>> weight, In<real<T>> bias, Out<T> y, int count, int cut_input, int cut_output,
                    int channels, Axis down, Axis across) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int out = int(i) % (down.to * across.to), plane = int(i) / (down.to * across.to);
        auto map = x + (long long)plane * down.from * across.from;
        auto taps = weight + (plane % channels) * down.kernel * across.kernel;
        real<T> sum = 0;
        for (int ky = 0; ky < down.kernel; ++ky) {
            int row = read_by(down, out / across.to, ky);
            if (row < 0 || row >= down.from) continue;
            for (int kx = 0; kx < across.kernel; ++kx) {
                int column = read_by(across, out % across.to, kx);
                if (column < 0 || column >= across.from) continue;
                sum += taps[ky * across.kernel + kx] * cut(wide(map[row * across.from + column]), cut_input);
            }
        }
        if (bias) sum += bias[plane % channels];
        y[i] = narrow<T>(cut(sum, cut_output));
    }
}

// `dy` is what the output's cut lets pass.
template <typename T>
DEVICE void input_gradient(In<T> x, In<real<T>> weight, In<T> dy, Out<T> dx, int count, int cut_input, int channels,
                           Axis down, Axis across) {
    for (long long i = first_index(); i < count; i += index_step()) {
        int in = int(i) % (down.from * across.from), plane = int(i) / (down.from * across.from);
        auto map = dy + (long long)plane * down.to * across.to;
        auto taps = weight + (plane % channels) * down.kernel * across.kernel;
        real<T> sum = 0;
        if (cut_input && !(wide(x[i]) > real<T>(0))) {
            dx[i] = narrow<T>(sum);
            continue;
        }
        for (int ky = 0; ky < down.kernel; ++ky) {
            int row = reader(down, in / across.from, ky);
            if (row < 0) continue;
            for (int kx = 0; kx < across.kernel; ++kx) {
                int column = reader(across, in % across.from, kx);
                if (column >= 0) sum += taps[ky * across.kernel + kx] * wide(map[row * across.to + column]);
            }
        }
        dx[i] = narrow<T>(sum);
    }
}

// One block a tap of a channel.
template <typename T>
DEVICE void weight_gradient(In<T> x, In<T> dy, Out<real<T>> dweight, int n, int cut_input, int channels, Axis down,
                            Axis across) {
    int taps = down.kernel * across.kernel;
    int channel = blockIdx.x / taps, tap = blockIdx.x % taps;
    int ky = tap / across.kernel, kx = tap % across.kernel;
    double total = 0;
    for (int image = 0; image < n; ++image) {
        long long plane = (long long)image * channels + channel;
        auto map = x + plane * down.from * across.from;
        auto gradient = dy + plane * down.to * across.to;
        real<T> sum = 0;
        for (int out = threadIdx.x; out < down.to * across.to; out += blockDim.x) {
            int row = read_by(down, out / across.to, ky), column = read_by(across, out % across.to, kx);
            if (row >= 0 && row < down.from && column >= 0 && column < across.from)
                sum += wide(gradient[out]) * cut(wide(map[row * across.from + column]), cut_input);
        }
        total += sum;
    }
    total = block_sum(total);
    if (threadIdx.x == 0) dweight[blockIdx.x] = real<T>(total);
}

} // namespace depthwise

#define AXES                                                                                                           \
    depthwise::Axis{rows, out_rows, kernel_rows, stride, padding, dilation}, depthwise::Axis {                         \
        columns, out_columns, kernel_columns, stride, padding, dilation                                                \
    }
#define EXTENTS                                                                                                        \
    int channels, int rows, int columns, int out_rows, int out_columns, int kernel_rows, int kernel_columns,           \
        int stride, int padding, int dilation

#define KERNELS(T, suffix)                                                                                             \
    KERNEL(THREADS, depthwise_##suffix, In<T> x, In<real<T>> weight, In<real<T>> bias, Out<T> y, int count,            \
           int cut_input, int cut_output, EXTENTS) {                                                                   \
        depthwise::forward<T>(x, weight, bias, y, count, cut_input, cut_output, channels, AXES);                       \
    }                                                                                                                  \
    KERNEL(THREADS, depthwise_input_##suffix, In<T> x, In<real<T>> weight, In<T> dy, Out<T> dx, int count,             \
           int cut_input, EXTENTS) {                                                                                   \
        depthwise::input_gradient<T>(x, weight, dy, dx, count, cut_input, channels, AXES);                             \
    }                                                                                                                  \
    KERNEL(THREADS, depthwise_weight_##suffix, In<T> x, In<T> dy, Out<real<T>> dweight, int n, int cut_input,          \
           EXTENTS) {                                                                                                  \
        depthwise::weight_gradient<T>(x, dy, dweight, n, cut_input, channels, AXES);                                   \
    }

KERNELS(float, f32)
KERNELS(double, f64)
KERNELS(bf16, bf16)
#undef KERNELS
#undef EXTENTS
#undef AXES
