// The CUDA kernels of shared_ops, with all that launches them, compiled for the CPU and registered under the name
// EMULATION.
#include <cuda_runtime.h>
#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/library.h>

#include <cstdlib>

// What PyTorch's CUDA library has.
extern "C" AOTITorchError aoti_torch_get_current_cuda_stream(int32_t, void** stream) {
  *stream = nullptr;
  return 0;
}
extern "C" AOTITorchError torch_c10_cuda_check_msg(int32_t, const char*, const char*, uint32_t, bool, char** message) {
  *message = nullptr;
  return 0;
}
extern "C" void torch_c10_cuda_free_error_msg(char*) {}

// The kernels' own registration must not take the place of real ones.
#undef STABLE_TORCH_LIBRARY_IMPL
#define STABLE_TORCH_LIBRARY_IMPL(ns, key, m) \
  [[maybe_unused]] static void C10_CONCATENATE(not_registered_, __COUNTER__)(torch::stable::detail::StableLibrary & m)

#include "dcnv3_backward.cu"
#include "dcnv3_forward.cu"
#include "ms_deform_attn_backward.cu"
#include "ms_deform_attn_forward.cu"

STABLE_TORCH_LIBRARY(EMULATION, m) {
  m.def(
      "ms_deform_attn(Tensor value, int[] spatial_shapes, int[] level_start_index, Tensor sampling_locations, "
      "Tensor attention_weights) -> Tensor");
  m.def(
      "ms_deform_attn_backward(Tensor grad_output, Tensor value, int[] spatial_shapes, int[] level_start_index, "
      "Tensor sampling_locations, Tensor attention_weights, bool[3] output_mask, bool deterministic) -> (Tensor, "
      "Tensor, Tensor)");
  m.def(
      "dcnv3(Tensor input, Tensor offset, Tensor mask, int[] kernel_size, int[] stride, int[] padding, "
      "int[] dilation, int groups, float offset_scale) -> Tensor");
  m.def(
      "dcnv3_backward(Tensor grad_output, Tensor input, Tensor offset, Tensor mask, int[] kernel_size, int[] stride, "
      "int[] padding, int[] dilation, int groups, float offset_scale, bool[3] output_mask, bool deterministic) -> "
      "(Tensor, Tensor, Tensor)");
}

#define SERVE(name) m.impl(#name, &shared_ops::serve<"shared_ops::_plain_" #name, TORCH_BOX(&shared_ops::name)>)
_STABLE_TORCH_LIBRARY_IMPL(EMULATION, CPU, m, real) {
  SERVE(ms_deform_attn);
  SERVE(ms_deform_attn_backward);
  SERVE(dcnv3);
  SERVE(dcnv3_backward);
}

// Chooses the device; returns how many kernels were launched since it was last chosen.
extern "C" __attribute__((visibility("default"))) int choose_device(int capability, int multiprocessors) {
  emulation::device = {capability, multiprocessors};
  return std::exchange(emulation::launches, 0);
}
