// Matrix products on register tiles: C (rows, 16 * vectors) = A B, with the columns of B and C in vector lanes and the
// elements of A broadcast. Every element of C is one chain of fused multiply-adds over k = 0, 1, 2, ..., whatever the
// tile, so results do not depend on how the work is cut.

enum Start { FROM_ZERO, FROM_BIAS, FROM_C };
enum Finish { PLAIN, RELU, MASKED }; // MASKED: keep the product where C was positive, else 0: the gradient of ReLU

struct Product {
    int64_t depth;
    const float *a; // element (row, k) at a[row * a_row + k * a_depth]
    int64_t a_row, a_depth;
    const float *b; // row k at b + k * b_row
    int64_t b_row;
    float *c;
    int64_t c_row;
    const float *bias;
    Start start;
    Finish finish;
};

// One tile of R rows and W vectors; its R * W accumulators stay in registers.
template <int R, int W> void tile(const Product &p, int64_t row, int64_t column) {
    V sum[R][W];
    float *const c = p.c + row * p.c_row + column;
    const int64_t c_row = p.c_row;
    if (p.start == FROM_C) {
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int w = 0; w < W; w++) sum[r][w] = load(c + r * c_row + w * LANES);
    } else {
        V start[W];
        UNROLL for (int w = 0; w < W; w++) start[w] = p.start == FROM_BIAS ? load(p.bias + column + w * LANES) : V{};
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int w = 0; w < W; w++) sum[r][w] = start[w];
    }
    // Rows three by three: an x86 address is a base and one or two strides, so few registers reach all rows.
    const float *a[(R + 2) / 3];
    UNROLL for (int t = 0; t < (R + 2) / 3; t++) a[t] = p.a + (row + 3 * t) * p.a_row;
    const float *b = p.b + column;
    const int64_t a_row = p.a_row, a_depth = p.a_depth, b_row = p.b_row;
    for (int64_t k = p.depth; k; k--) {
        V across[W];
        UNROLL for (int w = 0; w < W; w++) across[w] = load(b + w * LANES);
        UNROLL for (int r = 0; r < R; r++) {
            const V down = splat(a[r / 3][(r % 3) * a_row]);
            UNROLL for (int w = 0; w < W; w++) sum[r][w] += down * across[w];
        }
        UNROLL for (int t = 0; t < (R + 2) / 3; t++) a[t] += a_depth;
        b += b_row;
    }
    if (p.finish == RELU) { // NaN stays NaN
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int w = 0; w < W; w++) sum[r][w] = maximum(V{}, sum[r][w]);
    } else if (p.finish == MASKED) {
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int w = 0; w < W; w++) {
            sum[r][w] = load(c + r * c_row + w * LANES) > 0.0f ? sum[r][w] : V{};
        }
    }
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int w = 0; w < W; w++) store(c + r * c_row + w * LANES, sum[r][w]);
}

// Rows in as few tiles as the registers allow, of nearly equal height.
template <int W, int R> void tiles_of(const Product &p, int64_t rows, int64_t row, int64_t column) {
    if constexpr (R > 0) {
        if (rows == R)
            tile<R, W>(p, row, column);
        else
            tiles_of<W, R - 1>(p, rows, row, column);
    }
}
template <int W, int R> void strip(const Product &p, int64_t rows, int64_t column) {
    const int64_t tiles = (rows + R - 1) / R;
    for (int64_t t = 0; t < tiles; t++)
        tiles_of<W, R>(p, rows * (t + 1) / tiles - rows * t / tiles, rows * t / tiles, column);
}

// All rows and `columns` columns (a multiple of 16, at most 64).
inline void multiply(const Product &p, int64_t rows, int64_t columns) {
#if LANES == 16
    switch (columns / LANES) { // up to 24 accumulators of 32 registers
    case 4: return strip<4, 6>(p, rows, 0);
    case 3: return strip<3, 8>(p, rows, 0);
    case 2: return strip<2, 12>(p, rows, 0);
    default: return strip<1, 16>(p, rows, 0);
    }
#else
    for (int64_t column = 0; column < columns; column += 2 * LANES) strip<2, 6>(p, rows, column); // 12 of 16 registers
#endif
}
