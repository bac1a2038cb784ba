// Which positions the points of a query have: what distinguishes attention from a convolution, and all of it.
//
// A geometry is an argument of the kernels, passed by value, so that no copy to the device is needed. It says which
// numbers of points are usual for a number of channels (Usual), what the points of a query have in common (Origin), and
// where point k lies (place).
#pragma once

#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "../geometry.h"
#include "divisor.cuh"

namespace shared_ops {

// A position in pixels of a map, which begins at pixel `start` of an image; scales are the derivatives of the position
// by what it was made of.
template <typename T>
struct Place {
  T x, y;
  int32_t width, height, start;
  T scale_x, scale_y;
};

// Numbers of points that get kernels of their own.
template <int... POINTS>
struct Counts {};

// Arguments of a kernel have 4 KiB.
constexpr int kMaxLevels = 64;

template <typename T>
struct AttentionPoints {
  // four points in 1, 3 or 4 levels
  template <int CHANNELS>
  using Usual = std::conditional_t<CHANNELS == 32, Counts<4, 12, 16>, Counts<>>;

  struct Origin {};

  Level levels[kMaxLevels];
  Divisor points_per_level;

  AttentionPoints(const std::vector<Level>& all, int64_t K) {
    STD_TORCH_CHECK(all.size() <= kMaxLevels, "ms_deform_attn: CUDA takes at most ", kMaxLevels, " levels, got ",
                    all.size(), ": attend to them in several calls and add the results");
    std::copy(all.begin(), all.end(), levels);
    points_per_level = Divisor(K / static_cast<int64_t>(all.size()));
  }

  __device__ __forceinline__ Origin origin(uint32_t) const { return {}; }

  __device__ __forceinline__ Place<T> place(Origin, uint32_t k, T x, T y) const {
    const Level& level = levels[points_per_level.quotient(k)];
    return {
        attention_position(x, level.width),
        attention_position(y, level.height),
        level.width,
        level.height,
        static_cast<int32_t>(level.start),
        attention_scale<T>(level.width),
        attention_scale<T>(level.height),
    };
  }
};

template <typename T>
struct WindowPoints {
  template <int CHANNELS>
  using Usual = std::conditional_t<CHANNELS == 16 || CHANNELS == 32, Counts<9>, Counts<>>;

  // Where the kernel begins.
  struct Origin {
    T x, y;
  };

  Window window;
  T offset_scale;
  Divisor output_width, kernel_height;

  explicit WindowPoints(const Window& w)
      : window(w),
        offset_scale(static_cast<T>(w.offset_scale)),
        output_width(w.x.output_size),
        kernel_height(w.y.kernel) {}

  __device__ __forceinline__ Origin origin(uint32_t query) const {
    const uint32_t row = output_width.quotient(query);
    return {
        window_origin(window.x, output_width.remainder(query, row), offset_scale),
        window_origin(window.y, row, offset_scale),
    };
  }

  __device__ __forceinline__ Place<T> place(const Origin& begin, uint32_t k, T x, T y) const {
    const uint32_t column = kernel_height.quotient(k);
    return {
        window_position(begin.x, window_tap<T>(window.x, column), x, offset_scale),
        window_position(begin.y, window_tap<T>(window.y, kernel_height.remainder(k, column)), y, offset_scale),
        window.x.size,
        window.y.size,
        0,
        offset_scale,
        offset_scale,
    };
  }
};

}  // namespace shared_ops
