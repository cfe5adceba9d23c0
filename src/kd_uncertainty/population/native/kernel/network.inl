// A stack of Linear and ReLU layers: one student's training.

struct Layer {
    int64_t inputs, outputs, padded; // outputs padded to a multiple of 16
    int64_t offset;                  // of its parameters in a student's state
    int64_t stride;                  // of its activations: an odd multiple of 16 floats, since rows that are a power
                                     // of two apart compete for the same lines of the first-level cache
    bool relu, bias;

    int64_t panel_width(int64_t column) const { return std::min<int64_t>(64, padded - column); }
    float *panel(float *parameters, int64_t column) const { return parameters + offset + column * (inputs + 1); }
};

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// The memory of one thread, allocated once: it stays in the caches while student after student is trained.
struct Workspace {
    static constexpr int64_t most_rows = 128; // larger batches are cut, so that activations stay in the cache
    const kd_task &task;
    std::vector<Layer> layers;
    int64_t block_rows;
    Buffer gradient, transposed, scratch, single_weights, single_gradient, one_sums;
    std::vector<Buffer> activations; // [0] the batch's inputs, or all if a batch is everything; [l + 1] layer l's outputs
    float *inputs;                   // of the current block, in activations[0]
    std::vector<int32_t> order;
    Shuffler shuffler;

    explicit Workspace(const kd_task &t) : task(t), order(t.epoch_size), shuffler(t.epoch_size) {
        const int64_t batch = std::min(task.batch_size, task.epoch_size);
        block_rows = (batch + (batch + most_rows - 1) / most_rows - 1) / ((batch + most_rows - 1) / most_rows);
        int64_t offset = 0, largest = 0;
        activations.emplace_back(((batch == task.epoch_size ? task.epoch_size : block_rows) + LANES) * input_stride());
        for (int64_t l = 0; l < task.layers; l++) {
            const int64_t in = task.widths[l], out = task.widths[l + 1], padded = round_up(out, 16);
            const int64_t stride = is_single(l) ? 1 : odd_stride(padded);
            layers.push_back({in, out, padded, offset, stride, task.relu[l] != 0, task.bias[l] != 0});
            offset += (in + 1) * padded;
            activations.emplace_back(round_up(block_rows, LANES) * layers[l].stride);
            if (l) largest = std::max(largest, padded * round_up(in, 16));
        }
        gradient = Buffer(task.size);
        transposed = Buffer(largest);
        scratch = Buffer(4 * layers.back().padded * LANES);
        one_sums = Buffer(round_up(*std::max_element(task.widths, task.widths + task.layers), 16));
        single_weights = Buffer(round_up(layers.back().inputs, 16));
        single_gradient = Buffer(round_up(layers.back().inputs, 16));
        for (int64_t i = 0; i < task.epoch_size; i++) order[i] = int32_t(i);
        inputs = activations[0].data;
        if (batch == task.epoch_size && !task.rows) gather(order.data(), task.epoch_size);
    }

    static int64_t odd_stride(int64_t padded) { return padded / 16 % 2 ? padded : padded + 16; }

    int64_t input_stride() const { return odd_stride(round_up(task.widths[0], 16)); }

    // Trains one student for the epochs of the task, in place.
    void train(int64_t student) {
        float *const state = task.state + student * task.slots * task.size;
        const int64_t batches = (task.epoch_size + task.batch_size - 1) / task.batch_size;
        for (int64_t epoch = task.first_epoch; epoch < task.last_epoch; epoch++) {
            const int64_t *const own = rows_of(student, epoch);
            if (own && batches == 1 && (epoch == task.first_epoch || task.row_epochs > 1)) gather_all(own);
            // A batch of everything needs no order, and keeps that of the data.
            if (batches > 1) shuffler.order(task.order_seeds[student], uint64_t(epoch), order.data());
            if (own && batches > 1)
                for (int32_t &example : order) example = int32_t(own[example]);
            double total = 0.0;
            for (int64_t b = 0; b < batches; b++) {
                const int64_t first = b * task.batch_size, rows = std::min(task.batch_size, task.epoch_size - first);
                const int64_t step = epoch * batches + b;
                total += step_on_batch(student, state, first, rows, step) * double(rows);
            }
            const int64_t epochs = task.last_epoch - task.first_epoch;
            task.losses[student * epochs + epoch - task.first_epoch] = total / double(task.epoch_size);
        }
    }

