// The loops of multi-scale deformable attention on the CPU. Included once per instruction set, with
// SHARED_OPS_ISA naming a namespace and SHARED_OPS_TARGET the compiler's attribute.

namespace shared_ops::SHARED_OPS_ISA {

// Where the rows of the four corner pixels lie. A corner outside of the map gets a row of its own, so that the loops
// over channels need not ask.
template <typename row_t, typename T>
SHARED_OPS_TARGET inline void corner_rows(const Bilinear<T>& point, row_t* map, int64_t stride, row_t* outside,
                                          row_t* (&rows)[kCorners]) {
  for (int k = 0; k < kCorners; ++k) {
    rows[k] = point.pixel[k] == kOutside ? outside : map + point.pixel[k] * stride;
  }
}

// Computes the outputs `begin` to `end` of the N * Lq * M heads of queries.
template <typename scalar_t>
SHARED_OPS_TARGET void forward(const Sizes& s, const Level* levels, const scalar_t* value,
                               const compute_t<scalar_t>* locations, const compute_t<scalar_t>* weights,
                               scalar_t* output, int64_t begin, int64_t end) {
  using T = compute_t<scalar_t>;
  const int64_t D = s.D, stride = s.M * s.D;
  const std::vector<scalar_t> zeros(D, scalar_t(0));
  std::vector<T> sums(D);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t n = i / (s.Lq * s.M), m = i % s.M;
    T* __restrict__ sum = sums.data();
    std::fill(sums.begin(), sums.end(), T(0));
    for (int64_t l = 0; l < s.L; ++l) {
      const Level& level = levels[l];
      const scalar_t* map = value + ((n * s.S + level.start) * s.M + m) * D;
      for (int64_t p = 0; p < s.P; ++p) {
        const int64_t at = (i * s.L + l) * s.P + p;
        Bilinear<T> point;
        if (!locate(to_pixels(locations[2 * at + 1], level.height), to_pixels(locations[2 * at], level.width),
                    level.height, level.width, point)) {
          continue;
        }
        const scalar_t* rows[kCorners];
        corner_rows(point, map, stride, zeros.data(), rows);
        const scalar_t* __restrict__ v0 = rows[0], * __restrict__ v1 = rows[1];
        const scalar_t* __restrict__ v2 = rows[2], * __restrict__ v3 = rows[3];
        const T w0 = weights[at] * point.weight[0], w1 = weights[at] * point.weight[1];
        const T w2 = weights[at] * point.weight[2], w3 = weights[at] * point.weight[3];
        for (int64_t c = 0; c < D; ++c) {
          sum[c] += w0 * static_cast<T>(v0[c]) + w1 * static_cast<T>(v1[c]) + w2 * static_cast<T>(v2[c]) +
                    w3 * static_cast<T>(v3[c]);
        }
      }
    }
    scalar_t* __restrict__ out = output + i * D;
    for (int64_t c = 0; c < D; ++c) {
      out[c] = static_cast<scalar_t>(sum[c]);
    }
  }
}

// Computes all gradients of the heads `begin` to `end` of the N * M heads. Queries that sample the same pixel add to
// the same gradient; one call goes through them in order, so the sum does not depend on the number of threads.
template <typename scalar_t>
SHARED_OPS_TARGET void backward(const Sizes& s, const Level* levels, const scalar_t* grad_output, const scalar_t* value,
                                const compute_t<scalar_t>* locations, const compute_t<scalar_t>* weights,
                                scalar_t* grad_value, compute_t<scalar_t>* grad_locations,
                                compute_t<scalar_t>* grad_weights, int64_t begin, int64_t end) {
  using T = compute_t<scalar_t>;
  const int64_t D = s.D, stride = s.M * s.D;
  const std::vector<scalar_t> zeros(D, scalar_t(0));
  std::vector<T> grads(D), unused(D), head_gradient(s.S * D);
  for (int64_t head = begin; head < end; ++head) {
    const int64_t n = head / s.M, m = head % s.M;
    std::fill(head_gradient.begin(), head_gradient.end(), T(0));
    for (int64_t q = 0; q < s.Lq; ++q) {
      const int64_t i = (n * s.Lq + q) * s.M + m;
      T* __restrict__ grad = grads.data();
      for (int64_t c = 0; c < D; ++c) {
        grad[c] = static_cast<T>(grad_output[i * D + c]);
      }
      for (int64_t l = 0; l < s.L; ++l) {
        const Level& level = levels[l];
        const scalar_t* map = value + ((n * s.S + level.start) * s.M + m) * D;
        for (int64_t p = 0; p < s.P; ++p) {
          const int64_t at = (i * s.L + l) * s.P + p;
          Bilinear<T> point;
          if (!locate(to_pixels(locations[2 * at + 1], level.height), to_pixels(locations[2 * at], level.width),
                      level.height, level.width, point)) {
            grad_weights[at] = grad_locations[2 * at] = grad_locations[2 * at + 1] = T(0);
            continue;
          }
          const scalar_t* rows[kCorners];
          corner_rows(point, map, stride, zeros.data(), rows);
          T* grad_rows[kCorners];
          corner_rows(point, head_gradient.data() + level.start * D, D, unused.data(), grad_rows);

          T dot[kCorners];
          for (int k = 0; k < kCorners; ++k) {
            const scalar_t* __restrict__ v = rows[k];
            T* __restrict__ g = grad_rows[k];
            const T w = weights[at] * point.weight[k];
            T sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t c = 0; c < D; ++c) {
              sum += grad[c] * static_cast<T>(v[c]);
              g[c] += w * grad[c];
            }
            dot[k] = sum;
          }
          const SampleGradient<T> gradient = differentiate(point, dot);
          grad_weights[at] = gradient.sample;
          grad_locations[2 * at] = weights[at] * static_cast<T>(level.width) * gradient.column;
          grad_locations[2 * at + 1] = weights[at] * static_cast<T>(level.height) * gradient.row;
        }
      }
    }
    for (int64_t position = 0; position < s.S; ++position) {
      scalar_t* __restrict__ row = grad_value + ((n * s.S + position) * s.M + m) * D;
      for (int64_t c = 0; c < D; ++c) {
        row[c] = static_cast<scalar_t>(head_gradient[position * D + c]);
      }
    }
  }
}

}  // namespace shared_ops::SHARED_OPS_ISA
