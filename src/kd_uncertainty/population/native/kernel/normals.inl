// Standard normal numbers by Box & Muller (1958) from Philox words; the same bits as ../../linear/noise.py, whose
// docstring is the contract. Every operation is rounded once, so that numpy can do the same: there is no fused
// multiply-add in this file. Included once for each instruction set, after random.inl.

#ifdef __clang__
#pragma clang fp contract(off)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif

constexpr uint64_t PURPOSE_NOISE = 4;

constexpr int DOUBLES = LANES / 2;
typedef double D __attribute__((vector_size(8 * DOUBLES)));
typedef uint64_t U __attribute__((vector_size(8 * DOUBLES)));

// Products of the low halves of the 64-bit lanes, and square roots; both exact to the last bit on every machine.
#if LANES == 16
inline U low_product(U x, U y) { return (U)_mm512_mul_epu32((__m512i)x, (__m512i)y); }
inline D square_root(D x) { return (D)_mm512_sqrt_pd((__m512d)x); }
#elif LANES == 8
inline U low_product(U x, U y) { return (U)_mm256_mul_epu32((__m256i)x, (__m256i)y); }
inline D square_root(D x) { return (D)_mm256_sqrt_pd((__m256d)x); }
#elif defined(__x86_64__)
inline U low_product(U x, U y) { return (U)_mm_mul_epu32((__m128i)x, (__m128i)y); }
inline D square_root(D x) { return (D)_mm_sqrt_pd((__m128d)x); }
#else
inline U low_product(U x, U y) { return (x & 0xFFFFFFFFu) * (y & 0xFFFFFFFFu); }
inline D square_root(D x) {
    for (int i = 0; i < DOUBLES; i++) x[i] = __builtin_sqrt(x[i]);
    return x;
}
#endif

template <int terms> inline D horner(const double (&coefficients)[terms], D x) {
    D sum = x * coefficients[terms - 1] + coefficients[terms - 2];
    for (int i = terms - 3; i >= 0; i--) sum = sum * x + coefficients[i];
    return sum;
}

// x[0] y[0] x[1] y[1] ..., groups of `size` lanes counting as one.
constexpr int interleaved(int lane, int size) {
    return lane / size / 2 * size + lane % size + (lane / size % 2 ? DOUBLES : 0);
}
#ifdef __clang__
template <int size, int... lane> inline void interleave_lanes(D &x, D &y, std::integer_sequence<int, lane...>) {
    const D old = x;
    x = __builtin_shufflevector(old, y, interleaved(lane, size)...);
    y = __builtin_shufflevector(old, y, (interleaved(lane, size) + DOUBLES / 2)...);
}
template <int size> inline void interleave(D &x, D &y) {
    interleave_lanes<size>(x, y, std::make_integer_sequence<int, DOUBLES>());
}
#else
template <int size> inline void interleave(D &x, D &y) {
    U first, second;
    for (int lane = 0; lane < DOUBLES; lane++)
        first[lane] = interleaved(lane, size), second[lane] = interleaved(lane, size) + DOUBLES / 2;
    const D old = x;
    x = __builtin_shuffle(old, y, first), y = __builtin_shuffle(old, y, second);
}
#endif

// Replaces words (in the low halves of lanes) by two normals each.
inline void box_muller(U radius_words, U angle_words, D &first, D &second) {
    static constexpr double logarithm[] = {-4.000000000000001,  -1.3333333333310584, -0.8000000012348323,
                                           -0.5714283204221534, -0.4444686909503581, -0.3624386886243043,
                                           -0.33675319941360976};
    static constexpr double sine[] = {1.1107207345395915,     -0.11419139843742838,   0.003521949776821378,
                                      -5.172656398166321e-05, 4.4316025652803233e-07, -2.484985466763365e-09,
                                      9.726056595901821e-12};
    static constexpr double cosine[] = {2.0,
                                        -0.6168502750680757,
                                        0.031708688487483094,
                                        -0.0006519837729670803,
                                        7.181718359700476e-06,
                                        -4.9219014188056233e-08,
                                        2.2730938415462706e-10};
    constexpr uint64_t low_half = 0xFFFFFFFFu, two_52 = 0x4330000000000000u; // or-ed with i: the double 2^52 + i
    const U bits = (U)((D)((radius_words & low_half) | two_52) - (0x1p52 - 0.5));
    const U offset = bits - 0x3FD6A09E667F3BCDu; // from sqrt(1/8), where the range of h begins
    const D h = (D)(bits - (offset & 0xFFF0000000000000u));
    const D exponent = (D)(offset >> 52 | two_52) - (0x1p52 + 33);
    const D ratio = (h - 0.5) / (h + 0.5);
    const D radius = square_root(exponent * -1.3862943611198906 + horner(logarithm, ratio * ratio) * ratio);
    const D v = ((D)((angle_words & low_half) | two_52) - (0x1p52 + 0x1p31)) * 0x1p-31;
    const D square = v * v;
    const D t = horner(sine, square) * v;
    const D a = horner(cosine, square) * t;
    first = radius * (1.0 - a * a);
    second = radius * 1.4142135623730951 * (a * (1.0 - t * t));
}

// Normals 4 * block .. 4 * (block + DOUBLES) - 1 of the stream.
inline void block_normals(uint64_t seed, uint64_t stream, uint64_t block, double *out) {
    U x0, x1 = U{} + (stream & 0xFFFFFFFFu), x2 = U{} + (stream >> 32), x3 = U{} + PURPOSE_NOISE;
    for (int lane = 0; lane < DOUBLES; lane++) x0[lane] = block + lane;
    uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
    for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
        // Only low halves count; what the high ones hold is cut off by low_product and box_muller.
        const U a = low_product(x0, U{} + 0xD2511F53u), c = low_product(x2, U{} + 0xCD9E8D57u);
        x0 = c >> 32 ^ x1 ^ key0;
        x1 = c;
        x2 = a >> 32 ^ x3 ^ key1;
        x3 = a;
    }
    D z[4];
    box_muller(x0, x1, z[0], z[1]);
    box_muller(x2, x3, z[2], z[3]);
    interleave<1>(z[0], z[1]);
    interleave<1>(z[2], z[3]);
#if LANES > 4
    interleave<2>(z[0], z[2]);
    interleave<2>(z[1], z[3]);
#endif
    std::swap(z[1], z[2]);
    std::memcpy(out, z, sizeof z);
}

// Normals 0 .. count-1 of the stream; `out` need not be aligned.
inline void normals(uint64_t seed, uint64_t stream, int64_t count, double *out) {
    constexpr int64_t chunk = 4 * DOUBLES;
    int64_t done = 0;
    for (; done + chunk <= count; done += chunk) block_normals(seed, stream, done / 4, out + done);
    if (done == count) return;
    double rest[chunk];
    block_normals(seed, stream, done / 4, rest);
    std::memcpy(out + done, rest, sizeof(double) * (count - done));
}

#ifndef __clang__
#pragma GCC pop_options
#endif
