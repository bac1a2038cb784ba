// What the kernels of every device have in common on the side of PyTorch: types, and the checks of a direct call.
//
// The public functions check the same in terms of their arguments; these checks keep a direct call of an operator from
// reading or writing outside of the tensors.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include "geometry.h"

namespace shared_ops {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// The type of positions and sums, and of points and weights unless these are stored as the values are.
inline ScalarType compute_type(ScalarType type) { return type == ScalarType::Double ? type : ScalarType::Float; }

constexpr int64_t kMaxPixels = std::numeric_limits<int32_t>::max();

inline void check_types(const char* name, const Tensor& value, const Tensor& points, const Tensor& weights) {
  const auto type = value.scalar_type();
  STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::Half ||
                      type == ScalarType::BFloat16,
                  name, ": the values must be float32, float64, float16 or bfloat16");
  const auto given = points.scalar_type();
  STD_TORCH_CHECK(given == weights.scalar_type() && (given == type || given == compute_type(type)), name,
                  ": points and weights must both have the type of the values, or float32 where that is half");
  for (const Tensor& other : {points, weights}) {
    STD_TORCH_CHECK(other.device() == value.device(), name, ": all tensors must be on one device");
  }
}

// Which gradients a backward is asked for. In place of the others it returns tensors without elements.
struct Wanted {
  bool value, points, weights;

  Wanted(const char* name, const std::vector<bool>& output_mask) {
    STD_TORCH_CHECK(output_mask.size() == 3, name, ": output_mask must hold three truth values");
    value = output_mask[0], points = output_mask[1], weights = output_mask[2];
  }

  // Points and weights come out of one and the same sums.
  bool places() const { return points || weights; }
};

// A new tensor like `tensor`, without elements unless it is wanted.
inline Tensor new_if(bool wanted, const Tensor& tensor) {
  if (wanted) {
    return torch::stable::new_empty(tensor, tensor.sizes());
  }
  return torch::stable::new_empty(tensor, {0});
}

inline void check_grad_output(const char* name, const Tensor& grad_output, const Tensor& value,
                              const std::vector<int64_t>& shape) {
  bool fits = grad_output.dim() == static_cast<int64_t>(shape.size()) &&
              grad_output.scalar_type() == value.scalar_type() && grad_output.device() == value.device();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = grad_output.size(i) == shape[i];
  }
  STD_TORCH_CHECK(fits, name, ": the gradient must have the shape, type and device of the output");
}

struct Attention {
  Sizes sizes;
  std::vector<Level> levels;
  std::vector<int64_t> output_shape;
};

// Checks the arguments of multi-scale deformable attention and takes the sizes from them.
inline Attention check_attention(const Tensor& value, const std::vector<int64_t>& shapes,
                                 const std::vector<int64_t>& starts, const Tensor& locations, const Tensor& weights) {
  const char* name = "ms_deform_attn";
  STD_TORCH_CHECK(value.dim() == 4 && locations.dim() == 6 && weights.dim() == 5, name,
                  ": value must have 4 dimensions, sampling_locations 6, attention_weights 5");
  const int64_t N = value.size(0), S = value.size(1), M = value.size(2), D = value.size(3);
  const int64_t Q = locations.size(1), L = locations.size(3), P = locations.size(4);
  STD_TORCH_CHECK(shapes.size() == 2 * starts.size(), name,
                  ": spatial_shapes must hold two numbers for every entry of level_start_index");
  STD_TORCH_CHECK(M >= 1 && D >= 1 && L >= 1 && P >= 1, name, ": heads, channels, levels and points must not be empty");
  STD_TORCH_CHECK(L == static_cast<int64_t>(starts.size()) && locations.size(0) == N && locations.size(2) == M &&
                      locations.size(5) == 2,
                  name, ": sampling_locations do not fit value and spatial_shapes");
  STD_TORCH_CHECK(weights.size(0) == N && weights.size(1) == Q && weights.size(2) == M && weights.size(3) == L &&
                      weights.size(4) == P,
                  name, ": attention_weights do not fit sampling_locations");
  check_types(name, value, locations, weights);
  STD_TORCH_CHECK(S <= kMaxPixels, name, ": value has ", S, " positions, but an image may have at most ", kMaxPixels);
  std::vector<Level> levels;
  for (size_t l = 0; l < starts.size(); ++l) {
    const int64_t height = shapes[2 * l], width = shapes[2 * l + 1];
    STD_TORCH_CHECK(
        height >= 1 && width >= 1 && height <= S / width && starts[l] >= 0 && starts[l] <= S - height * width, name,
        ": level ", l, " does not lie within the positions of value");
    levels.push_back({static_cast<int32_t>(height), static_cast<int32_t>(width), starts[l]});
  }
  return {{N, S, M, D, Q, L * P}, levels, {N, Q, M * D}};
}

