// The machine that `emulation.hpp` declares, and the kernels.
#include "emulation.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

#include "binary.cu"
#include "conv2d.cu"
#include "cross_entropy.cu"
#include "depthwise.cu"
#include "faults.cu"
#include "head.cu"
#include "norm.cu"
#include "pamr.cu"
#include "pool.cu"
#include "pseudo.cu"
#include "random.cu"
#include "resize.cu"
#include "sgd.cu"
#include "shift.cu"
#include "softmax.cu"
#include "unary.cu"

namespace emulation {

thread_local Index thread, block, block_size, grid_size;

// An argument of a launch, as lib.rs has it.
struct Argument {
    enum Sort : int { INPUT, OUTPUT, INT, LONG, REAL, INPUTS, OUTPUTS, INTS, LONGS, REALS };
    int sort;
    // Elements, where there are several.
    int length;
    union {
        const Memory *memory;
        const Memory *const *memories;
        long long integer;
        double real;
        const int *integers;
        const long long *longs;
        const double *reals;
    };
};

namespace {

std::map<std::string, Kernel::Run> &kernels() {
    static std::map<std::string, Kernel::Run> known;
    return known;
}

// A stack on which threads of a block run, one after the other until one has to wait.
struct Fiber {
    static constexpr size_t STACK = 128 << 10;
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK]};
    unsigned thread = 0;
    enum { BARRIER, WARP } wait = BARRIER;
    int site = 0;
};

struct Lane {
    // By turns, so that a lane may give its next value while another still takes its last.
    unsigned char given[2][16];
    int bytes, mask, turn;
};

struct Run {
    const std::function<void()> *body;
    ucontext_t scheduler;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Fiber *> idle, waiting;
    Fiber *current;
    std::vector<unsigned> order;
    size_t next;
    unsigned done;
    uint32_t passed;
    std::vector<Lane> lanes;
    std::map<std::pair<const void *, int>, std::pair<std::vector<unsigned char>, std::vector<Trace>>> shared;
    std::string failure;
    uint64_t random;
};

thread_local Run run_state;

uint64_t draw() {
    uint64_t z = (run_state.random += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

template <typename V> void shuffle(std::vector<V> &values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[draw() % i]);
}

void work() {
    Run &run = run_state;
    while (run.next < run.order.size()) {
        thread.x = run.current->thread = run.order[run.next++];
        (*run.body)();
        ++run.done;
    }
    run.idle.push_back(run.current);
    swapcontext(&run.current->context, &run.scheduler);
}

void resume(Fiber *fiber) {
    run_state.current = fiber;
    thread.x = fiber->thread;
    swapcontext(&run_state.scheduler, &fiber->context);
}

void start() {
    Run &run = run_state;
    if (run.idle.empty()) {
        run.fibers.push_back(std::make_unique<Fiber>());
        run.idle.push_back(run.fibers.back().get());
    }
    Fiber *fiber = run.idle.back();
    run.idle.pop_back();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = Fiber::STACK;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, work, 0);
    resume(fiber);
}

void wait() {
    Run &run = run_state;
    run.waiting.push_back(run.current);
    Fiber *self = run.current;
    swapcontext(&self->context, &run.scheduler);
}

std::string told(const char *what) {
    char text[160];
    std::snprintf(text, sizeof text, "block %u,%u,%u: %s", block.x, block.y, block.z, what);
    return text;
}

// Lets go on who may: the lanes of every warp that has met, or else the block.
void release() {
    Run &run = run_state;
    std::vector<Fiber *> warps, rest;
    for (Fiber *fiber : run.waiting) (fiber->wait == Fiber::WARP ? warps : rest).push_back(fiber);
    run.waiting.clear();
    if (!warps.empty()) {
        std::map<unsigned, unsigned> met;
        for (Fiber *fiber : warps) ++met[fiber->thread / 32];
        for (auto [warp, lanes] : met)
            if (lanes != 32) run.failure = told("not all lanes of a warp come to a shuffle");
        for (Fiber *fiber : warps) {
            const Lane &mine = run.lanes[fiber->thread], &first = run.lanes[fiber->thread / 32 * 32];
            if (mine.bytes != first.bytes || mine.mask != first.mask)
                run.failure = told("the lanes of a warp come to different shuffles");
        }
        run.waiting = rest;
        rest = warps;
    } else {
        if (run.done != 0) run.failure = told("some threads come to a barrier, others have ended");
        for (Fiber *fiber : rest)
            if (fiber->site != rest[0]->site) run.failure = told("threads come to different barriers");
        ++run.passed;
    }
    shuffle(rest);
    for (Fiber *fiber : rest) {
        if (!run.failure.empty()) return;
        resume(fiber);
    }
}

void run_block(const std::function<void()> &body) {
    Run &run = run_state;
    run.body = &body;
    run.next = run.done = 0;
    run.passed = 1;
    run.shared.clear();
    run.waiting.clear();
    run.idle.clear();
    for (auto &fiber : run.fibers) run.idle.push_back(fiber.get());
    run.order.resize(block_size.x);
    for (unsigned i = 0; i < block_size.x; ++i) run.order[i] = i;
    shuffle(run.order);
    run.lanes.assign(block_size.x, Lane());
    while (run.failure.empty() && run.done < block_size.x) {
        if (run.next < run.order.size())
            start();
        else
            release();
    }
}

// Arguments as the kernel's parameters, which they must fit.
template <typename P> struct Taken;

#define TAKE(Type, SORT, value)                                                                                        \
    template <> struct Taken<Type> {                                                                                   \
        static Type from(const Argument &a, const char *&wrong) {                                                      \
            if (a.sort != Argument::SORT) wrong = #Type;                                                               \
            return value;                                                                                              \
        }                                                                                                              \
    };
