// Losses of a block of examples. Each turns the outputs into the gradient with respect to them, in place, and returns
// the sum of the examples' losses.

struct LossTerms {
    float hard, soft; // weights of label (or value) and target
    float temperature;
    float scale; // 1 / size of the whole batch
};

// One cross-entropy term, weight * T^2 * CE(truth, softmax(z / T)), of LANES examples at once: writes its gradient to
// `gradient`, or adds it to what is there, and returns the losses. `logits`, `exponentials` and `gradient` are
// (classes, LANES); `most` is the largest logit of each example, and truth(c) the probabilities of class c.
template <class Truth>
inline V cross_entropy(const float *logits, V most, int64_t classes, float weight, float temperature, float scale,
                       Truth truth, float *exponentials, float *gradient, bool add) {
    const float inverse = 1.0f / temperature, factor = weight * temperature * scale;
    V sum = {}, agreement = {};
    for (int64_t c = 0; c < classes; c++) {
        const V e = exponential((load(logits + c * LANES) - most) * inverse);
        store(exponentials + c * LANES, e);
        sum += e;
    }
    const V normaliser = factor / sum;
    for (int64_t c = 0; c < classes; c++) {
        const V y = truth(c);
        agreement += y * (load(logits + c * LANES) - most);
        float *const out = gradient + c * LANES;
        const V slope = load(exponentials + c * LANES) * normaliser - factor * y;
        store(out, add ? load(out) + slope : slope);
    }
    return weight * temperature * (temperature * logarithm(sum) - agreement);
}

// (1 - mixing) CE(label, softmax(z)) + mixing T^2 CE(target, softmax(z / T)); see ../../losses.py.
//
// LANES examples at a time are transposed, so that an example is a lane and nothing is summed across lanes. Rows of
// `outputs` after the last, up to a multiple of LANES, are overwritten. `scratch` holds four blocks of
// (padded classes, LANES).
inline double distillation(float *outputs, int64_t stride, int64_t rows, int64_t classes, const int32_t *examples,
                           const int64_t *labels, const float *targets, const LossTerms &terms, float *scratch) {
    const int64_t padded = (classes + 15) / 16 * 16, block = padded * LANES;
    float *const logits = scratch, *const target = logits + block, *const exponentials = target + block;
    float *const gradient = exponentials + block; // its rows after the last class stay 0
    V total = {};
    for (int64_t row = 0; row < rows; row += LANES) {
        const auto example = [&](int64_t lane) { // lanes after the last row repeat it, and do not count
            return int64_t(examples[std::min(row + lane, rows - 1)]);
        };
        for (int64_t c = 0; c < padded; c += LANES) {
            transpose_block([&](int i) { return load(outputs + (row + i) * stride + c); }, logits + c * LANES, LANES);
            if (terms.soft != 0.0f)
                transpose_block([&](int i) { return load_some(targets + example(i) * classes + c, classes - c); },
                                target + c * LANES, LANES);
        }
        V most = load(logits), loss = {};
        for (int64_t c = 1; c < classes; c++) most = maximum(most, load(logits + c * LANES));
        if (terms.hard != 0.0f) {
            I label;
            for (int lane = 0; lane < LANES; lane++) label[lane] = int32_t(labels[example(lane)]);
            loss += cross_entropy(logits, most, classes, terms.hard, 1.0f, terms.scale,
                                  [&](int64_t c) { return label == int32_t(c) ? splat(1.0f) : V{}; }, exponentials,
                                  gradient, false);
        }
        if (terms.soft != 0.0f)
            loss += cross_entropy(logits, most, classes, terms.soft, terms.temperature, terms.scale,
                                  [&](int64_t c) { return load(target + c * LANES); }, exponentials, gradient,
                                  terms.hard != 0.0f);
        if (rows - row < LANES)
            for (int64_t lane = rows - row; lane < LANES; lane++) loss[lane] = 0.0f;
        total += loss;
        for (int64_t c = 0; c < padded; c += LANES)
            transpose_block([&](int i) { return load(gradient + (c + i) * LANES); }, outputs + row * stride + c, stride);
    }
    return sum_of(total);
}

// Mean over outputs of (1 - mixing) (f - value)^2 + mixing (f - target)^2.
inline double squared_error(float *outputs, int64_t stride, int64_t rows, int64_t width, const int32_t *examples,
                            const float *values, const float *targets, const LossTerms &terms) {
        const float factor = 2.0f * terms.scale / float(width);
    if (width == 1) {
        float sum = 0.0f;
        for (int64_t row = 0; row < rows; row++) {
            float &output = outputs[row * stride];
            const float to_value = output - values[examples[row]], to_target = output - targets[examples[row]];
            sum += terms.hard * (to_value * to_value) + terms.soft * (to_target * to_target);
            output = factor * (terms.hard * to_value + terms.soft * to_target);
        }
        return double(sum);
    }
    V sum = {};
    for (int64_t row = 0; row < rows; row++, outputs += stride) {
        const float *const value = values + examples[row] * width, *const target = targets + examples[row] * width;
        for (int64_t c = 0; c < width; c += LANES) {
            const V to_value = load(outputs + c) - load_some(value + c, width - c);
            const V to_target = load(outputs + c) - load_some(target + c, width - c);
            sum += terms.hard * (to_value * to_value) + terms.soft * (to_target * to_target);
            store(outputs + c, factor * (terms.hard * to_value + terms.soft * to_target));
        }
    }
    return double(sum_of(sum)) / double(width);
}
