#pragma once
#include <stdint.h>

/// Tokens are the lanes of the operator's vectors: every tile holds one value for each of 64 consecutive tokens of a head.
enum { TOKEN_LANES = 64 };

/// The features of the symmetric power that share their first p − 1 factors; laid out as `SymmetricPower.Run` in Swift.
typedef struct {
    uint16_t first, second, third;
    uint16_t start, length;
    uint16_t head_length, head_coefficient, tail_coefficient;
} feature_run;

/// Where a block of consecutive features begins: `offset` features into run `run`.
typedef struct {
    int32_t run, offset;
} feature_position;

/// `phi [count, ld]` for `lanes` tokens: the features from `position` on of the columns of `x [d, ldx]`; with `weighted`,
/// times their multinomial coefficients. `lanes` is a multiple of 64.
void expand_features(const feature_run *runs, feature_position position, intptr_t count, int32_t degree, const float *x,
                     intptr_t ldx, intptr_t lanes, int32_t weighted, float *phi, intptr_t ld);

/// The chain rule of `expand_features` for 64 tokens: adds to `dx [d, 64]` what `dphi [count, 64]` asks of it.
void contract_features(const feature_run *runs, feature_position position, intptr_t count, int32_t degree, const float *x,
                       const float *dphi, int32_t weighted, float *dx);

/// `out [d, ld]` = the transpose of `rows` rows of `x` times `factor`; columns from `rows` to `lanes` become zero.
void transpose_tokens(const float *x, intptr_t stride, intptr_t rows, intptr_t d, const float *factor, float *out, intptr_t ld,
                      intptr_t lanes);

/// `sum [64] += Σ_f weight[f]·tile[f, :]` for `rows` rows of 64. In double: sums over features cancel where a query is nearly
/// orthogonal to the keys.
void combine_rows(const float *tile, const float *weight, intptr_t rows, double *sum);

/// `sum[f] += Σ_l tile[f, l]·weight[l]` over `lanes` columns, a multiple of 64.
void combine_lanes(const float *tile, intptr_t ld, intptr_t rows, const float *weight, intptr_t lanes, float *sum);

/// `tile [rows, 64] += column[r]·row[l]`.
void add_outer_product(float *tile, const float *column, const float *row, intptr_t rows);

/// `x *= factor`.
void scale_elements(float *x, float factor, intptr_t count);

/// `tile [rows, 64] *= row[l]`.
void scale_lanes(float *tile, const float *row, intptr_t rows);

/// `factor [64, 64]`: element (j, l) is `exp(gate[l] − gate[j])` for j ≤ l < count, else 0; ones where `gate` is NULL.
void diagonal_decay(const double *gate, intptr_t count, float *factor);

/// `weight[j] = exp(gate[j] − reference)` with both signs: `sign` is 1 for queries, −1 for keys; the exponent is at most 0.
void relative_decay(const double *gate, double reference, double sign, intptr_t count, float *weight);

/// Scores [rows, 64] become weights: `score^degree · factor`, and `normalizer[l]` gains their sum over the rows. The factor
/// is a tile where `tile_factor` is given, else `key_factor[j]·query_factor[l]`.
void power_weights(int32_t degree, intptr_t rows, float *score, const float *tile_factor, const float *key_factor,
                   const float *query_factor, float *normalizer);

/// The backward pass of `power_weights`: from the scores and the gradients of the weights (`gradient[j, l] + offset[l]`),
/// scores become weights and gradients become gradients of the scores.
void power_weights_backward(int32_t degree, intptr_t rows, float *score, float *gradient, const float *tile_factor,
                            const float *key_factor, const float *query_factor, const float *offset);

/// The keys that a query may see: row j and lane l of the tile stand for tokens `key + j` and `query + l` of the sequence.
typedef struct {
    intptr_t key, query, window;
    /// Cumulative log-gates from `key` and from `query` on, or NULL.
    const double *key_gate, *query_gate;
} exponential_mask;

/// One step of the streaming softmax: scores [rows, 64] become `exp(scale·score + gate − maximum)`; `maximum`, `sum` and the
/// factor by which earlier sums shrink are updated.
void exponential_weights(intptr_t rows, intptr_t lanes, float *score, float scale, const exponential_mask *mask, float *maximum,
                         float *sum, float *shrink);

/// The backward pass: `score` becomes the normalized weight, `gradient` that of the score; `key_sum[j]` gains Σ_l of the
/// gradients of the exponents.
void exponential_weights_backward(intptr_t rows, intptr_t lanes, float *score, float *gradient, float scale,
                                  const exponential_mask *mask, const float *log_sum, const float *offset, float *key_sum);

/// `out[l·stride + i] (+)= tile[i, l]·factor[l]` for the first `rows` of 64 tokens.
void store_tokens(const float *tile, intptr_t d, intptr_t rows, const double *factor, float *out, intptr_t stride,
                  int32_t accumulate);

/// `out[l, ld] = x[l·stride + i]·factor[l]` for `rows` tokens, without transposing; columns from `d` to `ld` become zero.
void scale_tokens(const float *x, intptr_t stride, intptr_t rows, intptr_t d, const float *factor, float *out, intptr_t ld);

/// `Σ x·y`, accumulated in double.
double inner_product(const float *x, const float *y, intptr_t count);

/// The largest magnitude.
float largest_magnitude(const float *x, intptr_t count);

/// What one query reads from a state: `y [e] += φ(q)ᵀS`, `normalizer += φ(q)ᵀz`.
void recurrent_answer(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t e, const float *q, const float *S,
                      const float *z, float *y, double *normalizer);

/// What the queries in the columns of `x [padded d, 64]` read from a state, in double: `y [e, 64] += φ(x)ᵀS`, `normalizer [64] +=
/// φ(x)ᵀz`, for the first `lanes` of them, a multiple of 8.
void read_state_double(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t e, const float *x, intptr_t lanes,
                       const float *S, const float *z, double *y, double *normalizer);

/// The chain rule of `read_state_double`: adds to `dx [padded d, 64]` what the gradients of the answers `[e, 64]` and of the
/// normalizers `weight [64]` ask of the queries.
void read_state_gradient_double(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t e, const float *x,
                                intptr_t lanes, const float *S, const float *z, const float *gradient, const float *weight,
                                double *dx);

/// The recurrent form for one token of one key head and the `group` query heads that read it: `y [group, e] += decay·φ(q)ᵀS +
/// (q·k)^p v`, `normalizer [group] += decay·φ(q)ᵀz + (q·k)^p`, then `S = decay·S + φ(k) vᵀ` and `z = decay·z + φ(k)`. The token's
/// own weight is taken from the inner product itself, which is exact where the sum over features cancels. `q` is `[group,
/// padded d]`; coefficients are on the side of the query.
void recurrent_step(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t d, intptr_t e, intptr_t group,
                    const float *q, intptr_t q_stride, const float *k, const float *v, float decay, float *S, float *z,
                    float *y, double *normalizer);

/// For `rows` rows of width `e`: `offset[r·row_stride] = −factor[r·row_stride]·Σ dy·y`.
void row_offsets(const float *dy, const float *y, intptr_t stride, intptr_t rows, intptr_t e, const float *factor,
                 intptr_t row_stride, float *offset);