TAKE(int, INT, int(a.integer))
TAKE(unsigned int, INT, (unsigned int)a.integer)
TAKE(long long, LONG, a.integer)
TAKE(unsigned long long, LONG, (unsigned long long)a.integer)
TAKE(double, REAL, a.real)
#undef TAKE

template <typename T> struct Taken<Pointer<T>> {
    static Pointer<T> from(const Argument &a, const char *&wrong) {
        bool input = std::is_const_v<T>;
        if (a.sort != (input ? Argument::INPUT : Argument::OUTPUT) ||
            (a.memory && a.memory->kind != Kind<std::remove_const_t<T>>::value))
            wrong = input ? "an input" : "an output";
        return Pointer<T>(a.memory);
    }
};

template <typename T, int N> struct Taken<Table<T, N>> {
    static Table<T, N> from(const Argument &a, const char *&wrong) {
        Table<T, N> table = {};
        if (a.length > N) {
            wrong = "a shorter table";
            return table;
        }
        for (int i = 0; i < a.length; ++i) {
            Argument one = {};
            switch (a.sort) {
            case Argument::INPUTS: one.sort = Argument::INPUT, one.memory = a.memories[i]; break;
            case Argument::OUTPUTS: one.sort = Argument::OUTPUT, one.memory = a.memories[i]; break;
            case Argument::INTS: one.sort = Argument::INT, one.integer = a.integers[i]; break;
            case Argument::LONGS: one.sort = Argument::LONG, one.integer = a.longs[i]; break;
            case Argument::REALS: one.sort = Argument::REAL, one.real = a.reals[i]; break;
            default: wrong = "a table"; return table;
            }
            table.at[i] = Taken<T>::from(one, wrong);
        }
        return table;
    }
};

template <typename... P, size_t... I>
void run_grid(void (*function)(P...), const Argument *arguments, int count, std::index_sequence<I...>) {
    Run &run = run_state;
    if (count != int(sizeof...(P))) {
        run.failure = "takes " + std::to_string(sizeof...(P)) + " arguments, not " + std::to_string(count);
        return;
    }
    const char *wrong[sizeof...(P)] = {};
    std::tuple<P...> parameters{Taken<P>::from(arguments[I], wrong[I])...};
    for (int i = 0; i < count; ++i)
        if (wrong[i]) {
            run.failure = "argument " + std::to_string(i) + " should be " + wrong[i];
            return;
        }
    std::function<void()> body = [&] { std::apply(function, parameters); };
    std::vector<uint64_t> blocks((uint64_t)grid_size.x * grid_size.y * grid_size.z);
    for (uint64_t i = 0; i < blocks.size(); ++i) blocks[i] = i;
    shuffle(blocks);
    for (uint64_t number : blocks) {
        block.x = number % grid_size.x;
        block.y = number / grid_size.x % grid_size.y;
        block.z = number / grid_size.x / grid_size.y;
        run_block(body);
        if (!run.failure.empty()) return;
    }
}

template <typename... P> void unpack(void (*function)(P...), const Argument *arguments, int count) {
    run_grid(function, arguments, count, std::index_sequence_for<P...>());
}

} // namespace

template <auto FUNCTION> void run(const Argument *arguments, int count) { unpack(FUNCTION, arguments, count); }

Kernel::Kernel(const char *name, Run run) { kernels()[name] = run; }

void fail(const char *format, ...) {
    char text[200];
    va_list values;
    va_start(values, format);
    std::vsnprintf(text, sizeof text, format, values);
    va_end(values);
    Run &run = run_state;
    run.failure = told(("thread " + std::to_string(thread.x) + " " + text).c_str());
    // Never resumed.
    swapcontext(&run.current->context, &run.scheduler);
    __builtin_unreachable();
}

uint32_t self() {
    uint32_t number = (block.z * grid_size.y + block.y) * grid_size.x + block.x;
    return number * block_size.x + thread.x + 1;
}

uint32_t epoch() { return run_state.passed; }

void barrier(int site) {
    run_state.current->wait = Fiber::BARRIER;
    run_state.current->site = site;
    wait();
}

void exchange(const void *mine, void *theirs, int bytes, int mask) {
    unsigned me = thread.x;
    Lane &lane = run_state.lanes[me];
    lane.bytes = bytes;
    lane.mask = mask;
    lane.turn ^= 1;
    std::memcpy(lane.given[lane.turn], mine, bytes);
    int turn = lane.turn;
    run_state.current->wait = Fiber::WARP;
    wait();
    std::memcpy(theirs, run_state.lanes[me ^ unsigned(mask)].given[turn], bytes);
}

Block shared(const void *key, int line, int bytes, int count) {
    auto &[data, traces] = run_state.shared[{key, line}];
    if (data.empty()) {
        data.resize(bytes);
        traces.resize(count);
    }
    return {data.data(), traces.data()};
}

} // namespace emulation

// Runs a kernel. Not 0 if something is wrong, which `message` says.
extern "C" int wseg_emulate(const char *name, const unsigned *grid, unsigned threads,
                            const emulation::Argument *arguments, int count, uint64_t seed, char *message,
                            size_t room) {
    using namespace emulation;
    Run &run = run_state;
    run.failure.clear();
    run.random = seed;
    grid_size = {grid[0], grid[1], grid[2]};
    block_size = {threads, 1, 1};
    thread = {0, 0, 0};
    auto found = kernels().find(name);
    if (found == kernels().end())
        run.failure = "there is no such kernel";
    else if (threads == 0 || threads % 32 != 0 || threads > 1024)
        run.failure = "blocks of " + std::to_string(threads) + " threads";
    else
        found->second(arguments, count);
    std::snprintf(message, room, "%s: %s", name, run.failure.c_str());
    return run.failure.empty() ? 0 : 1;
}
