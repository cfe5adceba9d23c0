// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") and the orders drawn from it; the
// same bits as ../../counter.py.

enum { PURPOSE_ORDER = 1 };

// 32-bit numbers in 64-bit lanes, so that a product with a 32-bit constant fits.
typedef uint64_t U __attribute__((vector_size(4 * LANES)));

inline U product(U x, uint32_t factor) {
#if LANES == 16
    return (U)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64(factor));
#elif LANES == 8
    return (U)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x(factor));
#else
    return x * uint64_t(factor);
#endif
}

// Words 0 .. count-1 of the stream; word 4 b + i is output i of block b.
inline void philox_words(uint64_t seed, uint64_t stream, uint32_t purpose, int64_t count, uint32_t *out) {
    constexpr int blocks = LANES / 2, chains = 2; // two chains at once hide the latency of the products
    constexpr uint64_t low = 0xffffffffu;
    for (int64_t first = 0; first * 4 < count; first += chains * blocks) {
        U x[chains][4];
        for (int c = 0; c < chains; c++) {
            for (int b = 0; b < blocks; b++) x[c][0][b] = uint64_t(first + c * blocks + b) & low;
            x[c][1] = (stream & low) - U{}, x[c][2] = (stream >> 32) - U{}, x[c][3] = uint64_t(purpose) - U{};
        }
        uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
        for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
            for (int c = 0; c < chains; c++) {
                const U a = product(x[c][0], 0xD2511F53u), d = product(x[c][2], 0xCD9E8D57u);
                x[c][0] = (d >> 32) ^ x[c][1] ^ uint64_t(key0), x[c][1] = d & low;
                x[c][2] = (a >> 32) ^ x[c][3] ^ uint64_t(key1), x[c][3] = a & low;
            }
        uint32_t words[chains * blocks][4];
        for (int c = 0; c < chains; c++)
            for (int b = 0; b < blocks; b++)
                for (int i = 0; i < 4; i++) words[c * blocks + b][i] = uint32_t(x[c][i][b]);
        const int64_t rest = count - 4 * first;
        std::memcpy(out + 4 * first, words, std::min<size_t>(sizeof words, sizeof(uint32_t) * rest));
    }
}

// The positions 0 .. n-1 sorted by (random word, position). Words are uniform, so a scatter by their leading bits
// leaves them almost sorted, and insertion does the rest.
struct Shuffler {
    int64_t n;
    int bits = 1;
    std::vector<uint32_t> words, starts;
    std::vector<uint64_t> sorted;

    explicit Shuffler(int64_t examples) : n(examples), words(examples), sorted(examples + 1) {
        while (bits < 20 && (int64_t(1) << bits) < 2 * n) bits++;
        starts.resize((size_t(1) << bits) + 1);
    }

    template <class Index> void order(uint64_t seed, uint64_t epoch, Index *out) {
        philox_words(seed, epoch, PURPOSE_ORDER, n, words.data());
        const int shift = 32 - bits;
        std::memset(starts.data(), 0, starts.size() * sizeof(uint32_t));
        for (int64_t i = 0; i < n; i++) starts[(words[i] >> shift) + 1]++;
        for (size_t b = 1; b < starts.size(); b++) starts[b] += starts[b - 1];
        uint64_t *const keys = sorted.data() + 1;
        sorted[0] = 0; // a sentinel: nothing sorts before it
        for (int64_t i = 0; i < n; i++) keys[starts[words[i] >> shift]++] = uint64_t(words[i]) << 32 | uint64_t(i);
        for (int64_t i = 1; i < n; i++) {
            const uint64_t key = keys[i];
            int64_t j = i;
            for (; keys[j - 1] > key; j--) keys[j] = keys[j - 1];
            keys[j] = key;
        }
        for (int64_t i = 0; i < n; i++) out[i] = Index(uint32_t(keys[i]));
    }
};
