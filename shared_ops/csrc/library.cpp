// The schemas of the operators. What a compiler may leave open until an image arrives is a symbolic integer. Whether a
// backward must always add in the same order is an argument, because the stable ABI has no way to ask PyTorch. A
// gradient that output_mask does not ask for has no elements.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY_FRAGMENT(shared_ops, m) {
  m.def(
      "ms_deform_attn(Tensor value, SymInt[] spatial_shapes, SymInt[] level_start_index, Tensor sampling_locations, "
      "Tensor attention_weights) -> Tensor");
  m.def(
      "_ms_deform_attn_backward(Tensor grad_output, Tensor value, SymInt[] spatial_shapes, "
      "SymInt[] level_start_index, Tensor sampling_locations, Tensor attention_weights, bool[3] output_mask, "
      "bool deterministic=False) -> (Tensor, Tensor, Tensor)");
  m.def(
      "dcnv3(Tensor input, Tensor offset, Tensor mask, int[] kernel_size, int[] stride, int[] padding, "
      "int[] dilation, int groups, float offset_scale) -> Tensor");
  m.def(
      "_dcnv3_backward(Tensor grad_output, Tensor input, Tensor offset, Tensor mask, int[] kernel_size, int[] stride, "
      "int[] padding, int[] dilation, int groups, float offset_scale, bool[3] output_mask, "
      "bool deterministic=False) -> (Tensor, Tensor, Tensor)");
}
