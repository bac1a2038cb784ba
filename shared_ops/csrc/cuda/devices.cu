// What `shared_ops/_library.py` asks the library.
#include "devices.cuh"

#define SHARED_OPS_EXPORT extern "C" __attribute__((visibility("default")))

// Versions of CUDA, 13000 being 13.0: of the runtime in this library, and the newest that the driver serves, 0 without
// a driver. Neither touches a device, so a process may still fork.
SHARED_OPS_EXPORT int shared_ops_cuda_runtime() { return CUDART_VERSION; }

SHARED_OPS_EXPORT int shared_ops_cuda_driver() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

SHARED_OPS_EXPORT int shared_ops_cuda_serves(int device) { return shared_ops::serves(device) ? 1 : 0; }
