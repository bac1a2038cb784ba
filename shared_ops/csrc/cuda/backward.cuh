// The backward kernel, for every geometry.
#pragma once

#include "forward.cuh"

namespace shared_ops {

// Sums over the channels of the products of the gradient with the values at the four corners.
template <typename T>
struct Dots {
  T corner[4];
};

// Sums the dots of COUNT points, beginning with `first`, over COUNT lanes, where `dots_of(j)` are those of point j for
// the channels of this lane. Every lane gets those of one point: lane i that of point first + i % COUNT. Halving the
// points whenever the lanes are halved takes four exchanges per point, whatever COUNT.
template <int COUNT, typename T, typename F>
__device__ __forceinline__ Dots<T> reduce(int first, const F& dots_of) {
  if constexpr (COUNT == 1) {
    return dots_of(first);
  } else {
    constexpr int HALF = COUNT / 2;
    const Dots<T> lower = reduce<HALF, T>(first, dots_of), upper = reduce<HALF, T>(first + HALF, dots_of);
    const bool keeps_upper = threadIdx.x & HALF;
    Dots<T> sum;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const T given = keeps_upper ? lower.corner[i] : upper.corner[i];
      const T kept = keeps_upper ? upper.corner[i] : lower.corner[i];
      sum.corner[i] = kept + __shfl_xor_sync(kWholeWarp, given, HALF);
    }
    return sum;
  }
}

// `sums`, where the gradient of the values is gathered, holds the images and heads of this work only; it may be null.
// Points of different queries meet in one of its pixels, which is therefore added to atomically. The other gradients
// belong to one lane each.
template <typename V, typename Geometry>
__global__ void __launch_bounds__(kThreads, sizeof(typename V::T) == 8 ? 3 : 6)
    backward(const __grid_constant__ Work work, const __grid_constant__ Geometry geometry,
             const typename V::scalar_t* __restrict__ grad_output, const typename V::scalar_t* __restrict__ value,
             const typename V::param_t* __restrict__ points, const typename V::param_t* __restrict__ weights,
             typename V::T* __restrict__ sums, typename V::param_t* __restrict__ grad_points,
             typename V::param_t* __restrict__ grad_weights) {
  using T = typename V::T;
  using Offset = typename V::Offset;
  using param_t = typename V::param_t;
  constexpr int SPAN = V::LANES * V::VECTOR;
  const int lane = threadIdx.x % V::LANES;
  const Offset stride = static_cast<Offset>(work.M) * work.D * sizeof(*value);
  const Offset sums_stride = static_cast<Offset>(work.heads) * work.D;
  for (int64_t n = blockIdx.y; n < work.images; n += gridDim.y) {
    const int64_t image = work.first_image + n;
    const char* map = reinterpret_cast<const char*>(value) + image * work.S * work.M * work.D * sizeof(*value);
    T* map_sums = sums == nullptr ? nullptr : sums + n * work.S * work.heads * work.D;
    const Item item(work, image, V::LANES);
    const auto origin = geometry.origin(item.query);
    const Stored<param_t> stored(points, weights, item.row, work.K);
    const auto* arriving = grad_output + item.row * work.D;
    const int first_channel = lane * V::VECTOR;

    // what most variants read only once
    word_t<typename V::Values> gradients = {};
    if (!V::ANY_SIZE && first_channel < work.D) {
      gradients = load_word<typename V::Values>(arriving + first_channel);
    }

#pragma unroll 1
    for (int k = 0; k < work.K; k += V::ROUND) {
      Point<T> point;
      const int own = k + lane % V::ROUND;
      const auto mine = corners_of<V>(geometry, origin, stored, work.K, own, point);

      const auto dots_of = [&](int j) {
        Dots<T> dots = {};
        if (k + j >= work.K) {
          return dots;
        }
        const auto corners = broadcast<V::LANES>(mine, j);
        if (!corners.counts() || !item.exists) {
          return dots;
        }
        for (int channel = first_channel; channel < work.D; channel += SPAN) {
          if constexpr (V::ANY_SIZE) {
            gradients = load_word<typename V::Values>(arriving + channel);
          }
          T gradient[V::VECTOR];
#pragma unroll
          for (int c = 0; c < V::VECTOR; ++c) {
            gradient[c] = channel_of<T, typename V::Values>(gradients, c);
          }
          const CornerOffsets<Offset> offsets(corners, stride,
                                              (static_cast<Offset>(item.head) * work.D + channel) * sizeof(*value));
          word_t<typename V::Values> words[4];
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            words[i] = load_word<typename V::Values>(map + offsets.at[i]);
          }
          if (map_sums != nullptr) {
            const CornerOffsets<Offset> sum_offsets(
                corners, sums_stride, static_cast<Offset>(item.head - work.first_head) * work.D + channel);
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              add_to(map_sums + sum_offsets.at[i], corners.weight[i], gradient);
            }
          }
#pragma unroll
          for (int c = 0; c < V::VECTOR; ++c) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              dots.corner[i] += gradient[c] * channel_of<T, typename V::Values>(words[i], c);
            }
          }
          if constexpr (!V::ANY_SIZE) {
            break;
          }
        }
        return dots;
      };
      Dots<T> dots = reduce<V::ROUND, T>(0, dots_of);
#pragma unroll
      for (int distance = V::ROUND; distance < V::LANES; distance *= 2) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          dots.corner[i] += __shfl_xor_sync(kWholeWarp, dots.corner[i], distance);
        }
      }

      if (item.exists && lane < V::ROUND && own < work.K) {
        SampleGradient<T> gradient = {T(0), T(0), T(0)};
        if (mine.counts()) {
          gradient = differentiate(point.x, point.y, dots.corner[0], dots.corner[1], dots.corner[2], dots.corner[3]);
          gradient.x *= point.weight * point.scale_x;
          gradient.y *= point.weight * point.scale_y;
        }
        const int64_t at = item.row * work.K + own;
        const T xy[2] = {gradient.x, gradient.y}, sample[1] = {gradient.sample};
        store_once(grad_points + 2 * at, convert<param_t>(xy));
        store_once(grad_weights + at, convert<param_t>(sample));
      }
    }
  }
}

}  // namespace shared_ops
