// The points of some heads of a query, worked out: which pixels, and with what weights. A vector holds a coordinate of
// many points, of all those heads; the loops over channels then only read.
#pragma once

#include <cstdint>

#include "memory.h"
#include "problem.h"
#include "scratch.h"

namespace shared_ops::SHARED_OPS_ISA {

// The pixel of a point that does not count.
constexpr int kNowhere = -1;

template <typename T>
struct Points {
  explicit Points(int64_t count)
      : pixel(count),
        step_x(count),
        step_y(count),
        w00(count),
        w01(count),
        w10(count),
        w11(count),
        x(count),
        y(count),
        weight(count) {}

  Scratch<index_t<T>> pixel;           // the upper left pixel among the S, or kNowhere
  Scratch<index_t<T>> step_x, step_y;  // how many pixels further the others lie
  Scratch<T> w00, w01, w10, w11;       // the shares of the pixels, times the weight of the point
  Scratch<T> x, y;                     // the position, or zero where it does not count
  Scratch<T> weight;                   // of the point
};

// Some points, one in a lane, on maps of these sizes, which begin at these pixels.
template <typename T>
struct Maps {
  integer_t<Vector<T>> width, height, start;
};

template <typename T>
SHARED_OPS_INLINE void place(Points<T>& points, int64_t p, Vector<T> x, Vector<T> y, Vector<T> weight,
                             const Maps<T>& maps) {
  using A = Arithmetic<Vector<T>>;
  const auto both_count = counts(x, maps.width) & counts(y, maps.height);
  const auto zero = maps.width - maps.width;
  x = A::select(both_count, x, A::constant(0));
  y = A::select(both_count, y, A::constant(0));
  // whatever it is, even NaN, it must not reach a gradient
  weight = A::select(both_count, weight, A::constant(0));
  const Axis<Vector<T>> along_x = split(x, maps.width), along_y = split(y, maps.height);
  write(points.x + p, x);
  write(points.y + p, y);
  write(points.weight + p, weight);
  const auto pixel = maps.start + along_y.first * maps.width + along_x.first;
  write(points.pixel + p, A::select(both_count, pixel, zero + kNowhere));
  write(points.step_x + p, along_x.step);
  write(points.step_y + p, A::select(along_y.step > 0, maps.width, zero));
  const Vector<T> upper = weight * along_y.share0, lower = weight * along_y.share1;
  write(points.w00 + p, upper * along_x.share0);
  write(points.w01 + p, upper * along_x.share1);
  write(points.w10 + p, lower * along_x.share0);
  write(points.w11 + p, lower * along_x.share1);
}

// The points of multi-scale deformable attention, for up to `heads` heads of a query at once.
template <typename T>
class AttentionGeometry {
 public:
  AttentionGeometry(const Problem& problem, int64_t heads)
      : width_(heads * problem.sizes.K), height_(heads * problem.sizes.K), start_(heads * problem.sizes.K) {
    const int64_t K = problem.sizes.K, points_per_level = K / problem.level_count;
    for (int64_t p = 0; p < width_.size(); ++p) {
      const Level& level = problem.levels[p % K / points_per_level];
      width_[p] = level.width;
      height_[p] = level.height;
      start_[p] = static_cast<index_t<T>>(level.start);
    }
  }

  void begin_query(int64_t) {}

  SHARED_OPS_INLINE Maps<T> maps(int64_t p) const {
    using Integers = integer_t<Vector<T>>;
    return {read<Integers>(width_ + p), read<Integers>(height_ + p), read<Integers>(start_ + p)};
  }
  SHARED_OPS_INLINE Vector<T> x(int64_t p, Vector<T> location) const {
    return attention_position(location, maps(p).width);
  }
  SHARED_OPS_INLINE Vector<T> y(int64_t p, Vector<T> location) const {
    return attention_position(location, maps(p).height);
  }
  SHARED_OPS_INLINE Vector<T> scale_x(int64_t p) const { return attention_scale<Vector<T>>(maps(p).width); }
  SHARED_OPS_INLINE Vector<T> scale_y(int64_t p) const { return attention_scale<Vector<T>>(maps(p).height); }

