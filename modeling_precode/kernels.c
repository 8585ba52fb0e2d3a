/* The element-wise operations of a recurrence and of pooling on a CPU, each in one pass over memory. The numbers are
   float32, or bfloat16 if BFLOAT16 is defined. Every number is read once, and all computations are in float32.

   There are D directions with I places each, and H numbers per place. A block is `count` consecutive places of every
   direction, the first of which is `start`. The arrays are those of `gru.py` and `pooling.py`, which compute the same
   in PyTorch.

   `setup.py` compiles this file once for each type and each instruction set, and links everything into one library.
   SUFFIX, with both names, is appended to the names of the functions. `kernels.py` calls those that the processor
   supports. */

#include <math.h>
#include <stdint.h>

#define JOINED(name, suffix) name##_##suffix
#define EXPANDED(name, suffix) JOINED(name, suffix)
#define FUNCTION(name) EXPANDED(name, SUFFIX)

#define FEW 4096 /* a second thread is of no use below this count of numbers */

#ifdef BFLOAT16
/* The upper half of a float32. It is rounded to the nearest number, and to the even one if two are equally near. */
typedef uint16_t number;
typedef union { uint32_t bits; float number; } word;

static inline float get(number x) { return ((word){(uint32_t)x << 16}).number; }

static inline number put(float x)
{
    const uint32_t bits = ((word){.number = x}).bits;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
#else
typedef float number;

static inline float get(number x) { return x; }

static inline number put(float x) { return x; }
#endif

/* e^x, exact within two units of the last place. It is inlined, so that the compiler can vectorize a loop over it.
   e^x = 2^n e^r with |r| <= ln 2 / 2, and e^r is a series. x is limited to +-87, beyond which no digit of a gate
   changes. */
static inline float exponential(float x)
{
    x = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
    const float n = rintf(x * 1.44269504f);
    const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f; /* ln 2 in two parts; the first one has few digits */
    const float series =
        1 + r * (1 + r * (1 / 2.f + r * (1 / 6.f + r * (1 / 24.f + r * (1 / 120.f + r * (1 / 720.f + r * (1 / 5040.f)))))));
    union { int32_t bits; float number; } power = {((int32_t)n + 127) << 23};
    return series * power.number;
}

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

static inline float hyperbolic_tangent(float x)
{
    /* Near 0, the difference would lose digits. The series is as exact as the type there. */
    const float y = x * x;
    const float series = x + x * y * (-1 / 3.f + y * (2 / 15.f + y * (-17 / 315.f + y * (62 / 2835.f))));
    const float e = exponential(-2.0f * fabsf(x));
    return y < 0.0625f ? series : copysignf((1.0f - e) / (1.0f + e), x);
}

/* gates (R, 3 H): n, r, z. index (D, I). recurrent (D, count, 3 H): r, z, n; null in the first step. bias (D, H).
   reset_update (D, I, 2 H), memory, candidate (D, I, H) are null if they are not needed later. states (D, I, H).
   `before` is the first place of the previous step. */
void FUNCTION(gru_forward)(int64_t directions, int64_t places, int64_t size, int64_t start, int64_t before,
                           int64_t count, const number *gates, const int64_t *index, const number *recurrent,
                           const number *bias, number *reset_update, number *memory, number *candidate, number *states)
{
#pragma omp parallel for collapse(2) if (directions * count * size > FEW)
    for (int64_t d = 0; d < directions; d++)
        for (int64_t i = 0; i < count; i++) {
            const int64_t place = d * places + start + i;
            const number *x = gates + index[place] * 3 * size;
            const number *product = recurrent ? recurrent + (d * count + i) * 3 * size : 0;
            const number *h = recurrent ? states + (d * places + before + i) * size : 0;
            const number *b = bias + d * size;
            number *state = states + place * size;
            number *kept_r = reset_update ? reset_update + place * 2 * size : 0;
            number *kept_z = kept_r ? kept_r + size : 0;
            number *kept_m = memory ? memory + place * size : 0, *kept_n = candidate ? candidate + place * size : 0;
#pragma omp simd
            for (int64_t j = 0; j < size; j++) {
                float r = get(x[size + j]), z = get(x[2 * size + j]), m = get(b[j]), old = 0;
                if (product) {
                    r += get(product[j]);
                    z += get(product[size + j]);
                    m += get(product[2 * size + j]);
                    old = get(h[j]);
                }
                r = sigmoid(r);
                z = sigmoid(z);
                const float n = hyperbolic_tangent(get(x[j]) + r * m);
                state[j] = put(n + z * (old - n));
                if (kept_r) {
                    kept_r[j] = put(r);
                    kept_z[j] = put(z);
                    kept_m[j] = put(m);
                    kept_n[j] = put(n);
                }
            }
        }
}

/* grad_states (D, I, H). later (D, rows, H): the gradients from later steps; the block begins at `row`.
   by_all (D, I, 4 H): n, r, z, m. to_before (D, count, H): the gradient of the previous state without that of the
   matrix product. previous (D, I, H) receives the previous state of each place. */
void FUNCTION(gru_backward)(int64_t directions, int64_t places, int64_t size, int64_t start, int64_t before,
                            int64_t count, int64_t rows, int64_t row, const number *grad_states, const number *later,
                            const number *reset_update, const number *memory, const number *candidate,
                            const number *states, number *previous, number *by_all, number *to_before)
{
#pragma omp parallel for collapse(2) if (directions * count * size > FEW)
    for (int64_t d = 0; d < directions; d++)
        for (int64_t i = 0; i < count; i++) {
            const int64_t place = d * places + start + i;
            const number *from_state = grad_states + place * size, *from_later = later + (d * rows + row + i) * size;
            const number *resets = reset_update + place * 2 * size, *updates = resets + size;
            const number *memories = memory + place * size, *candidates = candidate + place * size;
            const number *h = before < 0 ? 0 : states + (d * places + before + i) * size;
            number *kept = previous + place * size, *passed = to_before + (d * count + i) * size;
            number *by_n = by_all + place * 4 * size;
            number *by_r = by_n + size, *by_z = by_n + 2 * size, *by_m = by_n + 3 * size;
#pragma omp simd
            for (int64_t j = 0; j < size; j++) {
                const float grad = get(from_state[j]) + get(from_later[j]), old = h ? get(h[j]) : 0;
                const float z = get(updates[j]), r = get(resets[j]), n = get(candidates[j]);
                const float through = grad * z;
                /* Factors such as 1 - z keep their digits if a gate is almost open or closed. */
                const float to_n = grad * (1 - z) * (1 - n) * (1 + n), to_m = to_n * r;
                by_n[j] = put(to_n);
                by_m[j] = put(to_m);
                by_r[j] = put(to_m * get(memories[j]) * (1 - r));
                by_z[j] = put((old - n) * through * (1 - z));
                passed[j] = put(through);
                kept[j] = put(old);
            }
        }
}

/* states (D, I, H): those of `rows` sequences. starts (steps,): the first place of each step. lengths (rows,). The
   results are the maximum, the total and the step of the maximum, each (D, rows, H). */
void FUNCTION(pool_forward)(int64_t directions, int64_t places, int64_t size, int64_t rows, const int64_t *starts,
                            const int64_t *lengths, const number *states, float *maximum, float *total,
                            int32_t *step_of_maximum)
{
#pragma omp parallel for collapse(2) schedule(dynamic, 64)
    for (int64_t d = 0; d < directions; d++)
        for (int64_t i = 0; i < rows; i++) {
            float *highest = maximum + (d * rows + i) * size, *sum = total + (d * rows + i) * size;
            int32_t *at = step_of_maximum + (d * rows + i) * size;
            for (int64_t step = 0; step < lengths[i]; step++) {
                const number *state = states + (d * places + starts[step] + i) * size;
#pragma omp simd
                for (int64_t j = 0; j < size; j++) {
                    const float value = get(state[j]);
                    const int32_t higher = step == 0 || value > highest[j];
                    highest[j] = higher ? value : highest[j];
                    at[j] = higher ? (int32_t)step : at[j];
                    sum[j] = step == 0 ? value : sum[j] + value;
                }
            }
        }
}

void FUNCTION(pool_backward)(int64_t directions, int64_t places, int64_t size, int64_t rows, const int64_t *starts,
                             const int64_t *lengths, const float *grad_maximum, const float *grad_total,
                             const int32_t *step_of_maximum, number *grad)
{
#pragma omp parallel for collapse(2) schedule(dynamic, 64)
    for (int64_t d = 0; d < directions; d++)
        for (int64_t i = 0; i < rows; i++) {
            const int64_t row = (d * rows + i) * size;
            for (int64_t step = 0; step < lengths[i]; step++) {
                number *out = grad + (d * places + starts[step] + i) * size;
#pragma omp simd
                for (int64_t j = 0; j < size; j++)
                    out[j] = put(grad_total[row + j] + (step_of_maximum[row + j] == step ? grad_maximum[row + j] : 0));
            }
        }
}
