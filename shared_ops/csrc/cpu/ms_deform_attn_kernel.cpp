// Multi-scale deformable attention on the CPU: one unit of work per head of a query (forward) or per head (backward).
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <tuple>

#include "../ms_deform_attn.h"

// The same loops for the processors that are worth it; which one runs is chosen at run time.
#define SHARED_OPS_ISA baseline
#define SHARED_OPS_TARGET
#include "ms_deform_attn_loops.h"
#undef SHARED_OPS_ISA
#undef SHARED_OPS_TARGET

#if defined(__x86_64__) && defined(__GNUC__)
#define SHARED_OPS_X86

#define SHARED_OPS_ISA avx2
#define SHARED_OPS_TARGET __attribute__((target("avx2,fma,f16c")))
#include "ms_deform_attn_loops.h"
#undef SHARED_OPS_ISA
#undef SHARED_OPS_TARGET

#define SHARED_OPS_ISA avx512
#define SHARED_OPS_TARGET \
  __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#include "ms_deform_attn_loops.h"
#undef SHARED_OPS_ISA
#undef SHARED_OPS_TARGET
#endif

namespace shared_ops {
namespace {

enum class Isa { baseline, avx2, avx512 };

// The best that this processor has, or less where ATEN_CPU_CAPABILITY (default, avx2), PyTorch's own switch, says so.
Isa detect_isa() {
#ifdef SHARED_OPS_X86
  const char* variable = std::getenv("ATEN_CPU_CAPABILITY");
  const std::string_view limit = variable == nullptr ? "" : variable;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && limit != "default";
  if (avx2 && limit != "avx2" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return Isa::avx512;
  }
  if (avx2) {
    return Isa::avx2;
  }
#endif
  return Isa::baseline;
}

const Isa kIsa = detect_isa();

// Calls the loops `name` that were compiled for this processor.
#ifdef SHARED_OPS_X86
#define SHARED_OPS_CALL(name, ...)                 \
  (kIsa == Isa::avx512 ? avx512::name(__VA_ARGS__) \
   : kIsa == Isa::avx2 ? avx2::name(__VA_ARGS__)   \
                       : baseline::name(__VA_ARGS__))
#else
#define SHARED_OPS_CALL(name, ...) baseline::name(__VA_ARGS__)
#endif

// Fewer samples than this are not worth another thread.
constexpr int64_t kSamplesPerThread = 4096;

Tensor ms_deform_attn(const Tensor& value, std::vector<int64_t> spatial_shapes, std::vector<int64_t> level_start_index,
                      const Tensor& sampling_locations, const Tensor& attention_weights) {
  const auto levels = check_levels(spatial_shapes, level_start_index, value.size(1));
  const Sizes s = check_sizes(value, sampling_locations, attention_weights, levels.size());
  const Tensor v = torch::stable::contiguous(value), locations = torch::stable::contiguous(sampling_locations),
               weights = torch::stable::contiguous(attention_weights);
  Tensor output = torch::stable::new_empty(value, {s.N, s.Lq, s.M * s.D});
  const int64_t grain = std::max<int64_t>(1, kSamplesPerThread / std::max<int64_t>(1, s.L * s.P));
  dispatch(value, [&](auto zero) {
    using scalar_t = decltype(zero);
    using T = compute_t<scalar_t>;
    const auto* v_data = v.const_data_ptr<scalar_t>();
    const auto *l_data = locations.const_data_ptr<T>(), *w_data = weights.const_data_ptr<T>();
    auto* out_data = output.mutable_data_ptr<scalar_t>();
    torch::stable::parallel_for(0, s.N * s.Lq * s.M, grain, [&](int64_t begin, int64_t end) {
      SHARED_OPS_CALL(forward, s, levels.data(), v_data, l_data, w_data, out_data, begin, end);
    });
  });
  return output;
}

std::tuple<Tensor, Tensor, Tensor> ms_deform_attn_backward(const Tensor& grad_output, const Tensor& value,
                                                           std::vector<int64_t> spatial_shapes,
                                                           std::vector<int64_t> level_start_index,
                                                           const Tensor& sampling_locations,
                                                           const Tensor& attention_weights) {
  const auto levels = check_levels(spatial_shapes, level_start_index, value.size(1));
  const Sizes s = check_sizes(value, sampling_locations, attention_weights, levels.size());
  check_grad_output(grad_output, value, s);
  const Tensor grad = torch::stable::contiguous(grad_output), v = torch::stable::contiguous(value),
               locations = torch::stable::contiguous(sampling_locations),
               weights = torch::stable::contiguous(attention_weights);
  Tensor grad_value = torch::stable::new_empty(value, value.sizes());
  Tensor grad_locations = torch::stable::new_empty(sampling_locations, sampling_locations.sizes());
  Tensor grad_weights = torch::stable::new_empty(attention_weights, attention_weights.sizes());
  dispatch(value, [&](auto zero) {
    using scalar_t = decltype(zero);
    using T = compute_t<scalar_t>;
    const auto *g_data = grad.const_data_ptr<scalar_t>(), *v_data = v.const_data_ptr<scalar_t>();
    const auto *l_data = locations.const_data_ptr<T>(), *w_data = weights.const_data_ptr<T>();
    auto* gv_data = grad_value.mutable_data_ptr<scalar_t>();
    auto *gl_data = grad_locations.mutable_data_ptr<T>(), *gw_data = grad_weights.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, s.N * s.M, 1, [&](int64_t begin, int64_t end) {
      SHARED_OPS_CALL(backward, s, levels.data(), g_data, v_data, l_data, w_data, gv_data, gl_data, gw_data, begin,
                      end);
    });
  });
  return {grad_value, grad_locations, grad_weights};
}

}  // namespace
}  // namespace shared_ops

// For `python -m shared_ops`.
extern "C" __attribute__((visibility("default"))) const char* shared_ops_instruction_set() {
  switch (shared_ops::kIsa) {
    case shared_ops::Isa::avx512:
      return "AVX-512";
    case shared_ops::Isa::avx2:
      return "AVX2";
    default:
      return "baseline";
  }
}

STABLE_TORCH_LIBRARY_IMPL(shared_ops, CPU, m) {
  m.impl("ms_deform_attn", TORCH_BOX(&shared_ops::ms_deform_attn));
  m.impl("_ms_deform_attn_backward", TORCH_BOX(&shared_ops::ms_deform_attn_backward));
}
