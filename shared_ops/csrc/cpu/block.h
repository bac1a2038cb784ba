// Blocks: some consecutive channels of a pixel, held in kVectors vectors of the compute type. Which channel lies in
// which lane is a block's own affair, the same in all of its loads and stores.
#pragma once

#include <cstdint>

#include "memory.h"

namespace shared_ops::SHARED_OPS_ISA {

template <typename scalar_t, int vectors>
struct Block {
  using T = compute_t<scalar_t>;
  static constexpr int kVectors = vectors;
  static constexpr int kChannels = vectors * kLanes<T>;

  SHARED_OPS_INLINE void load(const scalar_t* from, Vector<T> (&to)[vectors]) const {
    for (int i = 0; i < vectors; ++i) {
      to[i] = SHARED_OPS_ISA::load(from + i * kLanes<T>);
    }
  }
  SHARED_OPS_INLINE void store(scalar_t* to, const Vector<T> (&from)[vectors]) const {
    for (int i = 0; i < vectors; ++i) {
      SHARED_OPS_ISA::store(to + i * kLanes<T>, from[i]);
    }
  }
};

// Pairs of bfloat16 come as words of 32 bits: splitting those into the even and the odd channels is cheaper than
// widening one half of a vector after the other.
template <int vectors>
  requires(vectors % 2 == 0)
struct Block<BFloat16, vectors> {
  static constexpr int kVectors = vectors;
  static constexpr int kChannels = vectors * kLanes<float>;

  SHARED_OPS_INLINE void load(const BFloat16* from, FloatVector (&to)[vectors]) const {
    for (int i = 0; i < vectors; i += 2) {
      const WordVector pairs = read<WordVector>(from + i * kLanes<float>);
      to[i] = reinterpret_cast<FloatVector>(pairs << 16);
      to[i + 1] = reinterpret_cast<FloatVector>(pairs & 0xffff0000);
    }
  }
  SHARED_OPS_INLINE void store(BFloat16* to, const FloatVector (&from)[vectors]) const {
    for (int i = 0; i < vectors; i += 2) {
      const WordVector even = round_to_bfloat16(from[i]) >> 16;
      const WordVector odd = round_to_bfloat16(from[i + 1]) & 0xffff0000;
      write(to + i * kLanes<float>, even | odd);
    }
  }
};

// The last channels, which do not fill a vector.
template <typename scalar_t>
struct LastBlock {
  using T = compute_t<scalar_t>;
  static constexpr int kVectors = 1;
  int count;

  SHARED_OPS_INLINE void load(const scalar_t* from, Vector<T> (&to)[1]) const {
    to[0] = SHARED_OPS_ISA::load(from, count);
  }
  SHARED_OPS_INLINE void store(scalar_t* to, const Vector<T> (&from)[1]) const {
    SHARED_OPS_ISA::store(to, from[0], count);
  }
};

// Calls f(block, first channel) for blocks that cover D channels.
template <typename scalar_t, typename F>
SHARED_OPS_INLINE void for_blocks(int64_t D, const F& f) {
  constexpr int kWidth = kLanes<compute_t<scalar_t>>;
  int64_t channel = 0;
  for (; D - channel >= 4 * kWidth; channel += 4 * kWidth) {
    f(Block<scalar_t, 4>{}, channel);
  }
  if (D - channel >= 2 * kWidth) {
    f(Block<scalar_t, 2>{}, channel);
    channel += 2 * kWidth;
  }
  if (D - channel >= kWidth) {
    f(Block<scalar_t, 1>{}, channel);
    channel += kWidth;
  }
  if (channel < D) {
    f(LastBlock<scalar_t>{static_cast<int>(D - channel)}, channel);
  }
}

// --- sums over the lanes of four vectors ---

template <typename V, typename T>
SHARED_OPS_INLINE void add_lanes(const V (&v)[4], T* sums) {
  for (int k = 0; k < 4; ++k) {
    T sum = 0;
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      sum += v[k][lane];
    }
    sums[k] += sum;
  }
}

#if defined(__AVX2__)
// Adds neighbouring lanes of two vectors at a time, so that one vector ends with all four sums in four of its lanes.
SHARED_OPS_INLINE void add_lanes(const FloatVector (&v)[4], float* sums) {
#if defined(__AVX512F__)
  const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
  const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
  const __m512 all = _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
  const __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
#else
  const __m256 halves = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
#endif
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
  _mm_storeu_ps(sums, _mm_add_ps(_mm_loadu_ps(sums), four));
}
#endif

}  // namespace shared_ops::SHARED_OPS_ISA
