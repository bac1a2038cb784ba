// The half types as they lie in memory. PyTorch's own are classes whose conversions are ordinary functions, and an
// ordinary function that was compiled for a newer processor may end up serving an older one.
#pragma once

#include <cstdint>

namespace shared_ops {

struct BFloat16 {
  uint16_t bits;
};

struct Half {
  uint16_t bits;
};

}  // namespace shared_ops
