// The forward kernel, for every geometry.
#pragma once

#include "corners.cuh"
#include "work.cuh"

namespace shared_ops {

// Adds the sample at one point to the sums.
template <typename V>
__device__ __forceinline__ void add_sample(typename V::T (&sum)[V::VECTOR], const char* image,
                                           const Corners<typename V::T>& corners, typename V::Offset stride,
                                           typename V::Offset first, bool active) {
  const CornerOffsets<typename V::Offset> offsets(corners, stride, first);
  word_t<typename V::Values> words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    words[i] = load_word_if<typename V::Values>(corners.counts() && active, image + offsets.at[i]);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int c = 0; c < V::VECTOR; ++c) {
      sum[c] += corners.weight[i] * channel_of<typename V::T, typename V::Values>(words[i], c);
    }
  }
}

// Blocks of a multiprocessor that leave every thread enough registers.
template <typename V>
constexpr int kForwardBlocks = V::VECTOR == 8 ? 7 : 8;

// POINTS is K where it is one of the usual numbers, else 0.
template <typename V, int POINTS, typename Geometry>
__global__ void __launch_bounds__(kThreads, kForwardBlocks<V>)
    forward(const __grid_constant__ Work work, const __grid_constant__ Geometry geometry,
            const typename V::scalar_t* __restrict__ value, const typename V::param_t* __restrict__ points,
            const typename V::param_t* __restrict__ weights, typename V::scalar_t* __restrict__ output) {
  using T = typename V::T;
  using Offset = typename V::Offset;
  const int lane = threadIdx.x % V::LANES;
  const int K = POINTS > 0 ? POINTS : work.K;
  const Offset stride = static_cast<Offset>(work.M) * work.D * sizeof(typename V::scalar_t);
  const int64_t image = work.first_image + blockIdx.y;
  const char* map = reinterpret_cast<const char*>(value) + image * work.S * work.M * work.D * sizeof(*value);
  const Item item(work, image, V::LANES);
  const auto origin = geometry.origin(item.query);
  const StoredPoints<typename V::param_t> stored(points, weights, item.row, K);
  for (int begin = 0; begin < work.D; begin += V::LANES * V::VECTOR) {
    const int channel = begin + lane * V::VECTOR;
    const bool active = channel < work.D;
    const Offset first = (static_cast<Offset>(item.head) * work.D + channel) * sizeof(*value);
    T sum[V::VECTOR] = {};
    // what the next round needs is on its way while this one is worked on
    auto next = stored[lane % V::ROUND];
    const auto round = [&](int k) {
      const int own = k + lane % V::ROUND;
      const auto current = next;
      if (k + V::ROUND < K) {
        next = stored[own + V::ROUND];
      }
      Point<T> point;
      const Corners<T> mine = find_corners<T>(geometry, origin, min(own, K - 1), own < K, current, point);
#pragma unroll
      for (int j = 0; j < V::ROUND; ++j) {
        if (k + j < K) {
          add_sample<V>(sum, map, broadcast<V::LANES>(mine, j), stride, first, active);
        }
      }
    };
    if constexpr (POINTS > 0) {
#pragma unroll
      for (int k = 0; k < POINTS; k += V::ROUND) {
        round(k);
      }
    } else {
#pragma unroll 1
      for (int k = 0; k < K; k += V::ROUND) {
        round(k);
      }
    }
    if (item.exists && active) {
      store_once(output + item.row * work.D + channel, convert<typename V::scalar_t>(sum));
    }
    if constexpr (!V::ANY_SIZE) {
      break;
    }
  }
}

}  // namespace shared_ops
