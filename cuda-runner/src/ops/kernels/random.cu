// Random masks: ones with a probability, else zeros. The numbers follow from the key and an element's index alone.
// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
#include "device.cuh"

namespace random_mask {

struct Words {
    unsigned int at[4];
};

DEVICE unsigned int low(unsigned long long x) { return (unsigned int)x; }
DEVICE unsigned int high(unsigned long long x) { return (unsigned int)(x >> 32); }

DEVICE Words philox(unsigned long long counter, unsigned long long key) {
    Words c = {{low(counter), high(counter), 0, 0}};
    unsigned int k[2] = {low(key), high(key)};
    for (int round = 0; round < 10; ++round) {
        unsigned long long first = 0xD2511F53ull * c.at[0], second = 0xCD9E8D57ull * c.at[2];
        c = {{high(second) ^ c.at[1] ^ k[0], low(second), high(first) ^ c.at[3] ^ k[1], low(first)}};
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    return c;
}

// Eight draws of 16 bits a thread: 1 for those below the limit.
template <typename T>
DEVICE void bernoulli(Out<T> y, long long count, unsigned long long key, unsigned int limit) {
    for (long long i = first_index(); 8 * i < count; i += index_step()) {
        Words words = philox((unsigned long long)i, key);
        for (int draw = 0; draw < 8; ++draw) {
            unsigned int bits = (words.at[draw / 2] >> (draw % 2 * 16)) & 0xffffu;
            if (8 * i + draw < count) y[8 * i + draw] = narrow<T>(real<T>(bits < limit ? 1 : 0));
        }
    }
}

} // namespace random_mask

#define KERNELS(T, suffix)                                                                                             \
    KERNEL(THREADS, bernoulli_##suffix, Out<T> y, long long count, unsigned long long key, unsigned int limit) {       \
        random_mask::bernoulli<T>(y, count, key, limit);                                                               \
    }

KERNELS(float, f32)
KERNELS(double, f64)
KERNELS(bf16, bf16)
#undef KERNELS
