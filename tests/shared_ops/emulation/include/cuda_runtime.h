// Enough of CUDA to run the kernels of shared_ops on the host, as they are, one thread of a block after another.
//
// Every lane of a warp is a fiber (ucontext). It runs until it meets the other lanes at a shuffle or a ballot; what it
// brings is exchanged when all 32 are there. Lanes that meet at different places, or do not come, are an error here as
// they are on a device. Loads and stores must be aligned as on a device. Warps and blocks run one after another, so
// races between them are not found; the kernels have no barrier of a block.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)

using std::max;
using std::min;

struct dim3 {
  unsigned int x, y, z;
  dim3(unsigned int x = 1, unsigned int y = 1, unsigned int z = 1) : x(x), y(y), z(z) {}
};
struct alignas(16) uint4 {
  unsigned int x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned int x, y;
};

inline dim3 blockIdx, threadIdx, blockDim, gridDim;

namespace emulation {

constexpr int kLanes = 32;
constexpr size_t kStack = 256 << 10;  // bytes

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "emulation of CUDA: %s\n", what);
  std::abort();
}

struct Lane {
  std::vector<char> stack;
  jmp_buf state;
  bool started, done;
  const void* place;  // in the program, where it waits for the others
  uint64_t brought;
};

struct Warp {
  jmp_buf scheduler;
  Lane lane[kLanes];
  int current;
  const std::function<void()>* body;
};

inline Warp warp;

struct Device {
  int capability, multiprocessors;
};

inline Device device = {SHARED_OPS_CUDA_ARCH / 10, 132};
inline int launches = 0;

// Leaves one fiber for another. ucontext makes fibers but takes two system calls to switch.
__attribute__((noinline)) inline void switch_from(jmp_buf& here, jmp_buf& there) {
  if (_setjmp(here) == 0) {
    _longjmp(there, 1);
  }
}

inline void run_lane() {
  for (;;) {
    (*warp.body)();
    warp.lane[warp.current].done = true;
    switch_from(warp.lane[warp.current].state, warp.scheduler);
  }
}

__attribute__((noinline)) inline void resume(Lane& lane) {
  if (lane.started) {
    switch_from(warp.scheduler, lane.state);
    return;
  }
  lane.started = true;
  lane.stack.resize(kStack);
  static ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = lane.stack.data();
  context.uc_stack.ss_size = kStack;
  makecontext(&context, run_lane, 0);
  if (_setjmp(warp.scheduler) == 0) {
    setcontext(&context);
  }
}

// Shows `value` to the other lanes, and waits until all have shown theirs.
template <typename T>
void bring(T value, const void* place) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  Lane& lane = warp.lane[warp.current];
  lane.place = place;
  lane.brought = 0;
  std::memcpy(&lane.brought, &value, sizeof(T));
  switch_from(lane.state, warp.scheduler);
}

// Runs 32 threads from `first` on, up to each meeting in turn.
inline void run_warp(unsigned int first) {
  for (Lane& lane : warp.lane) {
    lane.done = false;
  }
  for (int finished = 0; finished == 0;) {
    for (int i = 0; i < kLanes; ++i) {
      warp.current = i;
      threadIdx = dim3(first + i);
      resume(warp.lane[i]);
      finished += warp.lane[i].done;
    }
    if (finished != 0 && finished != kLanes) {
      fail("a lane has finished while others wait for it");
    }
    for (int i = 1; finished == 0 && i < kLanes; ++i) {
      if (warp.lane[i].place != warp.lane[0].place) {
        fail("lanes wait for each other at different places");
      }
    }
  }
}

// Meets the other lanes; returns what lane `source` has brought. Two meetings, so that nobody brings the next thing
// before all have taken this one.
template <typename T>
T exchange(unsigned int mask, T value, int source, const void* place) {
  if (mask != 0xffffffffu) {
    fail("a shuffle that not all lanes take part in");
  }
  if (source < 0 || source >= kLanes) {
    fail("a shuffle from a lane that does not exist");
  }
  bring(value, place);
  T result;
  std::memcpy(&result, &warp.lane[source].brought, sizeof(T));
  bring(value, place);
  return result;
}

template <typename V>
void check_aligned(const V* address) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(V) != 0) {
    fail("an access that is not aligned");
  }
}

}  // namespace emulation

// Where in the program a function was called.
#define EMULATION_PLACE __builtin_return_address(0)

template <typename T>
__attribute__((noinline)) T __shfl_sync(unsigned int mask, T value, int source, int width = 32) {
  const int lane = emulation::warp.current;
  return emulation::exchange(mask, value, lane / width * width + source % width, EMULATION_PLACE);
}

template <typename T>
__attribute__((noinline)) T __shfl_xor_sync(unsigned int mask, T value, int distance) {
  return emulation::exchange(mask, value, emulation::warp.current ^ distance, EMULATION_PLACE);
}

__attribute__((noinline)) inline unsigned int __ballot_sync(unsigned int mask, bool vote) {
  unsigned int ballot = 0;
  for (int i = 0; i < emulation::kLanes; ++i) {
    ballot |= static_cast<unsigned int>(emulation::exchange(mask, vote, i, EMULATION_PLACE)) << i;
  }
  return ballot;
}

inline int __ffs(unsigned int bits) { return __builtin_ffs(static_cast<int>(bits)); }
inline unsigned int __umulhi(unsigned int a, unsigned int b) {
  return static_cast<unsigned int>((static_cast<uint64_t>(a) * b) >> 32);
}

template <typename V>
V __ldg(const V* address) {
  emulation::check_aligned(address);
  return *address;
}
template <typename V>
V __ldcs(const V* address) {
  return __ldg(address);
}
template <typename V>
void __stcs(V* address, V value) {
  emulation::check_aligned(address);
  *address = value;
}
template <typename T>
void atomicAdd(T* address, T value) {
  *address += value;
}

inline void atomicAdd(float4* address, float4 value) {
  emulation::check_aligned(address);
  address->x += value.x;
  address->y += value.y;
  address->z += value.z;
  address->w += value.w;
}
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

using cudaStream_t = void*;
using cudaError_t = int;
constexpr cudaError_t cudaSuccess = 0;

enum cudaDeviceAttr {
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrComputeCapabilityMinor,
  cudaDevAttrMultiProcessorCount
};

inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int /*device*/) {
  const emulation::Device& device = emulation::device;
  *value = attribute == cudaDevAttrMultiProcessorCount      ? device.multiprocessors
           : attribute == cudaDevAttrComputeCapabilityMajor ? device.capability / 10
                                                            : device.capability % 10;
  return cudaSuccess;
}

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               const Arguments&... arguments) {
  if (config->blockDim.x % emulation::kLanes != 0 || config->gridDim.x == 0 || config->gridDim.y == 0 ||
      config->gridDim.z == 0 || config->gridDim.y > 65535 || config->gridDim.z > 65535 ||
      config->gridDim.x > 0x7fffffffu) {
    emulation::fail("a grid that a device would refuse");
  }
  ++emulation::launches;
  const std::function<void()> body = [&] { kernel(arguments...); };
  emulation::warp.body = &body;
  gridDim = config->gridDim;
  blockDim = config->blockDim;
  for (unsigned int z = 0; z < gridDim.z; ++z) {
    for (unsigned int y = 0; y < gridDim.y; ++y) {
      for (unsigned int x = 0; x < gridDim.x; ++x) {
        blockIdx = dim3(x, y, z);
        for (unsigned int first = 0; first < blockDim.x; first += emulation::kLanes) {
          emulation::run_warp(first);
        }
      }
    }
  }
  return 0;
}
