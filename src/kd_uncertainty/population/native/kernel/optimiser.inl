// One step of an optimiser, as torch.optim takes it.

struct OptimiserStep {
    bool is_sgd, has_momentum, decays;
    float rate, momentum, decay;                           // of SGD; weight decay as part of the gradient
    float forget1, keep2, forget2, scale, epsilon, shrink; // of Adam; `shrink` is the decoupled weight decay of AdamW

    // `number` counts the steps taken before, in the whole training.
    OptimiserStep(const kd_task &task, int64_t number) {
        const double learning_rate = task.rates[number], t = double(number + 1);
        const bool decoupled = task.optimiser == KD_ADAMW;
        is_sgd = task.optimiser == KD_SGD, has_momentum = task.slots > 1, momentum = float(task.momentum);
        decays = task.weight_decay != 0.0;
        decay = decoupled ? 0.0f : float(task.weight_decay);
        shrink = decoupled ? float(1.0 - learning_rate * task.weight_decay) : 1.0f;
        rate = float(learning_rate);
        // Adam's rate is divided out of its denominator, m / (sqrt(v) * scale + epsilon), and so must not be 0.
        const double adam_rate = std::max(learning_rate / (1.0 - std::pow(task.beta1, t)), 1e-30);
        scale = float(1.0 / (adam_rate * std::sqrt(1.0 - std::pow(task.beta2, t))));
        forget1 = float(1.0 - task.beta1), keep2 = float(task.beta2), forget2 = float(1.0 - task.beta2);
        epsilon = float(task.epsilon / adam_rate);
    }

    // Over `count` parameters (a multiple of 16) with their two moments.
    void apply(float *p, float *m, float *v, const float *gradient, int64_t count) const {
        if (is_sgd)
            sgd(p, m, gradient, count);
        else if (decays)
            adam<true>(p, m, v, gradient, count);
        else
            adam<false>(p, m, v, gradient, count);
    }

    void sgd(float *p, float *velocity, const float *gradient, int64_t count) const {
        for (int64_t i = 0; i < count; i += LANES) {
            V g = load(gradient + i) + decay * load(p + i);
            if (has_momentum) {
                g = momentum * load(velocity + i) + g;
                store(velocity + i, g);
            }
            store(p + i, load(p + i) - rate * g);
        }
    }

    template <bool decaying> void adam(float *p, float *m, float *v, const float *gradient, int64_t count) const {
        const OptimiserStep s = *this; // a copy that no store can alias
        for (int64_t i = 0; i < count; i += LANES) {
            V parameter = load(p + i), g = load(gradient + i);
            if (decaying) {
                parameter *= s.shrink;
                g += s.decay * parameter;
            }
            const V first = load(m + i) + s.forget1 * (g - load(m + i));
            const V second = s.keep2 * load(v + i) + s.forget2 * (g * g);
            store(m + i, first);
            store(v + i, second);
            store(p + i, parameter - adam_direction(first, second, s.scale, s.epsilon));
        }
    }
};
