// A batch of one example under SGD: its gradient is a product of two vectors, which need never be written down. One pass
// over a layer's parameters gives the gradient of the layer's inputs, the new moments and the new parameters; with a
// matrix of gradients and a transposed copy of the weights, as larger batches have, they are passed over five times.

struct OneExample {
    const OptimiserStep &step;
    const float *inner; // the layer's inputs
    int64_t inputs;
    bool bias;
};

// W vectors of columns: parameters `p` and their moments `m` are (inputs + 1, stride), the last row the biases; `slopes`
// is the gradient of these outputs. Adds what they give for the inputs' gradient to `sums`, a whole number of vectors.
template <int W, bool has_momentum>
void one_strip(const OneExample &one, const float *slopes, float *p, float *m, int64_t stride, float *sums) {
    const float momentum = one.step.momentum, rate = one.step.rate, decay = one.step.decay;
    V slope[W];
    UNROLL for (int w = 0; w < W; w++) slope[w] = load(slopes + w * LANES);
    const auto update = [&](int64_t row, float input) {
        V sum = {};
        UNROLL for (int w = 0; w < W; w++) {
            float *const at = p + row * stride + w * LANES, *const moment = m + row * stride + w * LANES;
            const V old = load(at);
            sum += old * slope[w];
            V g = input * slope[w] + decay * old;
            if (has_momentum) {
                g += momentum * load(moment);
                store(moment, g);
            }
            store(at, old - rate * g);
        }
        return sum;
    };
    for (int64_t row = 0; row < one.inputs; row += LANES) {
        V parts[LANES];
        UNROLL for (int r = 0; r < LANES; r++) parts[r] = row + r < one.inputs ? update(row + r, one.inner[row + r]) : V{};
        store(sums + row, load(sums + row) + sums_of(parts));
    }
    if (one.bias) update(one.inputs, 1.0f);
}

template <int W>
void one_strip(const OneExample &one, const float *slopes, float *p, float *m, int64_t stride, float *sums) {
    if (one.step.has_momentum)
        one_strip<W, true>(one, slopes, p, m, stride, sums);
    else
        one_strip<W, false>(one, slopes, p, m, stride, sums);
}

// All columns of a panel, a multiple of 16 and at most 64.
inline void one_panel(const OneExample &one, const float *slopes, float *p, float *m, int64_t columns, float *sums) {
    for (int64_t column = 0; column < columns; column += 4 * LANES) {
        const float *const s = slopes + column;
        switch (std::min<int64_t>(4, (columns - column) / LANES)) {
        case 4: one_strip<4>(one, s, p + column, m + column, columns, sums); break;
        case 3: one_strip<3>(one, s, p + column, m + column, columns, sums); break;
        case 2: one_strip<2>(one, s, p + column, m + column, columns, sums); break;
        default: one_strip<1>(one, s, p + column, m + column, columns, sums);
        }
    }
}