    // Takes one step of the optimiser and returns the batch's mean loss before it.
    double step_on_batch(int64_t student, float *state, int64_t first, int64_t rows, int64_t step) {
        const OptimiserStep update(task, step);
        const float mixing = (step < task.switch_step[student] ? task.mixing : task.mixing_after)[student];
        const LossTerms terms{1.0f - mixing, mixing, task.temperature[student], 1.0f / float(rows)};
        double total = 0.0;
        const int64_t blocks = (rows + block_rows - 1) / block_rows;
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t start = rows * b / blocks, count = rows * (b + 1) / blocks - start;
            const int32_t *const examples = order.data() + first + start;
            if (rows == task.epoch_size)
                inputs = activations[0].data + start * input_stride();
            else
                gather(examples, count);
            forward(state, count);
            total += loss(student, examples, count, terms);
            backward(state, count, b > 0, b == blocks - 1 ? &update : nullptr);
        }
        return total / double(rows);
    }

    const int64_t *rows_of(int64_t student, int64_t epoch) const {
        if (!task.rows) return nullptr;
        return task.rows + (student * task.row_epochs + (task.row_epochs > 1 ? epoch : 0)) * task.epoch_size;
    }

    // A student's rows as the one batch of an epoch.
    void gather_all(const int64_t *own) {
        for (int64_t i = 0; i < task.epoch_size; i++) order[i] = int32_t(own[i]);
        inputs = activations[0].data;
        gather(order.data(), task.epoch_size);
    }

    void gather(const int32_t *examples, int64_t rows) {
        const int64_t width = task.widths[0], stride = input_stride();
        for (int64_t row = 0; row < rows; row++) {
            const float *const from = task.inputs + examples[row] * width;
            float *const to = inputs + row * stride;
            int64_t c = 0;
            for (; c + LANES <= width; c += LANES) store(to + c, load_unaligned(from + c));
            if (c < width) store(to + c, load_some(from + c, width - c));
        }
    }

    void forward(float *parameters, int64_t rows) {
        int64_t stride = input_stride();
        for (size_t l = 0; l < layers.size(); l++) {
            const Layer &layer = layers[l];
            if (is_single(l)) return forward_single(layer, parameters, l ? activations[l].data : inputs, stride, rows);
            for (int64_t column = 0; column < layer.padded; column += 64) {
                const int64_t width = layer.panel_width(column);
                const float *const weights = layer.panel(parameters, column);
                multiply({layer.inputs, l ? activations[l].data : inputs, stride, 1, weights, width,
                          activations[l + 1].data + column, layer.stride, weights + layer.inputs * width, FROM_BIAS,
                          layer.relu ? RELU : PLAIN},
                         rows, width);
            }
            stride = layer.stride;
        }
    }

    // The last layer of a regression, if it has one output only; see single.inl. Its outputs are not padded.
    bool is_single(int64_t l) const { return l + 1 == task.layers && task.widths[l + 1] == 1 && task.loss == KD_MSE; }

    void forward_single(const Layer &layer, const float *p, const float *inner, int64_t stride, int64_t rows) {
        p += layer.offset; // rows of 16 floats, of which the first is the layer's
        for (int64_t i = 0; i < layer.inputs; i++) single_weights.data[i] = p[16 * i];
        single_forward(inner, stride, rows, round_up(layer.inputs, 16), single_weights.data, p[16 * layer.inputs],
                       activations.back().data);
    }

    void backward_single(const Layer &layer, float *state, float *inner, int64_t stride, int64_t rows, bool accumulate,
                         const OptimiserStep *update, bool relu, bool with_inputs) {
        const int64_t padded = round_up(layer.inputs, 16);
        float *const g = gradient.data + layer.offset, *const p = state + layer.offset;
        if (!accumulate) std::memset(single_gradient.data, 0, padded * sizeof(float));
        const float bias = single_backward(inner, stride, rows, padded, single_weights.data, relu, with_inputs,
                                           activations.back().data, single_gradient.data);
        if (layer.bias) g[16 * layer.inputs] = accumulate ? g[16 * layer.inputs] + bias : bias;
        if (!update) return;
        for (int64_t i = 0; i < layer.inputs; i++) g[16 * i] = single_gradient.data[i];
        update->apply(p, p + task.size, p + 2 * task.size, g, 16 * (layer.inputs + 1));
    }

    double loss(int64_t student, const int32_t *examples, int64_t rows, const LossTerms &terms) {
        const Layer &last = layers.back();
        const float *const targets = task.targets + task.tables[student] * task.examples * last.outputs;
        float *const outputs = activations.back().data;
        if (task.loss == KD_MSE)
            return squared_error(outputs, last.stride, rows, last.outputs, examples, task.values, targets, terms);
        return distillation(outputs, last.stride, rows, last.outputs, examples, task.labels, targets, terms,
                            scratch.data);
    }

    // From the gradient of the outputs, back through the layers; each layer's inputs are overwritten by their gradient.
    // With `update`, the gradient is complete and is used while it is in the cache, panel by panel.
    void backward(float *state, int64_t rows, bool accumulate, const OptimiserStep *update) {
        if (rows == 1 && !accumulate && update && update->is_sgd && !is_single(int64_t(layers.size()) - 1))
            return backward_one(state, *update);
        for (int64_t l = int64_t(layers.size()) - 1; l >= 0; l--) {
            const Layer &layer = layers[l];
            const int64_t stride = l ? layers[l - 1].stride : input_stride();
            float *const inner = l ? activations[l].data : inputs, *const outer = activations[l + 1].data;
            if (is_single(l)) {
                backward_single(layer, state, inner, stride, rows, accumulate, update, l && layers[l - 1].relu, l > 0);
                continue;
            }
            if (l) transpose(layer, state); // before the weights change
            for (int64_t column = 0; column < layer.padded; column += 64) {
                const int64_t width = layer.panel_width(column), count = (layer.inputs + 1) * width;
                float *const out = layer.panel(gradient.data, column), *const p = layer.panel(state, column);
                multiply({rows, inner, 1, stride, outer + column, layer.stride, out, width, nullptr,
                          accumulate ? FROM_C : FROM_ZERO, PLAIN},
                         layer.inputs, width);
                if (layer.bias) sum_rows(outer + column, layer.stride, rows, width, out + layer.inputs * width, accumulate);
                if (update) update->apply(p, p + task.size, p + 2 * task.size, out, count);
            }
            if (!l) return;
            const int64_t padded = round_up(layer.inputs, 16);
            for (int64_t column = 0; column < padded; column += 64) {
                const int64_t width = std::min<int64_t>(64, padded - column);
                multiply({layer.outputs, outer, layer.stride, 1, transposed.data + column * layer.padded, width,
                          inner + column, stride, nullptr, FROM_ZERO, layers[l - 1].relu ? MASKED : PLAIN},
                         rows, width);
            }
        }
    }

    // The same for a batch of one example under SGD; see one.inl.
    void backward_one(float *state, const OptimiserStep &update) {
        for (int64_t l = int64_t(layers.size()) - 1; l >= 0; l--) {
            const Layer &layer = layers[l];
            float *const inner = l ? activations[l].data : inputs, *const outer = activations[l + 1].data;
            float *const sums = one_sums.data;
            const int64_t padded = round_up(layer.inputs, 16);
            std::memset(sums, 0, padded * sizeof(float));
            for (int64_t column = 0; column < layer.padded; column += 64) {
                float *const p = layer.panel(state, column);
                one_panel({update, inner, layer.inputs, layer.bias}, outer + column, p, p + task.size,
                          layer.panel_width(column), sums);
            }
            if (!l) return;
            const bool relu = layers[l - 1].relu;
            for (int64_t i = 0; i < padded; i += LANES) {
                const V sum = load(sums + i);
                store(inner + i, !relu ? sum : load(inner + i) > 0.0f ? sum : V{});
            }
        }
    }

    static void sum_rows(const float *values, int64_t stride, int64_t rows, int64_t width, float *out, bool accumulate) {
        for (int64_t c = 0; c < width; c += LANES) {
            V sums[4] = {accumulate ? load(out + c) : V{}}; // four chains hide the latency of an addition
            int64_t row = 0;
            for (; row + 4 <= rows; row += 4)
                UNROLL for (int r = 0; r < 4; r++) sums[r] += load(values + (row + r) * stride + c);
            for (; row < rows; row++) sums[0] += load(values + row * stride + c);
            store(out + c, (sums[0] + sums[1]) + (sums[2] + sums[3]));
        }
    }

    // `transposed` = the layer's weights with outputs as rows, in panels over the inputs; columns after the last input
    // are 0.
    void transpose(const Layer &layer, float *parameters) {
        const int64_t padded = round_up(layer.inputs, 16);
        for (int64_t o = 0; o < layer.padded; o += LANES) {
            const int64_t panel = o / 64 * 64, width = layer.panel_width(panel);
            const float *const weights = layer.panel(parameters, panel) + (o - panel);
            for (int64_t i = 0; i < layer.inputs; i += LANES) {
                const int64_t target = i / 64 * 64, target_width = std::min<int64_t>(64, padded - target);
                float *const out = transposed.data + target * layer.padded + o * target_width + (i - target);
                const auto row = [&](int r) { return i + r < layer.inputs ? load(weights + (i + r) * width) : V{}; };
                transpose_block(row, out, target_width);
            }
        }
    }
};
