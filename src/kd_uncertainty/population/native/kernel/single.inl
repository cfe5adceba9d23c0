// A layer with a single output, as regression has: as a matrix product it would use one lane of each vector. Here the
// lanes hold its inputs. `inputs` are (rows, stride), `weights` and `gradient` a padded row of as many floats.

// Lane r of the result is the sum of all lanes of parts[r].
inline V sums_of(V (&parts)[LANES]) {
    UNROLL for (int i = 0; i < LANES; i += 2) exchange<1>(parts[i], parts[i + 1]), parts[i] += parts[i + 1];
    UNROLL for (int i = 0; i < LANES; i += 4) exchange<2>(parts[i], parts[i + 2]), parts[i] += parts[i + 2];
#if LANES >= 8
    UNROLL for (int i = 0; i < LANES; i += 8) exchange<4>(parts[i], parts[i + 4]), parts[i] += parts[i + 4];
#endif
#if LANES >= 16
    exchange<8>(parts[0], parts[8]), parts[0] += parts[8];
#endif
    return parts[0];
}

// out[row] = inputs[row] . weights + bias. Rows after the last, up to a multiple of LANES, are written too.
inline void single_forward(const float *inputs, int64_t stride, int64_t rows, int64_t padded, const float *weights,
                           float bias, float *out) {
    for (int64_t row = 0; row < rows; row += LANES, inputs += LANES * stride) {
        V parts[LANES] = {};
        for (int64_t c = 0; c < padded; c += LANES) {
            const V w = load(weights + c);
            UNROLL for (int r = 0; r < LANES; r++) parts[r] += load(inputs + r * stride + c) * w;
        }
        store(out + row, sums_of(parts) + bias);
    }
}

// From the outputs' gradient to that of the weights, added to `gradient`, and that of the inputs, in their place (where
// they were positive, if a ReLU made them); returns the bias's.
inline float single_backward(float *inputs, int64_t stride, int64_t rows, int64_t padded, const float *weights,
                             bool relu, bool inner, const float *out, float *gradient) {
    V slopes = {};
    int64_t first = 0;
    for (; first + LANES <= rows; first += LANES) slopes += load(out + first);
    float bias = sum_of(slopes);
    for (; first < rows; first++) bias += out[first];
    for (int64_t c = 0; c < padded; c += LANES) {
        const V w = load(weights + c);
        V sums[4] = {};
        const auto take = [&](int64_t row, V &sum) {
            const float slope = out[row];
            const V x = load(inputs + row * stride + c);
            sum += slope * x;
            if (inner) store(inputs + row * stride + c, !relu ? slope * w : x > 0.0f ? slope * w : V{});
        };
        int64_t row = 0;
        for (; row + 4 <= rows; row += 4) UNROLL for (int r = 0; r < 4; r++) take(row + r, sums[r]);
        for (; row < rows; row++) take(row, sums[0]);
        store(gradient + c, load(gradient + c) + ((sums[0] + sums[1]) + (sums[2] + sums[3])));
    }
    return bias;
}
