// Multi-scale deformable attention on CUDA: one thread per output channel (forward) or per sampling point (backward).
#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/shim_utils.h>

#include <algorithm>
#include <tuple>

#include "../ms_deform_attn.h"

namespace shared_ops {
namespace {

constexpr int kThreads = 256;
// More blocks than fill any device; threads go on to the next item instead.
constexpr int64_t kMaxBlocks = 1 << 20;
// Levels travel as an argument of the kernel, so that no copy to the device is needed.
constexpr int64_t kMaxLevels = 64;

struct Levels {
  Level level[kMaxLevels];
};

// Both kernels index with 64 bits: a batch may hold more than 2^31 elements.
__device__ int64_t first_item() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ int64_t item_step() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

template <typename T>
__device__ bool locate_at(const T* locations, int64_t at, const Level& level, Bilinear<T>& point) {
  return locate(to_pixels(locations[2 * at + 1], level.height), to_pixels(locations[2 * at], level.width), level.height,
                level.width, point);
}

template <typename scalar_t, typename T>
__global__ void __launch_bounds__(kThreads)
    forward(Sizes s, Levels levels, const scalar_t* __restrict__ value, const T* __restrict__ locations,
            const T* __restrict__ weights, scalar_t* __restrict__ output) {
  const int64_t stride = s.M * s.D, items = s.N * s.Lq * stride;
  for (int64_t item = first_item(); item < items; item += item_step()) {
    const int64_t i = item / s.D, n = item / (s.Lq * stride), channel = item % stride;
    T sum = 0;
    for (int64_t l = 0; l < s.L; ++l) {
      const Level& level = levels.level[l];
      const scalar_t* map = value + (n * s.S + level.start) * stride + channel;
      for (int64_t p = 0; p < s.P; ++p) {
        const int64_t at = (i * s.L + l) * s.P + p;
        Bilinear<T> point;
        if (!locate_at(locations, at, level, point)) {
          continue;
        }
        T sample = 0;
        for (int k = 0; k < kCorners; ++k) {
          if (point.pixel[k] != kOutside) {
            sample += point.weight[k] * static_cast<T>(map[point.pixel[k] * stride]);
          }
        }
        sum += weights[at] * sample;
      }
    }
    output[item] = static_cast<scalar_t>(sum);
  }
}

// Points of different queries meet in a pixel of `grad_value`, which is therefore added to atomically, in the type of
// the sums. The other gradients belong to one thread each.
template <typename scalar_t, typename T>
__global__ void __launch_bounds__(kThreads)
    backward(Sizes s, Levels levels, const scalar_t* __restrict__ grad_output, const scalar_t* __restrict__ value,
             const T* __restrict__ locations, const T* __restrict__ weights, T* __restrict__ grad_value,
             T* __restrict__ grad_locations, T* __restrict__ grad_weights) {
  const int64_t stride = s.M * s.D, points = s.L * s.P, items = s.N * s.Lq * s.M * points;
  for (int64_t at = first_item(); at < items; at += item_step()) {
    const int64_t i = at / points, m = i % s.M, n = i / (s.Lq * s.M);
    const Level& level = levels.level[at / s.P % s.L];
    Bilinear<T> point;
    if (!locate_at(locations, at, level, point)) {
      grad_weights[at] = grad_locations[2 * at] = grad_locations[2 * at + 1] = T(0);
      continue;
    }
    const int64_t map = (n * s.S + level.start) * stride + m * s.D;
    T dot[kCorners] = {0, 0, 0, 0};
    for (int64_t c = 0; c < s.D; ++c) {
      const T grad = static_cast<T>(grad_output[i * s.D + c]);
      for (int k = 0; k < kCorners; ++k) {
        if (point.pixel[k] != kOutside) {
          const int64_t element = map + point.pixel[k] * stride + c;
          dot[k] += grad * static_cast<T>(value[element]);
          atomicAdd(grad_value + element, weights[at] * point.weight[k] * grad);
        }
      }
    }
    const SampleGradient<T> gradient = differentiate(point, dot);
    grad_weights[at] = gradient.sample;
    grad_locations[2 * at] = weights[at] * static_cast<T>(level.width) * gradient.column;
    grad_locations[2 * at + 1] = weights[at] * static_cast<T>(level.height) * gradient.row;
  }
}

Levels pack(const std::vector<Level>& levels) {
  STD_TORCH_CHECK(static_cast<int64_t>(levels.size()) <= kMaxLevels, "ms_deform_attn: CUDA takes at most ", kMaxLevels,
                  " levels, got ", levels.size());
  Levels packed = {};
  std::copy(levels.begin(), levels.end(), packed.level);
  return packed;
}

// The current stream of the device that `tensor` lies on.
cudaStream_t current_stream(const Tensor& tensor) {
  void* stream = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
  return static_cast<cudaStream_t>(stream);
}

unsigned int blocks_for(int64_t items) {
  return static_cast<unsigned int>(std::min((items + kThreads - 1) / kThreads, kMaxBlocks));
}

Tensor ms_deform_attn(const Tensor& value, std::vector<int64_t> spatial_shapes, std::vector<int64_t> level_start_index,
                      const Tensor& sampling_locations, const Tensor& attention_weights) {
  const auto levels = check_levels(spatial_shapes, level_start_index, value.size(1));
  const Sizes s = check_sizes(value, sampling_locations, attention_weights, levels.size());
  const Levels packed = pack(levels);
  const torch::stable::accelerator::DeviceGuard guard(value.get_device_index());
  const Tensor v = torch::stable::contiguous(value), locations = torch::stable::contiguous(sampling_locations),
               weights = torch::stable::contiguous(attention_weights);
  Tensor output = torch::stable::new_empty(value, {s.N, s.Lq, s.M * s.D});
  const int64_t items = output.numel();
  if (items == 0) {
    return output;
  }
  dispatch(value, [&](auto zero) {
    using scalar_t = decltype(zero);
    using T = compute_t<scalar_t>;
    forward<scalar_t, T><<<blocks_for(items), kThreads, 0, current_stream(value)>>>(
        s, packed, v.const_data_ptr<scalar_t>(), locations.const_data_ptr<T>(), weights.const_data_ptr<T>(),
        output.mutable_data_ptr<scalar_t>());
    STD_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return output;
}

std::tuple<Tensor, Tensor, Tensor> ms_deform_attn_backward(const Tensor& grad_output, const Tensor& value,
                                                           std::vector<int64_t> spatial_shapes,
                                                           std::vector<int64_t> level_start_index,
                                                           const Tensor& sampling_locations,
                                                           const Tensor& attention_weights) {
  const auto levels = check_levels(spatial_shapes, level_start_index, value.size(1));
  const Sizes s = check_sizes(value, sampling_locations, attention_weights, levels.size());
  check_grad_output(grad_output, value, s);
  const Levels packed = pack(levels);
  const torch::stable::accelerator::DeviceGuard guard(value.get_device_index());
  const Tensor grad = torch::stable::contiguous(grad_output), v = torch::stable::contiguous(value),
               locations = torch::stable::contiguous(sampling_locations),
               weights = torch::stable::contiguous(attention_weights);
  const auto sum_type = compute_type(value.scalar_type());
  Tensor grad_value = torch::stable::new_zeros(value, value.sizes(), sum_type);
  Tensor grad_locations = torch::stable::new_empty(sampling_locations, sampling_locations.sizes());
  Tensor grad_weights = torch::stable::new_empty(attention_weights, attention_weights.sizes());
  const int64_t items = weights.numel();
  if (items > 0) {
    dispatch(value, [&](auto zero) {
      using scalar_t = decltype(zero);
      using T = compute_t<scalar_t>;
      backward<scalar_t, T><<<blocks_for(items), kThreads, 0, current_stream(value)>>>(
          s, packed, grad.const_data_ptr<scalar_t>(), v.const_data_ptr<scalar_t>(), locations.const_data_ptr<T>(),
          weights.const_data_ptr<T>(), grad_value.mutable_data_ptr<T>(), grad_locations.mutable_data_ptr<T>(),
          grad_weights.mutable_data_ptr<T>());
      STD_CUDA_KERNEL_LAUNCH_CHECK();
    });
  }
  if (sum_type != value.scalar_type()) {
    grad_value = torch::stable::to(grad_value, value.scalar_type());
  }
  return {grad_value, grad_locations, grad_weights};
}

}  // namespace
}  // namespace shared_ops

STABLE_TORCH_LIBRARY_IMPL(shared_ops, CUDA, m) {
  m.impl("ms_deform_attn", TORCH_BOX(&shared_ops::ms_deform_attn));
  m.impl("_ms_deform_attn_backward", TORCH_BOX(&shared_ops::ms_deform_attn_backward));
}
