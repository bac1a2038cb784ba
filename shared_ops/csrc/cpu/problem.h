// What the loops on the CPU are given: a plain structure, so that the loops, which are compiled for every instruction
// set, need nothing of PyTorch.
#pragma once

#include <cstdint>

#include "../geometry.h"

namespace shared_ops {

enum class Type { float32, float64, float16, bfloat16 };

struct Problem {
  Sizes sizes;
  Type type;         // of value, output and their gradients
  Type points_type;  // of points, weights and their gradients: `type`, or float32

  // one of these: attention has levels, a convolution has none
  const Level* levels;
  int64_t level_count;
  Window window;

  const void *value, *points, *weights, *grad_output;
  void *output, *grad_value, *grad_points, *grad_weights;

  // Outputs and the gradients of points are handed out in tiles: some heads of some neighbouring queries of an image.
  int64_t tile_heads, tile_queries;
  // The gradient of the values is handed out in columns: some heads of a band of the S pixels of an image.
  int64_t column_heads, bands;

  int64_t tiles() const { return sizes.N * groups(sizes.M, tile_heads) * groups(sizes.Q, tile_queries); }
  int64_t columns() const { return sizes.N * groups(sizes.M, column_heads) * bands; }

  static SHARED_OPS_INLINE int64_t groups(int64_t count, int64_t size) { return (count + size - 1) / size; }
};

// The loops for one instruction set. Every one of them computes the units `begin` to `end`; units do not share results.
struct Loops {
  void (*forward)(const Problem&, int64_t begin, int64_t end);          // tiles of the output
  void (*backward_points)(const Problem&, int64_t begin, int64_t end);  // tiles of grad_points and grad_weights
  void (*backward_value)(const Problem&, int64_t begin, int64_t end);   // columns of grad_value
};

namespace baseline {
extern const Loops kLoops;
}
namespace avx2 {
extern const Loops kLoops;
}
namespace avx512 {
extern const Loops kLoops;
}

}  // namespace shared_ops
