// The backward kernel, for every geometry.
#pragma once

#include "corners.cuh"
#include "work.cuh"

namespace shared_ops {

// Sums over the channels of the products of the gradient with the values at the four corners.
template <typename T>
struct Dots {
  T corner[4];
};

// Adds the products of the gradients with the values at the four corners.
template <typename V>
__device__ __forceinline__ void add_products(Dots<typename V::T>& dots, const word_t<typename V::Values>& gradients,
                                             const char* map, const CornerOffsets<typename V::Offset>& offsets) {
  using T = typename V::T;
  using Values = typename V::Values;
  word_t<Values> words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    words[i] = load_word<Values>(map + offsets.at[i]);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int c = 0; c < V::VECTOR; ++c) {
      dots.corner[i] += channel_of<T, Values>(gradients, c) * channel_of<T, Values>(words[i], c);
    }
  }
}

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

// The gradient of one output vector as it is added to the sums: in portions of as many neighbours as an atomic addition
// takes, dealt to the lanes in turn, so that what all lanes add at a time lies side by side. That these are not the
// channels whose values a lane has read makes no difference.
template <typename V>
struct Portions {
  using T = typename V::T;
  static constexpr int SIZE = V::VECTOR % kAtomicSize<T> == 0 ? kAtomicSize<T> : 1, COUNT = V::VECTOR / SIZE;
  T gradient[COUNT][SIZE];

  static __device__ __forceinline__ int channel(int portion) {
    return (portion * V::LANES + static_cast<int>(threadIdx.x) % V::LANES) * SIZE;
  }

  // Reads what is there of `channels` channels.
  __device__ __forceinline__ void load_from(const typename V::scalar_t* arriving, int channels) {
    using Part = Vector<typename V::scalar_t, SIZE>;
#pragma unroll
    for (int p = 0; p < COUNT; ++p) {
      if (channel(p) < channels) {
        const auto word = load_word<Part>(arriving + channel(p));
#pragma unroll
        for (int i = 0; i < SIZE; ++i) {
          gradient[p][i] = channel_of<T, Part>(word, i);
        }
      }
    }
  }

  __device__ __forceinline__ void add_to_sums(T* sums, const CornerOffsets<typename V::Offset>& offsets,
                                              const T (&weight)[4], int channels) const {
#pragma unroll
    for (int p = 0; p < COUNT; ++p) {
      if (channel(p) < channels) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          add_to(sums + offsets.at[i] + channel(p), weight[i], gradient[p]);
        }
      }
    }
  }
};

// Blocks of a multiprocessor that leave every thread enough registers.
template <typename T>
constexpr int kBackwardBlocks = sizeof(T) == 8 ? 3 : 6;

// `sums`, where the gradient of the values is gathered, holds the images and heads of this work only; it is null where
// that gradient is not wanted, as grad_points and grad_weights are where neither of these is. Points of different
// queries meet in one pixel of the sums, which is therefore added to atomically. The other gradients belong to one lane
// each.
template <typename V, typename Geometry>
__global__ void __launch_bounds__(kThreads, kBackwardBlocks<typename V::T>)
    backward(const __grid_constant__ Work work, const __grid_constant__ Geometry geometry,
             const typename V::scalar_t* __restrict__ grad_output, const typename V::scalar_t* __restrict__ value,
             const typename V::param_t* __restrict__ points, const typename V::param_t* __restrict__ weights,
             typename V::T* __restrict__ sums, typename V::param_t* __restrict__ grad_points,
             typename V::param_t* __restrict__ grad_weights) {
  using T = typename V::T;
  using Offset = typename V::Offset;
  using param_t = typename V::param_t;
  const int lane = threadIdx.x % V::LANES;
  const Offset stride = static_cast<Offset>(work.M) * work.D * sizeof(*value);
  const Offset sums_stride = static_cast<Offset>(work.heads) * work.D;
  const int64_t image = work.first_image + blockIdx.y;
  const char* map = reinterpret_cast<const char*>(value) + image * work.S * work.M * work.D * sizeof(*value);
  T* map_sums = sums == nullptr ? nullptr : sums + (image - work.sums_image) * work.S * work.heads * work.D;
  const Item item(work, image, V::LANES);
  const auto origin = geometry.origin(item.query);
  const StoredPoints<param_t> stored(points, weights, item.row, work.K);
  const auto* arriving = grad_output + item.row * work.D;

  // what most variants read only once
  word_t<typename V::Values> gradients = {};
  Portions<V> portions;
  const auto read_gradients = [&](int begin) {
    if (begin + lane * V::VECTOR < work.D) {
      gradients = load_word<typename V::Values>(arriving + begin + lane * V::VECTOR);
    }
    portions.load_from(arriving + begin, work.D - begin);
  };
  if constexpr (!V::ANY_SIZE) {
    read_gradients(0);
  }

  auto next = stored[lane % V::ROUND];
#pragma unroll 1
  for (int k = 0; k < work.K; k += V::ROUND) {
    const int own = k + lane % V::ROUND;
    const auto current = next;
    if (k + V::ROUND < work.K) {
      next = stored[own + V::ROUND];
    }
    Point<T> point;
    const Corners<T> mine = find_corners<T>(geometry, origin, min(own, work.K - 1), own < work.K, current, point);

    const auto dots_of = [&](int j) {
      Dots<T> dots = {};
      if (k + j >= work.K) {
        return dots;
      }
      const auto corners = broadcast<V::LANES>(mine, j);
      if (!corners.counts() || !item.exists) {
        return dots;
      }
      for (int begin = 0; begin < work.D; begin += V::LANES * V::VECTOR) {
        const int channel = begin + lane * V::VECTOR;
        if constexpr (V::ANY_SIZE) {
          read_gradients(begin);
        }
        if (grad_points != nullptr && channel < work.D) {
          const Offset first = (static_cast<Offset>(item.head) * work.D + channel) * sizeof(*value);
          add_products<V>(dots, gradients, map, CornerOffsets<Offset>(corners, stride, first));
        }
        if (map_sums != nullptr) {
          const Offset first = static_cast<Offset>(item.head - work.first_head) * work.D + begin;
          const CornerOffsets<Offset> offsets(corners, sums_stride, first);
          portions.add_to_sums(map_sums, offsets, corners.weight, work.D - begin);
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

    if (grad_points != nullptr && item.exists && lane < V::ROUND && own < work.K) {
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

}  // namespace shared_ops
