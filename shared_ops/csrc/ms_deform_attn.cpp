// The schemas of multi-scale deformable attention. Shapes and level starts are symbolic integers, so that
// torch.compile need not fix the size of an image.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY_FRAGMENT(shared_ops, m) {
  m.def(
      "ms_deform_attn(Tensor value, SymInt[] spatial_shapes, SymInt[] level_start_index, Tensor sampling_locations, "
      "Tensor attention_weights) -> Tensor");
  m.def(
      "_ms_deform_attn_backward(Tensor grad_output, Tensor value, SymInt[] spatial_shapes, "
      "SymInt[] level_start_index, Tensor sampling_locations, Tensor attention_weights) -> (Tensor, Tensor, Tensor)");
}
