// What the lanes of a head tell each other about a point.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "points.cuh"
#include "vector.cuh"

namespace shared_ops {

constexpr unsigned int kWholeWarp = 0xffffffffu;
constexpr uint32_t kStepRight = 0x80000000u;

// The four pixels around a point, and what each of them adds to the output: upper left, upper right, lower left and
// lower right.
template <typename T>
struct Corners {
  T weight[4];
  int32_t pixel;   // of the image, upper left; negative if the point does not count
  uint32_t steps;  // pixels from the upper row to the lower one, and kStepRight if the right column is another one

  __device__ __forceinline__ bool counts() const { return pixel >= 0; }
  __device__ __forceinline__ int32_t right() const { return static_cast<int32_t>(steps >> 31); }
  __device__ __forceinline__ int32_t down() const { return static_cast<int32_t>(steps & ~kStepRight); }
};

// A point that counts as its owner knows it, the lane that made it.
template <typename T>
struct Point {
  Axis<T> x, y;
  T weight, scale_x, scale_y;
};

// What is stored about a point.
template <typename param_t>
struct Stored {
  Vector<param_t, 2> xy;
  Vector<param_t, 1> weight;
};

// The K points of one output vector.
template <typename param_t>
struct StoredPoints {
  const param_t *points, *weights;
  int K;

  __device__ __forceinline__ StoredPoints(const param_t* all_points, const param_t* all_weights, int64_t row, int K)
      : points(all_points + row * K * 2), weights(all_weights + row * K), K(K) {}

  // Point `k`, or the last one if there are not so many.
  __device__ __forceinline__ Stored<param_t> operator[](int k) const {
    const int at = min(k, K - 1);
    return {load<Vector<param_t, 2>>(points + 2 * at), load<Vector<param_t, 1>>(weights + at)};
  }
};

// Makes a point from what is stored about it. One that does not count, as none does that is not there, gets no weights.
// There is no branch, so that lanes need not wait for each other.
template <typename T, typename Geometry, typename param_t>
__device__ __forceinline__ Corners<T> find_corners(const Geometry& geometry, const typename Geometry::Origin& origin,
                                                   uint32_t k, bool exists, const Stored<param_t>& stored,
                                                   Point<T>& point) {
  const Place<T> place =
      geometry.place(origin, k, static_cast<T>(stored.xy.element[0]), static_cast<T>(stored.xy.element[1]));
  const bool inside = exists & counts(place.x, place.width) & counts(place.y, place.height);
  const Axis<T> x = split(inside ? place.x : T(0), place.width), y = split(inside ? place.y : T(0), place.height);
  const T weight = inside ? static_cast<T>(stored.weight.element[0]) : T(0);
  point = {x, y, weight, place.scale_x, place.scale_y};
  const T upper = weight * y.share0, lower = weight * y.share1;
  return {
      {upper * x.share0, upper * x.share1, lower * x.share0, lower * x.share1},
      inside ? place.start + y.first * place.width + x.first : -1,
      (y.step != 0 ? static_cast<uint32_t>(place.width) : 0u) | (x.step != 0 ? kStepRight : 0u),
  };
}

// The point of lane `source` of every group of LANES. All lanes of the warp must come here together.
template <int LANES, typename T>
__device__ __forceinline__ Corners<T> broadcast(const Corners<T>& mine, int source) {
  if constexpr (LANES == 1) {
    return mine;
  }
  Corners<T> corners;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    corners.weight[i] = __shfl_sync(kWholeWarp, mine.weight[i], source, LANES);
  }
  corners.pixel = __shfl_sync(kWholeWarp, mine.pixel, source, LANES);
  corners.steps = __shfl_sync(kWholeWarp, mine.steps, source, LANES);
  return corners;
}

// Where the four pixels lie in memory, in the units of `stride`, the distance between two pixels.
template <typename Offset>
struct CornerOffsets {
  Offset at[4];

  template <typename T>
  __device__ __forceinline__ CornerOffsets(const Corners<T>& corners, Offset stride, Offset first) {
    const Offset right = corners.right() ? stride : Offset(0);
    at[0] = static_cast<Offset>(corners.pixel) * stride + first;
    at[1] = at[0] + right;
    at[2] = at[0] + static_cast<Offset>(corners.down()) * stride;
    at[3] = at[2] + right;
  }
};

}  // namespace shared_ops
