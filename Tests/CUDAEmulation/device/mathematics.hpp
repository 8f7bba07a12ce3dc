// The mathematics of CUDA: the C library's, and the overloads for both types that CUDA has outside of namespaces.
#pragma once

extern "C" {
float exp2f(float) noexcept;
float expf(float) noexcept;
float log2f(float) noexcept;
float logf(float) noexcept;
float log1pf(float) noexcept;
float expm1f(float) noexcept;
float ldexpf(float, int) noexcept;
float frexpf(float, int *) noexcept;
float sqrtf(float) noexcept;
float fabsf(float) noexcept;
float fmaxf(float, float) noexcept;
float fminf(float, float) noexcept;
float fmaf(float, float, float) noexcept;
float powf(float, float) noexcept;
float tanhf(float) noexcept;
float sinf(float) noexcept;
float cosf(float) noexcept;
float floorf(float) noexcept;
float ceilf(float) noexcept;
float rintf(float) noexcept;
float truncf(float) noexcept;
float copysignf(float, float) noexcept;
int ilogbf(float) noexcept;
double exp2(double) noexcept;
double exp(double) noexcept;
double log2(double) noexcept;
double log(double) noexcept;
double log1p(double) noexcept;
double expm1(double) noexcept;
double ldexp(double, int) noexcept;
double frexp(double, int *) noexcept;
double sqrt(double) noexcept;
double fabs(double) noexcept;
double fmax(double, double) noexcept;
double fmin(double, double) noexcept;
double fma(double, double, double) noexcept;
double pow(double, double) noexcept;
double tanh(double) noexcept;
double floor(double) noexcept;
double ceil(double) noexcept;
double rint(double) noexcept;
double copysign(double, double) noexcept;
int abs(int) noexcept;
}

static inline float exp2(float x) { return exp2f(x); }
static inline float exp(float x) { return expf(x); }
static inline float log2(float x) { return log2f(x); }
static inline float log(float x) { return logf(x); }
static inline float log1p(float x) { return log1pf(x); }
static inline float expm1(float x) { return expm1f(x); }
static inline float ldexp(float x, int n) { return ldexpf(x, n); }
static inline float sqrt(float x) { return sqrtf(x); }
static inline float fabs(float x) { return __builtin_fabsf(x); }
static inline float fmax(float x, float y) { return fmaxf(x, y); }
static inline float fmin(float x, float y) { return fminf(x, y); }
static inline float fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
static inline float pow(float x, float y) { return powf(x, y); }
static inline float tanh(float x) { return tanhf(x); }
static inline float floor(float x) { return floorf(x); }
static inline float abs(float x) { return __builtin_fabsf(x); }
static inline double abs(double x) { return __builtin_fabs(x); }

static inline float rsqrtf(float x) { return static_cast<float>(1 / __builtin_sqrt(static_cast<double>(x))); }
static inline double rsqrt(double x) { return 1 / __builtin_sqrt(x); }
static inline float rsqrt(float x) { return rsqrtf(x); }
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1 / x; }
static inline float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
static inline float __fmaf_rn(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
// Never contracted with other operations.
static inline float __fadd_rn(float x, float y) {
    volatile float result = x + y;
    return result;
}
static inline float __fmul_rn(float x, float y) {
    volatile float result = x * y;
    return result;
}
static inline float __expf(float x) { return expf(x); }
static inline float __exp2f(float x) { return exp2f(x); }
static inline float __logf(float x) { return logf(x); }
static inline float __log2f(float x) { return log2f(x); }
static inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
template <typename Number>
static inline bool isnan(Number x) { return __builtin_isnan(x); }
template <typename Number>
static inline bool isinf(Number x) { return __builtin_isinf(x); }
template <typename Number>
static inline bool isfinite(Number x) { return __builtin_isfinite(x); }

#define EMULATION_EXTREMA(result, left, right)                                                                   \
    static inline result min(left x, right y) {                                                                  \
        return static_cast<result>(x) < static_cast<result>(y) ? static_cast<result>(x) : static_cast<result>(y); \
    }                                                                                                            \
    static inline result max(left x, right y) {                                                                  \
        return static_cast<result>(x) > static_cast<result>(y) ? static_cast<result>(x) : static_cast<result>(y); \
    }
EMULATION_EXTREMA(int, int, int)
EMULATION_EXTREMA(unsigned, unsigned, unsigned)
EMULATION_EXTREMA(unsigned, int, unsigned)
EMULATION_EXTREMA(unsigned, unsigned, int)
EMULATION_EXTREMA(long, long, long)
EMULATION_EXTREMA(unsigned long, unsigned long, unsigned long)
EMULATION_EXTREMA(long long, long long, long long)
EMULATION_EXTREMA(unsigned long long, unsigned long long, unsigned long long)
#undef EMULATION_EXTREMA
static inline float min(float x, float y) { return __builtin_fminf(x, y); }
static inline float max(float x, float y) { return __builtin_fmaxf(x, y); }
static inline double min(double x, double y) { return __builtin_fmin(x, y); }
static inline double max(double x, double y) { return __builtin_fmax(x, y); }
static inline double min(float x, double y) { return __builtin_fmin(x, y); }
static inline double max(float x, double y) { return __builtin_fmax(x, y); }
static inline double min(double x, float y) { return __builtin_fmin(x, y); }
static inline double max(double x, float y) { return __builtin_fmax(x, y); }