 private:
  Scratch<index_t<T>> width_, height_, start_;
};

// The points of DCNv3, for up to `groups` groups of an output pixel at once.
template <typename T>
class WindowGeometry {
 public:
  WindowGeometry(const Problem& problem, int64_t groups)
      : window_(problem.window),
        offset_scale_(static_cast<T>(problem.window.offset_scale)),
        tap_x_(groups * problem.sizes.K),
        tap_y_(groups * problem.sizes.K) {
    for (int64_t p = 0; p < tap_x_.size(); ++p) {
      const auto k = static_cast<int32_t>(p % problem.sizes.K);
      tap_x_[p] = window_tap<T>(window_.x, k / window_.y.kernel);
      tap_y_[p] = window_tap<T>(window_.y, k % window_.y.kernel);
    }
  }

  void begin_query(int64_t query) {
    const int32_t width = window_.x.output_size;
    origin_x_ = window_origin(window_.x, static_cast<int32_t>(query % width), offset_scale_);
    origin_y_ = window_origin(window_.y, static_cast<int32_t>(query / width), offset_scale_);
  }

  SHARED_OPS_INLINE Maps<T> maps(int64_t) const {
    const integer_t<Vector<T>> zero{};
    return {zero + window_.x.size, zero + window_.y.size, zero};
  }
  SHARED_OPS_INLINE Vector<T> x(int64_t p, Vector<T> offset) const {
    return window_position(broadcast(origin_x_), load(tap_x_ + p), offset, broadcast(offset_scale_));
  }
  SHARED_OPS_INLINE Vector<T> y(int64_t p, Vector<T> offset) const {
    return window_position(broadcast(origin_y_), load(tap_y_ + p), offset, broadcast(offset_scale_));
  }
  SHARED_OPS_INLINE Vector<T> scale_x(int64_t) const { return broadcast(offset_scale_); }
  SHARED_OPS_INLINE Vector<T> scale_y(int64_t) const { return broadcast(offset_scale_); }

 private:
  const Window window_;
  const T offset_scale_;
  Scratch<T> tap_x_, tap_y_;
  T origin_x_ = 0, origin_y_ = 0;
};

// Reads and places `count` points: `pairs` [count, 2] (x, y) and their weights, in the type they are stored in.
template <typename T, typename param_t, typename Geometry>
SHARED_OPS_INLINE void place_points(const Geometry& geometry, const param_t* pairs, const param_t* weights,
                                    int64_t count, Points<T>& points) {
  constexpr int kWidth = kLanes<T>;
  for (int64_t p = 0; p < count; p += kWidth) {
    const int64_t left = count - p;
    const Vector<T> first = load_up_to(pairs + 2 * p, 2 * left),
                    second = load_up_to(pairs + 2 * p + kWidth, 2 * left - kWidth);
    Vector<T> x, y;
    deinterleave<T>(first, second, x, y);
    place<T>(points, p, geometry.x(p, x), geometry.y(p, y), load_up_to(weights + p, left), geometry.maps(p));
  }
}

// Writes the gradients of `count` points from `dots` [count, 4]: the sums over channels of the gradient of the output
// times each of the four pixels.
template <typename T, typename param_t, typename Geometry>
SHARED_OPS_INLINE void write_gradients(const Geometry& geometry, const Points<T>& points, const T* dots, int64_t count,
                                       param_t* grad_pairs, param_t* grad_weights) {
  constexpr int kWidth = kLanes<T>;
  for (int64_t p = 0; p < count; p += kWidth) {
    const int64_t left = count - p;
    const Maps<T> maps = geometry.maps(p);
    const auto along_x = split(load(points.x + p), maps.width), along_y = split(load(points.y + p), maps.height);
    Vector<T> even[2], odd[2], d00, d01, d10, d11;
    for (int i = 0; i < 2; ++i) {
      const T* from = dots + 4 * p + 2 * i * kWidth;
      deinterleave<T>(load(from), load(from + kWidth), even[i], odd[i]);
    }
    deinterleave<T>(even[0], even[1], d00, d10);
    deinterleave<T>(odd[0], odd[1], d01, d11);
    const auto gradient = differentiate<Vector<T>>(along_x, along_y, d00, d01, d10, d11);
    const Vector<T> weight = load(points.weight + p);
    Vector<T> first, second;
    interleave<T>(geometry.scale_x(p) * weight * gradient.x, geometry.scale_y(p) * weight * gradient.y, first, second);
    store_up_to(grad_weights + p, gradient.sample, left);
    store_up_to(grad_pairs + 2 * p, first, 2 * left);
    store_up_to(grad_pairs + 2 * p + kWidth, second, 2 * left - kWidth);
  }
}

}  // namespace shared_ops::SHARED_OPS_ISA
