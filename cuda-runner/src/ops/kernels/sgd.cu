// Steps of gradient descent, many tensors a launch. `ops/sgd.rs` is the same on the CPU.
#include "device.cuh"

namespace sgd {

// Tensors of a launch. `TENSORS` in sgd.rs.
constexpr int TENSORS = 32;

// Row `blockIdx.y` of the grid does one tensor: `velocity <- momentum velocity + (gradient + decay weight)`,
// `weight <- weight - rate velocity`.
template <typename R>
DEVICE void step(const Table<Out<R>, TENSORS> &weights, const Table<Out<R>, TENSORS> &velocities,
                 const Table<In<R>, TENSORS> &gradients, const Table<long long, TENSORS> &counts,
                 const Table<double, TENSORS> &rates, const Table<double, TENSORS> &decays, double momentum) {
    int tensor = blockIdx.y;
    auto weight = weights.at[tensor];
    auto velocity = velocities.at[tensor];
    auto gradient = gradients.at[tensor];
    R kept = R(momentum), rate = R(rates.at[tensor]), decay = R(decays.at[tensor]);
    long long count = counts.at[tensor];
#pragma unroll 4
    for (long long i = first_index(); i < count; i += index_step()) {
        R w = weight[i];
        R v = kept * velocity[i] + (gradient[i] + decay * w);
        velocity[i] = v;
        weight[i] = w - rate * v;
    }
}

} // namespace sgd

#define KERNELS(R, suffix)                                                                                             \
    KERNEL(THREADS, sgd_##suffix, Table<Out<R>, sgd::TENSORS> weights, Table<Out<R>, sgd::TENSORS> velocities,         \
           Table<In<R>, sgd::TENSORS> gradients, Table<long long, sgd::TENSORS> counts,                                \
           Table<double, sgd::TENSORS> rates, Table<double, sgd::TENSORS> decays, double momentum) {                   \
        sgd::step<R>(weights, velocities, gradients, counts, rates, decays, momentum);                                 \
    }

KERNELS(float, f32)
KERNELS(double, f64)
#undef KERNELS
