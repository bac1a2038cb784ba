// Both operators on the CPU: arguments to a problem, a problem to the loops of this processor, in tiles over threads.
#include "../operators.h"

#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "problem.h"

namespace shared_ops {
namespace {

// The best that this processor has, or less where ATEN_CPU_CAPABILITY (default, avx2), PyTorch's own switch, says so.
const Loops& choose_loops() {
#ifdef SHARED_OPS_X86
  const char* variable = std::getenv("ATEN_CPU_CAPABILITY");
  const std::string_view limit = variable == nullptr ? "" : variable;
  // every processor that has AVX2 has F16C, for which older compilers cannot ask
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && limit != "default";
  if (has_avx2 && limit != "avx2" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return avx512::kLoops;
  }
  if (has_avx2) {
    return avx2::kLoops;
  }
#endif
  return baseline::kLoops;
}

const Loops& kLoops = choose_loops();

Type type_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case ScalarType::Double:
      return Type::float64;
    case ScalarType::Half:
      return Type::float16;
    case ScalarType::BFloat16:
      return Type::bfloat16;
    default:
      return Type::float32;
  }
}

// Fewer samples than this are not worth another thread.
constexpr int64_t kSamplesPerThread = 4096;
// All heads of a query are placed at once, unless they have more points than this.
constexpr int64_t kPointsAtOnce = 1024;
constexpr int64_t kQueriesAtOnce = 64;
// What the sums that neighbouring queries add to may take of a core's own cache, and how many rows of every map that
// is: learned offsets of attention reach some pixels, those of a convolution lie closer around its kernel.
constexpr int64_t kColumnBytes = 700 * 1024;
constexpr int64_t kAttentionRows = 16, kWindowRows = 4;
// Sums of a column that are not worth saving.
constexpr int64_t kSmallColumn = 256 * 1024;  // bytes

// The tensors as the loops read them. They must outlive the problem that points into them.
struct Inputs {
  Inputs(const Tensor& value, const Tensor& points, const Tensor& weights)
      : value(torch::stable::contiguous(value)),
        points(torch::stable::contiguous(points)),
        weights(torch::stable::contiguous(weights)) {}
  const Tensor value, points, weights;
};

// Chooses how the gradient of the values is split over threads: as many heads at a time as fit a core's cache, but no
// more than leaves every thread as much work. Sums of half types are wider than what they are rounded to: there, fewer
// heads, so that all of it takes about half of the memory that float32 takes.
void choose_columns(Problem& problem) {
  const Sizes& s = problem.sizes;
  const int64_t threads = torch::stable::get_num_threads();
  const auto fills_threads = [&](int64_t units) { return units % threads == 0 || units >= 8 * threads; };
  const auto units_of = [&](int64_t heads) { return s.N * Problem::groups(s.M, heads); };

  const WindowAxis& y = problem.window.y;
  const int64_t window_rows = kWindowRows + (y.kernel - 1) * int64_t{y.dilation};
  int64_t pixels = problem.window.x.size * std::min<int64_t>(y.size, window_rows);
  for (int64_t l = 0; l < problem.level_count; ++l) {
    pixels += problem.levels[l].width * std::min<int64_t>(problem.levels[l].height, kAttentionRows);
  }
  // of the sums of a head and pixel, which fill whole vectors of any size
  const int64_t bytes =
      Problem::groups(s.D * (problem.type == Type::float64 ? sizeof(double) : sizeof(float)), 64) * 64;
  // divided one by one: the product of all of them might overflow
  int64_t heads = std::clamp<int64_t>(kColumnBytes / bytes / pixels, 1, s.M);
  if (problem.type == Type::float16 || problem.type == Type::bfloat16) {
    const int64_t tensors = 2 * s.N * s.M * ((s.S + s.Q) * s.D + s.Q * s.K * 3);  // bytes
    const int64_t spare = std::max(tensors / 5 / threads, kSmallColumn) / bytes / s.S;
    heads = std::clamp<int64_t>(spare + heads / 2, 1, heads);
  }
  while (heads > 1 && !fills_threads(units_of(heads))) {
    --heads;
  }
  heads = Problem::groups(s.M, Problem::groups(s.M, heads));  // as even as it gets
  problem.column_heads = heads;

  // Every band goes through all points, so there are no more of them than threads that would have nothing to do.
  const int64_t units = std::max<int64_t>(1, units_of(heads));
  problem.bands = std::clamp<int64_t>(threads / units, 1, s.S);
}

Problem make_problem(const Sizes& s, const Inputs& inputs) {
  Problem problem{};
  problem.sizes = s;
  problem.type = type_of(inputs.value);
  problem.points_type = type_of(inputs.points);
  problem.value = inputs.value.const_data_ptr();
  problem.points = inputs.points.const_data_ptr();
  problem.weights = inputs.weights.const_data_ptr();
  problem.tile_heads = std::clamp<int64_t>(kPointsAtOnce / s.K, 1, s.M);
  const int64_t shares = 4 * static_cast<int64_t>(torch::stable::get_num_threads());
  problem.tile_queries =
      std::clamp<int64_t>(s.N * s.Q * Problem::groups(s.M, problem.tile_heads) / shares, 1, kQueriesAtOnce);
  return problem;
}

Problem make_problem(const Attention& attention, const Inputs& inputs) {
  Problem problem = make_problem(attention.sizes, inputs);
  problem.levels = attention.levels.data();
  problem.level_count = static_cast<int64_t>(attention.levels.size());
  return problem;
}

Problem make_problem(const Convolution& convolution, const Inputs& inputs) {
  Problem problem = make_problem(convolution.sizes, inputs);
  problem.window = convolution.window;
  return problem;
}

