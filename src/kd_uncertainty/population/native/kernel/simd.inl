// A vector of LANES floats and what the kernel does with it. Included once for each instruction set, inside a namespace
// of its own. Arithmetic is the compiler's vector extension (GCC and Clang); only what it lacks is spelled out.

typedef float V __attribute__((vector_size(4 * LANES)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));

// Loops over lanes and registers are unrolled in full, or what they hold would live in memory.
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

inline V splat(float x) { return x - V{}; } // x - 0, not 0 + x: keeps -0.0
inline V load(const float *p) { return *reinterpret_cast<const V *>(p); }
inline void store(float *p, V x) { *reinterpret_cast<V *>(p) = x; }
inline V load_unaligned(const float *p) {
    V x;
    std::memcpy(&x, p, sizeof x);
    return x;
}

// The larger and the smaller of two; y where either is NaN, as the instructions have it.
inline V maximum(V x, V y) {
#if LANES == 16
    return _mm512_max_ps(x, y);
#elif LANES == 8
    return _mm256_max_ps(x, y);
#else
    return x > y ? x : y;
#endif
}

inline V minimum(V x, V y) {
#if LANES == 16
    return _mm512_min_ps(x, y);
#elif LANES == 8
    return _mm256_min_ps(x, y);
#else
    return x < y ? x : y;
#endif
}

// The first `count` floats from p on, whatever its alignment; zeros in the lanes after them. (With 16 lanes there is
// always at least one.)
inline V load_some(const float *p, int64_t count) {
#if LANES == 16
    return _mm512_maskz_loadu_ps(__mmask16(count >= 16 ? 0xffff : (1u << count) - 1), p);
#else
    V x = {};
    if (count > 0) std::memcpy(&x, p, sizeof(float) * std::min<int64_t>(count, LANES));
    return x;
#endif
}

// The lanes of two vectors, exchanged so that blocks of `distance` lanes are transposed.
#ifdef __clang__
template <int distance, int... lane> inline void exchange_lanes(V &x, V &y, std::integer_sequence<int, lane...>) {
    const V old = x;
    x = __builtin_shufflevector(old, y, (lane & distance ? LANES + lane - distance : lane)...);
    y = __builtin_shufflevector(old, y, (lane & distance ? LANES + lane : lane + distance)...);
}
template <int distance> inline void exchange(V &x, V &y) {
    exchange_lanes<distance>(x, y, std::make_integer_sequence<int, LANES>());
}
#else
template <int distance> inline void exchange(V &x, V &y) {
    I low, high;
    for (int lane = 0; lane < LANES; lane++) {
        low[lane] = lane & distance ? LANES + lane - distance : lane;
        high[lane] = lane & distance ? LANES + lane : lane + distance;
    }
    const V old = x;
    x = __builtin_shuffle(old, y, low);
    y = __builtin_shuffle(old, y, high);
}
#endif

// Transposes a LANES x LANES block: out[j][i] = row(i)[j].
template <class Row> inline void transpose_block(Row row, float *out, int64_t out_stride) {
    V rows[LANES];
    UNROLL for (int i = 0; i < LANES; i++) rows[i] = row(i);
    UNROLL for (int i = 0; i < LANES; i += 2) exchange<1>(rows[i], rows[i + 1]);
    UNROLL for (int i = 0; i < LANES; i++) if (!(i & 2)) exchange<2>(rows[i], rows[i + 2]);
#if LANES >= 8
    UNROLL for (int i = 0; i < LANES; i++) if (!(i & 4)) exchange<4>(rows[i], rows[i + 4]);
#endif
#if LANES >= 16
    UNROLL for (int i = 0; i < LANES; i++) if (!(i & 8)) exchange<8>(rows[i], rows[i + 8]);
#endif
    UNROLL for (int i = 0; i < LANES; i++) store(out + i * out_stride, rows[i]);
}

// Sum of all lanes, by halves.
inline float sum_of(V x) {
    alignas(64) float lanes[LANES];
    store(lanes, x);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

// exp(x) to about one unit in the last place (the polynomial of Cephes' expf); 0 below -87, NaN for NaN.
inline V exponential(V x) {
    x = x > 88.0f ? splat(88.0f) : x;
    const I tiny = x < -87.0f;
    const V rounded = x * 1.44269504f + 12582912.0f; // adding 1.5 * 2^23 rounds to an integer in the low bits
    const I exponent = (I)rounded << 23;
    const V n = rounded - 12582912.0f;
    const V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (V)(((I)p + exponent) & ~tiny);
}

// log(x) for normal x > 0, to about one unit in the last place (the polynomial of Cephes' logf); NaN for NaN.
inline V logarithm(V x) {
    const I shifted = (I)x - 0x3f3504f3; // so that the rest lies in [sqrt(1/2), sqrt(2))
    const V exponent = __builtin_convertvector(shifted >> 23, V);
    const V y = (V)((shifted & 0x7fffff) + 0x3f3504f3) - 1.0f;
    V p = y * 7.0376836292e-2f - 1.1514610310e-1f;
    p = p * y + 1.1676998740e-1f;
    p = p * y - 1.2420140846e-1f;
    p = p * y + 1.4249322787e-1f;
    p = p * y - 1.6668057665e-1f;
    p = p * y + 2.0000714765e-1f;
    p = p * y - 2.4999993993e-1f;
    p = p * y + 3.3333331174e-1f;
    const V square = y * y;
    const V log = y + (p * y * square - 0.5f * square) + exponent * 6.93147181e-1f;
    return x == x ? log : x;
}

// m / (sqrt(v) * scale + epsilon), the heart of Adam, for v >= 0. Division and square root share one slow unit; an
// estimate and one Newton step on the fast ones give the same to about 2^-22 in half the time.
inline V adam_direction(V m, V v, float scale, float epsilon) {
    // 0 and infinity would give 0 * infinity below; the square root of the smallest is far below epsilon.
    v = minimum(splat(3.4e38f), maximum(splat(1.17549435e-38f), v));
#if LANES == 16
    const V estimate = _mm512_rsqrt14_ps(v);
#elif LANES == 8
    const V estimate = _mm256_rsqrt_ps(v);
#endif
#if LANES >= 8
    V root = v * estimate;
    root += root * (0.5f - root * (0.5f * estimate));
    const V denominator = minimum(splat(3.4e38f), root * scale + epsilon);
#if LANES == 16
    V inverse = _mm512_rcp14_ps(denominator);
#else
    V inverse = _mm256_rcp_ps(denominator);
#endif
    inverse += inverse * (1.0f - denominator * inverse);
    return m * inverse;
#else
    V root;
    for (int lane = 0; lane < LANES; lane++) root[lane] = __builtin_sqrtf(v[lane]);
    return m / (root * scale + epsilon);
#endif
}
