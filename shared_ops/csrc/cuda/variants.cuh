// Which kernel serves which types and sizes.
#pragma once

#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "../operators.h"
#include "launch.cuh"
#include "work.cuh"

namespace shared_ops {

inline bool is_half(ScalarType type) { return type == ScalarType::Half || type == ScalarType::BFloat16; }

// Calls `f.operator()<scalar_t, param_t>()` for the types of `value` and of its points and weights.
template <typename F>
void dispatch_types(const Tensor& value, const Tensor& points, const F& f) {
  const bool same = points.scalar_type() == value.scalar_type();
  switch (value.scalar_type()) {
    case ScalarType::Double:
      return f.template operator()<double, double>();
    case ScalarType::Half:
      return same ? f.template operator()<c10::Half, c10::Half>() : f.template operator()<c10::Half, float>();
    case ScalarType::BFloat16:
      return same ? f.template operator()<c10::BFloat16, c10::BFloat16>()
                  : f.template operator()<c10::BFloat16, float>();
    default:
      return f.template operator()<float, float>();
  }
}

// Calls `f.operator()<Variant>()` with 16 bytes of channels per lane if they divide D, else with one channel, and with
// as few lanes as a head needs.
template <typename scalar_t, typename param_t, typename F>
void dispatch_lanes(const Sizes& s, const F& f) {
  constexpr int FULL = 16 / sizeof(scalar_t);
  if (s.D % FULL != 0) {
    return f.template operator()<Variant<scalar_t, param_t, 1, 32>>();
  }
  // 32-bit offsets reach everything in an image, in its own type and in the type of its sums
  const bool compact = s.S <= std::numeric_limits<uint32_t>::max() / (s.M * s.D * int64_t{sizeof(compute_t<scalar_t>)});
  if constexpr (!std::is_same_v<scalar_t, double>) {
    const int64_t lanes = s.D / FULL;
    if constexpr (FULL == 8) {
      if (compact && lanes <= 2) {
        return f.template operator()<Variant<scalar_t, param_t, FULL, 2>>();
      }
    }
    if (compact && lanes <= 4) {
      return f.template operator()<Variant<scalar_t, param_t, FULL, 4>>();
    }
    if (compact && lanes <= 8) {
      return f.template operator()<Variant<scalar_t, param_t, FULL, 8>>();
    }
    if (compact && lanes <= 16) {
      return f.template operator()<Variant<scalar_t, param_t, FULL, 16>>();
    }
  }
  return f.template operator()<Variant<scalar_t, param_t, FULL, 32>>();
}

// The part of the work in which images [first_image, first_image + images) and heads likewise take part.
inline Work make_work(const char* name, const Sizes& s, int64_t first_image, int64_t images, int64_t first_head,
                      int64_t heads) {
  constexpr int64_t kMost = int64_t{1} << 30;  // so that a step beyond still fits 31 bits
  STD_TORCH_CHECK(s.M <= kMost / s.D && s.Q <= kMost / s.M && s.K <= kMost, name,
                  ": CUDA takes at most 2^30 channels, points of a head, and queries times heads of an image");
  return {s.S,           s.Q,    s.M,         static_cast<int32_t>(s.D),        static_cast<int32_t>(s.K),
          first_image,   images, first_image, static_cast<int32_t>(first_head), static_cast<int32_t>(heads),
          Divisor(heads)};
}

// Launches `kernel(work, arguments...)` for all images of `work`, more than once where a grid does not hold them.
template <typename Kernel, typename... Arguments>
void launch_for_images(cudaStream_t stream, Work work, int64_t blocks, int64_t layers, int threads, Kernel kernel,
                       const Arguments&... arguments) {
  for (int64_t left = work.images; left > 0; left -= kMaxGrid) {
    work.images = std::min(left, kMaxGrid);
    launch(stream,
           dim3(static_cast<unsigned int>(blocks), static_cast<unsigned int>(work.images),
                static_cast<unsigned int>(std::min(layers, kMaxGrid))),
           threads, kernel, work, arguments...);
    work.first_image += kMaxGrid;
  }
}

// The same where `lanes` lanes serve an output vector.
template <typename Kernel, typename... Arguments>
void launch_for_items(cudaStream_t stream, const Work& work, int lanes, Kernel kernel, const Arguments&... arguments) {
  launch_for_images(stream, work, blocks_of_image(work.Q, work.heads, lanes), 1, kThreads, kernel, arguments...);
}

}  // namespace shared_ops