void run(const Problem& problem, int64_t units, int64_t samples,
         void (*loop)(const Problem&, int64_t begin, int64_t end)) {
  if (units == 0) {
    return;
  }
  const int64_t grain = std::max<int64_t>(1, kSamplesPerThread * units / std::max<int64_t>(1, samples));
  torch::stable::parallel_for(0, units, grain, [&](int64_t begin, int64_t end) { loop(problem, begin, end); });
}

Tensor forward(Problem& problem, const Tensor& value, const std::vector<int64_t>& shape) {
  Tensor output = torch::stable::new_empty(value, shape);
  problem.output = output.mutable_data_ptr();
  const Sizes& s = problem.sizes;
  run(problem, problem.tiles(), s.N * s.Q * s.M * s.K, kLoops.forward);
  return output;
}

std::tuple<Tensor, Tensor, Tensor> backward(Problem& problem, const Wanted& wanted, const Tensor& grad_output,
                                            const Tensor& value, const Tensor& points, const Tensor& weights) {
  const Tensor grad = torch::stable::contiguous(grad_output);
  Tensor grad_value = new_if(wanted.value, value);
  Tensor grad_points = new_if(wanted.places(), points), grad_weights = new_if(wanted.places(), weights);
  problem.grad_output = grad.const_data_ptr();
  problem.grad_value = grad_value.mutable_data_ptr();
  problem.grad_points = grad_points.mutable_data_ptr();
  problem.grad_weights = grad_weights.mutable_data_ptr();
  choose_columns(problem);
  const Sizes& s = problem.sizes;
  const int64_t samples = s.N * s.Q * s.M * s.K;
  if (wanted.places()) {
    run(problem, problem.tiles(), samples, kLoops.backward_points);
  }
  if (wanted.value) {
    run(problem, problem.columns(), samples + s.N * s.S * s.M, kLoops.backward_value);
  }
  return {grad_value, wanted.points ? grad_points : new_if(false, points),
          wanted.weights ? grad_weights : new_if(false, weights)};
}

Tensor ms_deform_attn(const Tensor& value, std::vector<int64_t> spatial_shapes, std::vector<int64_t> level_start_index,
                      const Tensor& sampling_locations, const Tensor& attention_weights) {
  const auto attention =
      check_attention(value, spatial_shapes, level_start_index, sampling_locations, attention_weights);
  const Inputs inputs(value, sampling_locations, attention_weights);
  Problem problem = make_problem(attention, inputs);
  return forward(problem, value, attention.output_shape);
}

std::tuple<Tensor, Tensor, Tensor> ms_deform_attn_backward(const Tensor& grad_output, const Tensor& value,
                                                           std::vector<int64_t> spatial_shapes,
                                                           std::vector<int64_t> level_start_index,
                                                           const Tensor& sampling_locations,
                                                           const Tensor& attention_weights,
                                                           std::vector<bool> output_mask, bool /*deterministic*/) {
  const auto attention =
      check_attention(value, spatial_shapes, level_start_index, sampling_locations, attention_weights);
  check_grad_output("ms_deform_attn", grad_output, value, attention.output_shape);
  const Inputs inputs(value, sampling_locations, attention_weights);
  Problem problem = make_problem(attention, inputs);
  return backward(problem, {"ms_deform_attn", output_mask}, grad_output, value, sampling_locations, attention_weights);
}

Tensor dcnv3(const Tensor& input, const Tensor& offset, const Tensor& mask, std::vector<int64_t> kernel_size,
             std::vector<int64_t> stride, std::vector<int64_t> padding, std::vector<int64_t> dilation, int64_t groups,
             double offset_scale) {
  const auto convolution =
      check_convolution(input, offset, mask, kernel_size, stride, padding, dilation, groups, offset_scale);
  const Inputs inputs(input, offset, mask);
  Problem problem = make_problem(convolution, inputs);
  return forward(problem, input, convolution.output_shape);
}

std::tuple<Tensor, Tensor, Tensor> dcnv3_backward(const Tensor& grad_output, const Tensor& input, const Tensor& offset,
                                                  const Tensor& mask, std::vector<int64_t> kernel_size,
                                                  std::vector<int64_t> stride, std::vector<int64_t> padding,
                                                  std::vector<int64_t> dilation, int64_t groups, double offset_scale,
                                                  std::vector<bool> output_mask, bool /*deterministic*/) {
  const auto convolution =
      check_convolution(input, offset, mask, kernel_size, stride, padding, dilation, groups, offset_scale);
  check_grad_output("dcnv3", grad_output, input, convolution.output_shape);
  const Inputs inputs(input, offset, mask);
  Problem problem = make_problem(convolution, inputs);
  return backward(problem, {"dcnv3", output_mask}, grad_output, input, offset, mask);
}

}  // namespace
}  // namespace shared_ops

// For `python -m shared_ops`.
extern "C" __attribute__((visibility("default"))) const char* shared_ops_instruction_set() {
#ifdef SHARED_OPS_X86
  if (&shared_ops::kLoops == &shared_ops::avx512::kLoops) {
    return "AVX-512";
  }
  if (&shared_ops::kLoops == &shared_ops::avx2::kLoops) {
    return "AVX2";
  }
#endif
  return "baseline";
}

STABLE_TORCH_LIBRARY_IMPL(shared_ops, CPU, m) {
  m.impl("ms_deform_attn", TORCH_BOX(&shared_ops::ms_deform_attn));
  m.impl("_ms_deform_attn_backward", TORCH_BOX(&shared_ops::ms_deform_attn_backward));
  m.impl("dcnv3", TORCH_BOX(&shared_ops::dcnv3));
  m.impl("_dcnv3_backward", TORCH_BOX(&shared_ops::dcnv3_backward));
}
