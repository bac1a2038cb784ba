// What this library was made with, for `python -m shared_ops`.
extern "C" __attribute__((visibility("default"))) const char* shared_ops_build_info() { return SHARED_OPS_BUILD_INFO; }
