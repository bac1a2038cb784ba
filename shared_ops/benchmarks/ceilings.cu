// What a Hopper GPU's caches and memory deliver, measured in seconds: reads of 128-byte rows at random through the L1
// and through the L2 cache, reductions (RED) at such rows, of one float per lane, of four, and of eight bfloat16, each
// over maps of several sizes, and a copy in DRAM. Prints JSON lines for the results file of the benchmarks.
//
//   nvcc -O3 -std=c++20 -arch=sm_90 -o ceilings ceilings.cu && ./ceilings > ceilings.jsonl
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

namespace {

void check(cudaError_t error, int line) {
  if (error != cudaSuccess) {
    std::fprintf(stderr, "ceilings.cu:%d: %s\n", line, cudaGetErrorString(error));
    std::exit(1);
  }
}
#define CHECK(call) check(call, __LINE__)

constexpr int kThreads = 128;
constexpr int kBlocksPerSm = 8;
constexpr int kWaves = 16;         // blocks of a launch, in fillings of the device
constexpr int kRowsPerGroup = 64;  // rows that a group of lanes touches one after another
constexpr int kLaunches = 12;
constexpr int kWarmUp = 2;

// One way to touch a row: how many lanes it takes, 16 or 4 bytes each, and what each does.
struct ReadL1 {
  static constexpr const char* kName = "L1 read";
  static constexpr int kLanes = 8, kBytes = 16;
  static __device__ float touch(char* place) {
    const float4 value = __ldg(reinterpret_cast<const float4*>(place));
    return value.x + value.y + value.z + value.w;
  }
};

struct ReadL2 {
  static constexpr const char* kName = "L2 read";
  static constexpr int kLanes = 8, kBytes = 16;
  static __device__ float touch(char* place) {
    const float4 value = __ldcg(reinterpret_cast<const float4*>(place));
    return value.x + value.y + value.z + value.w;
  }
};

struct AddFloat {
  static constexpr const char* kName = "RED f32";
  static constexpr int kLanes = 32, kBytes = 4;
  static __device__ float touch(char* place) {
    atomicAdd(reinterpret_cast<float*>(place), 1.0f);
    return 0.0f;
  }
};

struct AddFloats {
  static constexpr const char* kName = "RED v4.f32";
  static constexpr int kLanes = 8, kBytes = 16;
  static __device__ float touch(char* place) {
    atomicAdd(reinterpret_cast<float4*>(place), make_float4(1.0f, 1.0f, 1.0f, 1.0f));
    return 0.0f;
  }
};

struct AddHalves {
  static constexpr const char* kName = "RED v4.bf16x2";
  static constexpr int kLanes = 4, kBytes = 16;  // the same 32 channels are half as many bytes
  static __device__ float touch(char* place) {
    constexpr uint32_t kOnes = 0x3f803f80u;
    asm volatile("red.global.add.noftz.v4.bf16x2 [%0], {%1, %1, %1, %1};" ::"l"(place), "r"(kOnes) : "memory");
    return 0.0f;
  }
};

__device__ uint32_t mixed(uint32_t number) {
  number = (number ^ number >> 16) * 0x7feb352du;
  number = (number ^ number >> 15) * 0x846ca68bu;
  return number ^ number >> 16;
}

// Rows are as many as 2 to the power of row_bits, so that a number at random is its upper bits: a division would take
// longer than L1 does.
template <class Way>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm) touch_rows(char* data, int row_bits, float* sink) {
  const uint32_t thread = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t lane = thread % Way::kLanes;
  uint32_t state = mixed(thread / Way::kLanes);
  float sum = 0.0f;
#pragma unroll 4
  for (int i = 0; i < kRowsPerGroup; ++i) {
    state = state * 1664525u + 1013904223u;
    const uint64_t row = state >> (32 - row_bits);
    sum += Way::touch(data + row * (Way::kLanes * Way::kBytes) + lane * Way::kBytes);
  }
  // never true, but the compiler cannot know, so that the reads stay
  if (sum == 12345.678f) *sink = sum;
}

// Prints the fastest of several launches.
template <class Launch>
void measure(const char* gpu, const char* name, size_t footprint, double bytes, Launch launch) {
  cudaEvent_t start, end;
  CHECK(cudaEventCreate(&start));
  CHECK(cudaEventCreate(&end));
  float best = 1e30f;
  for (int i = 0; i < kLaunches; ++i) {
    CHECK(cudaEventRecord(start));
    launch();
    CHECK(cudaGetLastError());
    CHECK(cudaEventRecord(end));
    CHECK(cudaEventSynchronize(end));
    float milliseconds;
    CHECK(cudaEventElapsedTime(&milliseconds, start, end));
    if (i >= kWarmUp) best = std::min(best, milliseconds);
  }
  CHECK(cudaEventDestroy(start));
  CHECK(cudaEventDestroy(end));
  std::printf(
      "{\"record\": \"ceilings\", \"gpu\": \"%s\", \"operation\": \"%s\", \"footprint\": %zu, \"bytes_per_second\": "
      "%.4g}\n",
      gpu, name, footprint, bytes / best * 1e3);
  std::fflush(stdout);
}

template <class Way>
void measure_rows(const cudaDeviceProp& gpu, char* data, float* sink, std::initializer_list<int> row_bits) {
  const int blocks = gpu.multiProcessorCount * kBlocksPerSm * kWaves;
  const double bytes = double(blocks) * kThreads * kRowsPerGroup * Way::kBytes;
  for (int bits : row_bits) {
    const size_t footprint = size_t(Way::kLanes * Way::kBytes) << bits;
    measure(gpu.name, Way::kName, footprint, bytes, [&] { touch_rows<Way><<<blocks, kThreads>>>(data, bits, sink); });
  }
}

}  // namespace

int main() {
  cudaDeviceProp gpu;
  CHECK(cudaGetDeviceProperties(&gpu, 0));
  constexpr size_t kCopied = size_t(1) << 30;  // far more than an L2 cache
  char *data, *copy;
  float* sink;
  CHECK(cudaMalloc(&data, kCopied));
  CHECK(cudaMalloc(&copy, kCopied));
  CHECK(cudaMalloc(&sink, sizeof(float)));
  CHECK(cudaMemset(data, 0, kCopied));
  measure_rows<ReadL1>(gpu, data, sink, {8});                 // 32 KB
  const std::initializer_list<int> sizes = {12, 14, 17, 19};  // 0.5, 2, 17 and 67 MB of float32
  measure_rows<ReadL2>(gpu, data, sink, sizes);
  measure_rows<AddFloat>(gpu, data, sink, sizes);
  measure_rows<AddFloats>(gpu, data, sink, sizes);
  measure_rows<AddHalves>(gpu, data, sink, sizes);
  measure(gpu.name, "DRAM copy", kCopied, 2.0 * kCopied,
          [&] { CHECK(cudaMemcpyAsync(copy, data, kCopied, cudaMemcpyDeviceToDevice)); });
}
