// The loops of both operators, compiled once for every instruction set: SHARED_OPS_ISA names its namespace.
//
// Everything that is not in that namespace is inlined always: an inline function that is left over here may be linked
// in place of its twin for an older processor.
#include <cstring>

#include "problem.h"
#include "sampling.h"

namespace shared_ops::SHARED_OPS_ISA {
namespace {

struct Tile {
  int64_t image, first_head, heads, first_query, last_query;
};

// Tiles go through the queries first: neighbouring ones sample the same pixels.
inline Tile tile_at(const Problem& problem, int64_t index) {
  const Sizes& s = problem.sizes;
  const int64_t columns = Problem::groups(s.Q, problem.tile_queries);
  const int64_t rows = Problem::groups(s.M, problem.tile_heads);
  const int64_t column = index % columns, row = index / columns % rows;
  const int64_t head = row * problem.tile_heads, query = column * problem.tile_queries;
  const int64_t heads_left = s.M - head, queries_left = s.Q - query;
  return {index / columns / rows, head, heads_left < problem.tile_heads ? heads_left : problem.tile_heads, query,
          query + (queries_left < problem.tile_queries ? queries_left : problem.tile_queries)};
}

// Reads and places the points of some heads of a query.
template <typename Geometry, typename param_t, typename T>
struct Reader {
  Reader(const Problem& problem, int64_t heads)
      : sizes(problem.sizes),
        pairs(static_cast<const param_t*>(problem.points)),
        weights(static_cast<const param_t*>(problem.weights)),
        geometry(problem, heads),
        points(heads * problem.sizes.K) {}

  SHARED_OPS_INLINE void read(int64_t image, int64_t query, int64_t first_head, int64_t heads) {
    const int64_t at = ((image * sizes.Q + query) * sizes.M + first_head) * sizes.K;
    geometry.begin_query(query);
    place_points<T>(geometry, pairs + 2 * at, weights + at, heads * sizes.K, points);
  }

