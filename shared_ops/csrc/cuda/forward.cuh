// The forward kernel, for every geometry.
#pragma once

#include "corners.cuh"
#include "work.cuh"

namespace shared_ops {

// The points of one output vector in memory.
template <typename param_t>
struct Stored {
  const param_t *points, *weights;

  __device__ __forceinline__ Stored(const param_t* all_points, const param_t* all_weights, int64_t row, int K)
      : points(all_points + row * K * 2), weights(all_weights + row * K) {}
};

// Point `k` of the K that there are, or one that does not count.
template <typename V, typename Geometry>
__device__ __forceinline__ Corners<typename V::T> corners_of(const Geometry& geometry,
                                                             const typename Geometry::Origin& origin,
                                                             const Stored<typename V::param_t>& stored, int K, int k,
                                                             Point<typename V::T>& point) {
  using T = typename V::T;
  if (k >= K) {
    return {{T(0), T(0), T(0), T(0)}, -1, 0};
  }
  const auto xy = load<Vector<typename V::param_t, 2>>(stored.points + 2 * k);
  const auto weight = load<Vector<typename V::param_t, 1>>(stored.weights + k);
  return find_corners<T>(geometry, origin, k, static_cast<T>(xy.element[0]), static_cast<T>(xy.element[1]),
                         static_cast<T>(weight.element[0]), point);
}

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

// POINTS is K where it is one of the usual numbers, else 0.
template <typename V, int POINTS, typename Geometry>
__global__ void __launch_bounds__(kThreads, 8)
    forward(const __grid_constant__ Work work, const __grid_constant__ Geometry geometry,
            const typename V::scalar_t* __restrict__ value, const typename V::param_t* __restrict__ points,
            const typename V::param_t* __restrict__ weights, typename V::scalar_t* __restrict__ output) {
  using T = typename V::T;
  using Offset = typename V::Offset;
  const int lane = threadIdx.x % V::LANES;
  const int K = POINTS > 0 ? POINTS : work.K;
  const Offset stride = static_cast<Offset>(work.M) * work.D * sizeof(typename V::scalar_t);
  for (int64_t image = work.first_image + blockIdx.y; image < work.first_image + work.images; image += gridDim.y) {
    const char* map = reinterpret_cast<const char*>(value) + image * work.S * work.M * work.D * sizeof(*value);
    const Item item(work, image, V::LANES);
    const auto origin = geometry.origin(item.query);
    const Stored<typename V::param_t> stored(points, weights, item.row, K);
    for (int begin = 0; begin < work.D; begin += V::LANES * V::VECTOR) {
      const int channel = begin + lane * V::VECTOR;
      const bool active = channel < work.D;
      const Offset first = (static_cast<Offset>(item.head) * work.D + channel) * sizeof(*value);
      T sum[V::VECTOR] = {};
      const auto round = [&](int k) {
        Point<T> point;
        const auto mine = corners_of<V>(geometry, origin, stored, K, k + lane % V::ROUND, point);
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
}

}  // namespace shared_ops
