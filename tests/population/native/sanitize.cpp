// Trains small random cohorts of many shapes with every instruction set, on arrays of exactly the stated sizes, to be
// run under AddressSanitizer and UndefinedBehaviorSanitizer. Prints the number of cohorts; any fault ends the program.
#include "train.cpp"

#include <cstdio>
#include <random>

static std::mt19937 generator(1);
static int64_t any(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(generator); }
static std::vector<float> normal(int64_t count) {
    std::vector<float> values(count);
    std::normal_distribution<float> draw;
    for (float &value : values) value = draw(generator);
    return values;
}

static bool train_one(int64_t isa, int64_t threads) {
    const int64_t students = any(1, 3), examples = any(1, 150), layers = any(1, 3), epochs = any(1, 2);
    const bool resampled = any(0, 1);
    const int64_t epoch_size = resampled ? any(1, 200) : examples;
    const int64_t tables = any(1, students), batch = any(1, 160), optimiser = any(0, 2), loss = any(0, 1);
    std::vector<int64_t> widths;
    for (int64_t l = 0; l <= layers; l++) widths.push_back(any(0, 3) ? any(1, 40) : any(60, 150));
    const int64_t inputs = widths.front(), outputs = widths.back();
    int64_t size = 0;
    for (int64_t l = 0; l < layers; l++) size += (widths[l] + 1) * ((widths[l + 1] + 15) / 16 * 16);
    const bool momentum = optimiser == KD_SGD && any(0, 1);
    const int64_t slots = optimiser == KD_SGD ? 1 + momentum : 3;
    std::vector<int64_t> relu, bias, labels, table_of, switch_step, rows;
    for (int64_t l = 0; l < layers; l++) relu.push_back(l + 1 < layers && any(0, 1)), bias.push_back(any(0, 1));
    for (int64_t i = 0; i < examples; i++) labels.push_back(any(0, outputs - 1));
    for (int64_t i = 0; resampled && i < students * epoch_size; i++) rows.push_back(any(0, examples - 1));
    std::vector<float> mixing, after, temperature;
    std::vector<uint64_t> seeds;
    for (int64_t s = 0; s < students; s++) {
        table_of.push_back(any(0, tables - 1)), switch_step.push_back(any(0, 5)), seeds.push_back(generator());
        mixing.push_back(any(0, 2) / 2.0f), after.push_back(any(0, 2) / 2.0f), temperature.push_back(any(1, 4));
    }
    const auto x = normal(examples * inputs), values = normal(examples * outputs);
    auto targets = normal(tables * examples * outputs);
    for (float &target : targets) target = std::abs(target) / outputs;
    const int64_t steps = epochs * ((epoch_size + batch - 1) / batch);
    const std::vector<double> rates(steps, 1e-3);
    std::vector<double> losses(students * epochs);
    Buffer state(students * slots * size);
    const kd_task task{students, examples, epoch_size, layers, batch, 0, epochs, widths.data(), relu.data(),
                       bias.data(), x.data(), labels.data(), values.data(), targets.data(), table_of.data(),
                       mixing.data(), after.data(), switch_step.data(), temperature.data(), seeds.data(),
                       resampled ? rows.data() : nullptr, rates.data(), momentum ? 0.9 : 0.0, 0.9, 0.999, 1e-8, 1e-4,
                       optimiser, loss, size, slots, state.data, losses.data(), threads, isa};
    if (kd_train(&task) != 0) return false;
    for (double value : losses)
        if (!std::isfinite(value)) return false;
    return true;
}

int main() {
    int cohorts = 0;
    for (int64_t isa = KD_ISA_BASELINE; isa <= kd_best_isa(); isa++)
        for (int i = 0; i < 60; i++, cohorts++)
            if (!train_one(isa, 1 + i % 2)) return 1;
    for (int64_t count : {1, 2, 63, 64, 65, 1000}) {
        const std::vector<uint64_t> seeds{1, 2, ~uint64_t(0)}, streams{0, ~uint64_t(0), 7};
        std::vector<uint32_t> words(3 * count);
        std::vector<int64_t> orders(3 * count);
        if (kd_words(seeds.data(), streams.data(), 3, 2, count, words.data(), 2)) return 1;
        std::vector<double> normals(3 * count);
        if (kd_normals(seeds.data(), 3, 5, count, normals.data(), 2)) return 1;
        if (kd_orders(seeds.data(), 3, 1, count, orders.data(), 2)) return 1;
    }
    std::printf("%d cohorts\n", cohorts);
}
