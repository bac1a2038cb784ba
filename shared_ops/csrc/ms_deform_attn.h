// Multi-scale deformable attention: what its kernels have in common.
//
// Letters as in the Python module: N batch, S positions summed over levels, Lq queries, L levels, M heads, P points,
// D channels per head. All tensors are contiguous: value [N, S, M, D], locations [N, Lq, M, L, P, 2] (x, y),
// weights [N, Lq, M, L, P], output [N, Lq, M * D].
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Exception.h>
#include <torch/headeronly/util/Half.h>

#include <cstdint>
#include <vector>

#include "bilinear.h"

namespace shared_ops {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// The type of locations, weights and sums.
template <typename scalar_t>
struct Compute {
  using type = float;
};
template <>
struct Compute<double> {
  using type = double;
};
template <typename scalar_t>
using compute_t = typename Compute<scalar_t>::type;

inline ScalarType compute_type(ScalarType type) { return type == ScalarType::Double ? type : ScalarType::Float; }

struct Level {
  int64_t height, width, start;
};

struct Sizes {
  int64_t N, S, M, D, Lq, L, P;
};

// Calls `f(scalar_t())` for the type of `value`.
template <typename F>
void dispatch(const Tensor& value, const F& f) {
  switch (value.scalar_type()) {
    case ScalarType::Float:
      return f(float());
    case ScalarType::Double:
      return f(double());
    case ScalarType::Half:
      return f(c10::Half());
    case ScalarType::BFloat16:
      return f(c10::BFloat16());
    default:
      STD_TORCH_CHECK(false, "ms_deform_attn: value must be float32, float64, float16 or bfloat16");
  }
}

// The public function checks the same in terms of its arguments; this keeps a direct call of the operator from reading
// or writing outside of the tensors.
inline Sizes check_sizes(const Tensor& value, const Tensor& locations, const Tensor& weights, int64_t levels) {
  STD_TORCH_CHECK(value.dim() == 4 && locations.dim() == 6 && weights.dim() == 5,
                  "ms_deform_attn: value must have 4 dimensions, sampling_locations 6, attention_weights 5");
  const Sizes s{value.size(0),     value.size(1),     value.size(2),    value.size(3),
                locations.size(1), locations.size(3), locations.size(4)};
  STD_TORCH_CHECK(s.L == levels && locations.size(0) == s.N && locations.size(2) == s.M && locations.size(5) == 2,
                  "ms_deform_attn: sampling_locations do not fit value and spatial_shapes");
  STD_TORCH_CHECK(weights.size(0) == s.N && weights.size(1) == s.Lq && weights.size(2) == s.M &&
                      weights.size(3) == s.L && weights.size(4) == s.P,
                  "ms_deform_attn: attention_weights do not fit sampling_locations");
  const auto wanted = compute_type(value.scalar_type());
  STD_TORCH_CHECK(locations.scalar_type() == wanted && weights.scalar_type() == wanted,
                  "ms_deform_attn: sampling_locations and attention_weights must be float64 for a float64 value, "
                  "else float32");
  for (const Tensor& other : {locations, weights}) {
    STD_TORCH_CHECK(other.device() == value.device(), "ms_deform_attn: all tensors must be on one device");
  }
  return s;
}

inline std::vector<Level> check_levels(const std::vector<int64_t>& shapes, const std::vector<int64_t>& starts,
                                       int64_t positions) {
  STD_TORCH_CHECK(shapes.size() == 2 * starts.size(),
                  "ms_deform_attn: spatial_shapes must hold two numbers for every entry of level_start_index");
  std::vector<Level> levels;
  for (size_t l = 0; l < starts.size(); ++l) {
    const Level level{shapes[2 * l], shapes[2 * l + 1], starts[l]};
    STD_TORCH_CHECK(level.height >= 1 && level.width >= 1 && level.height <= positions / level.width &&
                        level.start >= 0 && level.start <= positions - level.height * level.width,
                    "ms_deform_attn: level ", l, " does not lie within the positions of value");
    levels.push_back(level);
  }
  return levels;
}

inline void check_grad_output(const Tensor& grad_output, const Tensor& value, const Sizes& s) {
  STD_TORCH_CHECK(grad_output.dim() == 3 && grad_output.size(0) == s.N && grad_output.size(1) == s.Lq &&
                      grad_output.size(2) == s.M * s.D && grad_output.scalar_type() == value.scalar_type() &&
                      grad_output.device() == value.device(),
                  "ms_deform_attn: the gradient must have the shape, type and device of the output");
}

}  // namespace shared_ops
