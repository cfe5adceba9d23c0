// What the caller (../library.py) hands over: one plain struct, mirrored field by field in Python.
#pragma once
#include <cstdint>

extern "C" {

// Optimisers and losses by number.
enum { KD_SGD = 0, KD_ADAM = 1, KD_ADAMW = 2 };
enum { KD_DISTILLATION = 0, KD_MSE = 1 };

// A cohort of students, trained from epoch `first_epoch` up to (not including) `last_epoch`.
//
// All arrays are contiguous; `state` starts at a multiple of 64 bytes. A student's `state` is `slots` arrays of `size` floats: its parameters, then the optimiser's
// moments. The parameters of a layer with `in` inputs and `out` outputs are the matrix of (in + 1) rows, transposed
// weights and last the bias, cut into panels of at most 64 columns; a panel holds its rows one after another (see
// `Layer` in network.inl).
struct kd_task {
    int64_t students, examples;
    int64_t epoch_size; // rows of an epoch: `examples`, or what `rows` holds for each student
    int64_t row_epochs; // epochs that `rows` tells apart: 1, or all of the training
    int64_t layers, batch_size, first_epoch, last_epoch;
    const int64_t *widths;       // (layers + 1) inputs, hidden widths, outputs
    const int64_t *relu;         // (layers) whether a ReLU follows; none may follow the last
    const int64_t *bias;         // (layers) whether there is one; without, its row stays 0
    const float *inputs;         // (examples, inputs)
    const int64_t *labels;       // (examples), for the distillation loss
    const float *values;         // (examples, outputs), for the mean squared error
    const float *targets;        // (tables, examples, outputs)
    const int64_t *tables;       // (students) row of `targets`
    const float *mixing;         // (students) weight of the target beside label or value
    const float *mixing_after;   // (students) the same from step `switch_step` on
    const int64_t *switch_step;  // (students)
    const float *temperature;    // (students)
    const uint64_t *order_seeds; // (students)
    const int64_t *rows;         // (students, row_epochs, epoch_size) the examples that each is trained on, or null:
                                 // each once
    const double *rates;         // (steps of the whole training) learning rates
    double momentum, beta1, beta2, epsilon, weight_decay;
    int64_t optimiser, loss;
    int64_t size, slots; // floats of one array of a student's state, arrays
    float *state;        // (students, slots, size)
    double *losses;      // (students, last_epoch - first_epoch) mean loss of each epoch
    int64_t threads;
    int64_t isa; // 0: the best that the machine has, else one of KD_ISA_*
};

enum { KD_ISA_BASELINE = 1, KD_ISA_AVX2 = 2, KD_ISA_AVX512 = 3 };

// Trains the cohort in place. Returns 0; 1 if memory is short; 2 if the machine has not the instructions asked for.
int kd_train(const kd_task *task);

// Words of Philox4x32-10 for each seed: out (seeds, count). `streams` (seeds), `purpose` as in counter.py.
int kd_words(const uint64_t *seeds, const uint64_t *streams, int64_t num_seeds, uint32_t purpose, int64_t count,
             uint32_t *out, int64_t threads);

// Orders of `examples` for each seed in one epoch: out (seeds, examples).
int kd_orders(const uint64_t *seeds, int64_t num_seeds, uint64_t epoch, int64_t examples, int64_t *out,
              int64_t threads);

// Standard normal numbers of one noise stream for each seed, as in linear/noise.py: out (seeds, count).
int kd_normals(const uint64_t *seeds, int64_t num_seeds, uint64_t stream, int64_t count, double *out,
               int64_t threads);

// The best instructions of this machine, one of KD_ISA_*.
int64_t kd_best_isa(void);
}