struct Convolution {
  Sizes sizes;
  Window window;
  std::vector<int64_t> output_shape;
};

inline WindowAxis check_axis(const char* name, int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                             int64_t dilation) {
  // so that no product of two of them overflows
  for (const int64_t number : {size, kernel, stride, padding, dilation}) {
    STD_TORCH_CHECK(number >= 0 && number <= kMaxPixels, name, ": ", number, " is no size");
  }
  STD_TORCH_CHECK(kernel >= 1 && stride >= 1 && dilation >= 1, name,
                  ": kernel_size, stride and dilation must be positive");
  const int64_t room = size + 2 * padding - (dilation * (kernel - 1) + 1);
  STD_TORCH_CHECK(size >= 1 && room >= 0, name, ": the kernel does not fit into the padded input");
  STD_TORCH_CHECK(size + 2 * padding <= kMaxPixels, name, ": the padded input may have at most ", kMaxPixels,
                  " rows or columns");
  const auto narrow = [](int64_t number) { return static_cast<int32_t>(number); };
  return {narrow(kernel), narrow(stride), narrow(padding), narrow(dilation), narrow(size), narrow(room / stride + 1)};
}

// Checks the arguments of DCNv3 and takes the sizes from them.
inline Convolution check_convolution(const Tensor& input, const Tensor& offset, const Tensor& mask,
                                     const std::vector<int64_t>& kernel_size, const std::vector<int64_t>& stride,
                                     const std::vector<int64_t>& padding, const std::vector<int64_t>& dilation,
                                     int64_t groups, double offset_scale) {
  const char* name = "dcnv3";
  STD_TORCH_CHECK(input.dim() == 4 && offset.dim() == 4 && mask.dim() == 4, name,
                  ": input, offset and mask must have 4 dimensions");
  for (const auto* pair : {&kernel_size, &stride, &padding, &dilation}) {
    STD_TORCH_CHECK(pair->size() == 2, name, ": kernel_size, stride, padding and dilation must be pairs");
  }
  const int64_t N = input.size(0), H = input.size(1), W = input.size(2), C = input.size(3);
  STD_TORCH_CHECK(groups >= 1 && C >= 1 && C % groups == 0, name, ": groups must divide the channels");
  const Window window{check_axis(name, H, kernel_size[0], stride[0], padding[0], dilation[0]),
                      check_axis(name, W, kernel_size[1], stride[1], padding[1], dilation[1]), offset_scale};
  const int64_t K = kernel_size[0] * kernel_size[1], Ho = window.y.output_size, Wo = window.x.output_size;
  STD_TORCH_CHECK(H <= kMaxPixels / W, name, ": an image may have at most ", kMaxPixels, " pixels");
  STD_TORCH_CHECK(K <= kMaxPixels / groups, name, ": the kernel is too large");
  for (const auto& [tensor, channels] : {std::pair(&offset, groups * K * 2), std::pair(&mask, groups * K)}) {
    STD_TORCH_CHECK(
        tensor->size(0) == N && tensor->size(1) == Ho && tensor->size(2) == Wo && tensor->size(3) == channels, name,
        ": offset and mask must be [", N, ", ", Ho, ", ", Wo, ", channels] with ", groups * K * 2, " and ", groups * K,
        " channels");
  }
  check_types(name, input, offset, mask);
  return {{N, H * W, groups, C / groups, Ho * Wo, K}, window, {N, Ho, Wo, C}};
}

}  // namespace shared_ops