  const Sizes sizes;
  const param_t *pairs, *weights;
  Geometry geometry;
  Points<T> points;
};

template <typename scalar_t, typename param_t, template <typename> class Geometry>
void forward(const Problem& problem, int64_t begin, int64_t end) {
  using T = compute_t<scalar_t>;
  const Sizes s = problem.sizes;
  const int64_t channels = s.M * s.D;
  const auto* value = static_cast<const scalar_t*>(problem.value);
  auto* output = static_cast<scalar_t*>(problem.output);
  Reader<Geometry<T>, param_t, T> reader(problem, problem.tile_heads);
  for (int64_t index = begin; index < end; ++index) {
    const Tile tile = tile_at(problem, index);
    for (int64_t query = tile.first_query; query < tile.last_query; ++query) {
      reader.read(tile.image, query, tile.first_head, tile.heads);
      for (int64_t h = 0; h < tile.heads; ++h) {
        const scalar_t* map = value + tile.image * s.S * channels + (tile.first_head + h) * s.D;
        scalar_t* out = output + (tile.image * s.Q + query) * channels + (tile.first_head + h) * s.D;
        for_blocks<scalar_t>(s.D, [&](auto block, int64_t c) __attribute__((always_inline)) {
          sample(block, reader.points, h * s.K, (h + 1) * s.K, map + c, channels, out + c);
        });
      }
    }
  }
}

template <typename scalar_t, typename param_t, template <typename> class Geometry>
void backward_points(const Problem& problem, int64_t begin, int64_t end) {
  using T = compute_t<scalar_t>;
  const Sizes s = problem.sizes;
  const int64_t channels = s.M * s.D;
  const auto *value = static_cast<const scalar_t*>(problem.value),
             *grad_output = static_cast<const scalar_t*>(problem.grad_output);
  auto *grad_points = static_cast<param_t*>(problem.grad_points),
       *grad_weights = static_cast<param_t*>(problem.grad_weights);
  Reader<Geometry<T>, param_t, T> reader(problem, problem.tile_heads);
  const Points<T>& points = reader.points;
  Scratch<T> dots(4 * points.x.size());
  for (int64_t index = begin; index < end; ++index) {
    const Tile tile = tile_at(problem, index);
    const int64_t count = tile.heads * s.K;
    for (int64_t query = tile.first_query; query < tile.last_query; ++query) {
      reader.read(tile.image, query, tile.first_head, tile.heads);
      std::memset(dots, 0, 4 * count * sizeof(T));
      for (int64_t h = 0; h < tile.heads; ++h) {
        const scalar_t* map = value + tile.image * s.S * channels + (tile.first_head + h) * s.D;
        const scalar_t* grad = grad_output + (tile.image * s.Q + query) * channels + (tile.first_head + h) * s.D;
        for_blocks<scalar_t>(s.D, [&](auto block, int64_t c) __attribute__((always_inline)) {
          multiply(block, points, h * s.K, (h + 1) * s.K, map + c, channels, grad + c, static_cast<T*>(dots));
        });
      }
      const int64_t at = ((tile.image * s.Q + query) * s.M + tile.first_head) * s.K;
      write_gradients<T>(reader.geometry, points, dots, count, grad_points + 2 * at, grad_weights + at);
    }
  }
}

// A unit goes through all queries in their order and adds those points that fall into its column: what a pixel's
// gradient sums, and in which order, depends neither on the columns nor on the threads. The sums are taken in memory of
// their own, where they have the compute type, lie close together, and a head's channels fill whole vectors.
template <typename scalar_t, typename param_t, template <typename> class Geometry>
void backward_value(const Problem& problem, int64_t begin, int64_t end) {
  using T = compute_t<scalar_t>;
  const Sizes s = problem.sizes;
  const int64_t channels = s.M * s.D, columns = Problem::groups(s.M, problem.column_heads);
  const int64_t band_pixels = Problem::groups(s.S, problem.bands);
  const int64_t head_sums = Problem::groups(s.D, kLanes<T>) * kLanes<T>;
  const int64_t pixel_sums = problem.column_heads * head_sums;
  const auto* grad_output = static_cast<const scalar_t*>(problem.grad_output);
  auto* grad_value = static_cast<scalar_t*>(problem.grad_value);
  Reader<Geometry<T>, param_t, T> reader(problem, problem.column_heads);
  Scratch<T> memory(band_pixels * pixel_sums);
  T* const sums = memory;
  for (int64_t index = begin; index < end; ++index) {
    const int64_t image = index / problem.bands / columns;
    const int64_t first_head = index / problem.bands % columns * problem.column_heads;
    const int64_t heads = s.M - first_head < problem.column_heads ? s.M - first_head : problem.column_heads;
    const int64_t first = index % problem.bands * band_pixels;
    const int64_t last = s.S - first < band_pixels ? s.S : first + band_pixels;
    if (first >= last) {
      continue;
    }
    std::memset(sums, 0, (last - first) * pixel_sums * sizeof(T));
    for (int64_t query = 0; query < s.Q; ++query) {
      reader.read(image, query, first_head, heads);
      const scalar_t* grad = grad_output + (image * s.Q + query) * channels + first_head * s.D;
      for (int64_t h = 0; h < heads; ++h) {
        for_blocks<scalar_t>(s.D, [&](auto block, int64_t c) __attribute__((always_inline)) {
          spread(block, reader.points, h * s.K, (h + 1) * s.K, grad + h * s.D + c, sums + h * head_sums + c, pixel_sums,
                 first, last);
        });
      }
    }
    for (int64_t pixel = first; pixel < last; ++pixel) {
      const T* from = sums + (pixel - first) * pixel_sums;
      scalar_t* to = grad_value + (image * s.S + pixel) * channels + first_head * s.D;
      for (int64_t h = 0; h < heads; ++h) {
        for_blocks<scalar_t>(s.D, [&](auto block, int64_t c) __attribute__((always_inline)) {
          Vector<T> sum[decltype(block)::kVectors];
          Block<T, decltype(block)::kVectors>{}.load(from + h * head_sums + c, sum);
          block.store(to + h * s.D + c, sum);
        });
      }
    }
  }
}

// Calls f.operator()<scalar_t, param_t>() for the types of a problem.
template <typename F>
SHARED_OPS_INLINE void dispatch(const Problem& problem, const F& f) {
  const bool same = problem.type == problem.points_type;
  switch (problem.type) {
    case Type::float32:
      return f.template operator()<float, float>();
    case Type::float64:
      return f.template operator()<double, double>();
    case Type::float16:
      return same ? f.template operator()<Half, Half>() : f.template operator()<Half, float>();
    case Type::bfloat16:
      return same ? f.template operator()<BFloat16, BFloat16>() : f.template operator()<BFloat16, float>();
  }
}

#define SHARED_OPS_LOOPS(name)                                               \
  void dispatch_##name(const Problem& problem, int64_t begin, int64_t end) { \
    dispatch(problem, [&]<typename scalar_t, typename param_t>() {           \
      if (problem.levels != nullptr) {                                       \
        name<scalar_t, param_t, AttentionGeometry>(problem, begin, end);     \
      } else {                                                               \
        name<scalar_t, param_t, WindowGeometry>(problem, begin, end);        \
      }                                                                      \
    });                                                                      \
  }
SHARED_OPS_LOOPS(forward)
SHARED_OPS_LOOPS(backward_points)
SHARED_OPS_LOOPS(backward_value)

}  // namespace

extern const Loops kLoops = {dispatch_forward, dispatch_backward_points, dispatch_backward_value};

}  // namespace shared_ops::SHARED_OPS_ISA
