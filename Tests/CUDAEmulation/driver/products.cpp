// cuBLASLt: products of matrices in columns, float32 or bfloat16, sums in float32.
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>

#include "driver.hpp"

enum cublasStatus : int {
    CUBLAS_SUCCESS = 0,
    CUBLAS_INVALID_VALUE = 7,
    CUBLAS_NOT_SUPPORTED = 15,
};

namespace {

enum { R_32F = 0, R_16BF = 14, COMPUTE_32F = 68 };

enum Epilogue : uint32_t { NOTHING = 1, GELU_AUX = 160, DGELU = 192 };

struct Product {
    int32_t transposeA = 0, transposeB = 0;
    uint32_t epilogue = NOTHING;
    uint64_t auxiliary = 0;
    int64_t auxiliaryStride = 0;
};

struct Layout {
    int type;
    uint64_t rows, columns;
    int64_t stride;

    size_t bytes() const { return ((columns - 1) * stride + rows) * (type == R_16BF ? 2 : 4); }
};

struct Preference {
    uint32_t alignments[4] = {256, 256, 256, 256};
};

struct Heuristic {
    uint64_t algorithm[8];
    size_t workspaceBytes;
    int status;
    float waves;
    int reserved[4];
};

float element(const Layout &layout, uint64_t address, size_t row, size_t column) {
    const size_t place = column * layout.stride + row;
    if (layout.type != R_16BF) return reinterpret_cast<const float *>(address)[place];
    const uint32_t bits = uint32_t(reinterpret_cast<const uint16_t *>(address)[place]) << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void setElement(const Layout &layout, uint64_t address, size_t row, size_t column, float value) {
    const size_t place = column * layout.stride + row;
    if (layout.type != R_16BF) {
        reinterpret_cast<float *>(address)[place] = value;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const bool isNaN = (bits & 0x7fffffff) > 0x7f800000;
    reinterpret_cast<uint16_t *>(address)[place] = isNaN ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

float geluInner(float x) { return 0.7978845608f * (x + 0.044715f * x * x * x); }

// The matrix op(X) as rows of `depth` numbers: those of A by their rows, those of B by their columns.
std::vector<float> gathered(const Layout &layout, uint64_t address, bool byRows, size_t count, size_t depth) {
    std::vector<float> result(count * depth);
    for (size_t i = 0; i < count; ++i)
        for (size_t n = 0; n < depth; ++n) result[i * depth + n] = byRows ? element(layout, address, i, n) : element(layout, address, n, i);
    return result;
}

}  // namespace

EXPORTED size_t cublasLtGetVersion() { return 130000; }
EXPORTED cublasStatus cublasLtCreate(void **handle) {
    *handle = new int;
    return CUBLAS_SUCCESS;
}
EXPORTED cublasStatus cublasLtDestroy(void *handle) {
    delete static_cast<int *>(handle);
    return CUBLAS_SUCCESS;
}

EXPORTED cublasStatus cublasLtMatmulDescCreate(Product **product, int compute, int scale) {
    if (compute != COMPUTE_32F || scale != R_32F) return CUBLAS_NOT_SUPPORTED;
    *product = new Product;
    return CUBLAS_SUCCESS;
}
EXPORTED cublasStatus cublasLtMatmulDescDestroy(Product *product) {
    delete product;
    return CUBLAS_SUCCESS;
}
EXPORTED cublasStatus cublasLtMatmulDescSetAttribute(Product *product, int attribute, const void *value, size_t bytes) {
    void *place;
    switch (attribute) {
    case 3: place = &product->transposeA; break;
    case 4: place = &product->transposeB; break;
    case 7: place = &product->epilogue; break;
    case 11: place = &product->auxiliary; break;
    case 12: place = &product->auxiliaryStride; break;
    default: return CUBLAS_NOT_SUPPORTED;
    }
    if (bytes != (attribute > 7 ? 8 : 4)) return CUBLAS_INVALID_VALUE;
    memcpy(place, value, bytes);
    return CUBLAS_SUCCESS;
}

EXPORTED cublasStatus cublasLtMatrixLayoutCreate(Layout **layout, int type, uint64_t rows, uint64_t columns, int64_t stride) {
    if (type != R_32F && type != R_16BF) return CUBLAS_NOT_SUPPORTED;
    if (rows == 0 || columns == 0 || stride < int64_t(rows)) return CUBLAS_INVALID_VALUE;
    *layout = new Layout{type, rows, columns, stride};
    return CUBLAS_SUCCESS;
}
EXPORTED cublasStatus cublasLtMatrixLayoutDestroy(Layout *layout) {
    delete layout;
    return CUBLAS_SUCCESS;
}

EXPORTED cublasStatus cublasLtMatmulPreferenceCreate(Preference **preference) {
    *preference = new Preference;
    return CUBLAS_SUCCESS;
}
EXPORTED cublasStatus cublasLtMatmulPreferenceDestroy(Preference *preference) {
    delete preference;
    return CUBLAS_SUCCESS;
}
EXPORTED cublasStatus cublasLtMatmulPreferenceSetAttribute(Preference *preference, int attribute, const void *value, size_t bytes) {
    if (attribute == 1) return bytes == 8 ? CUBLAS_SUCCESS : CUBLAS_INVALID_VALUE;
    if (attribute < 5 || attribute > 8 || bytes != 4) return CUBLAS_INVALID_VALUE;
    memcpy(&preference->alignments[attribute - 5], value, 4);
    return CUBLAS_SUCCESS;
}

// The algorithm that is noted is the alignments that it was chosen for.
EXPORTED cublasStatus cublasLtMatmulAlgoGetHeuristic(
    void *, const Product *product, const Layout *a, const Layout *b, const Layout *c, const Layout *d, const Preference *preference,
    int room, Heuristic *results, int *count
) {
    const uint64_t m = product->transposeA ? a->columns : a->rows, k = product->transposeA ? a->rows : a->columns;
    const uint64_t n = product->transposeB ? b->rows : b->columns;
    if ((product->transposeB ? b->columns : b->rows) != k || c->rows != m || c->columns != n || d->rows != m || d->columns != n)
        return CUBLAS_INVALID_VALUE;
    if (a->type != b->type || c->type != d->type || (a->type == R_32F && c->type != R_32F)) return CUBLAS_NOT_SUPPORTED;
    if (product->epilogue != NOTHING) {
        if (product->epilogue != GELU_AUX && product->epilogue != DGELU) return CUBLAS_NOT_SUPPORTED;
        if (d->type != R_16BF || product->auxiliaryStride % 8 != 0 || product->auxiliary % 16 != 0) return CUBLAS_NOT_SUPPORTED;
    }
    *count = room > 0;
    if (room < 1) return CUBLAS_SUCCESS;
    memset(results, 0, sizeof *results);
    for (int i = 0; i < 4; ++i) results->algorithm[i] = preference->alignments[i];
    return CUBLAS_SUCCESS;
}

EXPORTED cublasStatus cublasLtMatmul(
    void *, const Product *product, const float *alpha, uint64_t a, const Layout *aLayout, uint64_t b, const Layout *bLayout,
    const float *beta, uint64_t c, const Layout *cLayout, uint64_t d, const Layout *dLayout, const Heuristic *heuristic, uint64_t workspace,
    size_t workspaceBytes, Stream *stream
) {
    const uint64_t places[4] = {a, b, c, d};
    const Layout *layouts[4] = {aLayout, bLayout, cLayout, dLayout};
    for (int i = 0; i < 4; ++i) {
        if (places[i] % heuristic->algorithm[i] != 0) return CUBLAS_INVALID_VALUE;
        if (!isAllocated(places[i], layouts[i]->bytes())) return CUBLAS_INVALID_VALUE;
    }
    if (!isAllocated(workspace, workspaceBytes)) return CUBLAS_INVALID_VALUE;
    const Layout A = *aLayout, B = *bLayout, C = *cLayout, D = *dLayout;
    const bool transposeA = product->transposeA != 0, transposeB = product->transposeB != 0;
    const float first = *alpha, second = *beta;
    const uint32_t epilogue = product->epilogue;
    const uint64_t auxiliary = product->auxiliary;
    const Layout H{D.type, D.rows, D.columns, product->auxiliaryStride};
    if (epilogue != NOTHING && !isAllocated(auxiliary, H.bytes())) return CUBLAS_INVALID_VALUE;
    const CUresult result = submit(stream, [=] {
        const size_t m = D.rows, n = D.columns, k = transposeA ? A.rows : A.columns;
        const std::vector<float> left = gathered(A, a, !transposeA, m, k), right = gathered(B, b, transposeB, n, k);
        auto compute = [&](size_t begin, size_t end) {
            for (size_t column = begin; column < end; ++column)
                for (size_t row = 0; row < m; ++row) {
                    const float *x = &left[row * k], *y = &right[column * k];
                    float lanes[8] = {}, sum = 0;
                    size_t i = 0;
                    for (; i + 8 <= k; i += 8)
                        for (int lane = 0; lane < 8; ++lane) lanes[lane] += x[i + lane] * y[i + lane];
                    for (float lane : lanes) sum += lane;
                    for (; i < k; ++i) sum += x[i] * y[i];
                    sum *= first;
                    if (second != 0) sum += second * element(C, c, row, column);
                    if (epilogue == GELU_AUX) {
                        setElement(H, auxiliary, row, column, sum);
                        sum *= (1 + std::tanh(geluInner(sum))) / 2;
                    } else if (epilogue == DGELU) {
                        const float h = element(H, auxiliary, row, column), t = std::tanh(geluInner(h));
                        sum *= (1 + t) / 2 + h * (1 - t * t) / 2 * 0.7978845608f * (1 + 3 * 0.044715f * h * h);
                    }
                    setElement(D, d, row, column, sum);
                }
        };
        std::thread other(compute, n / 2, n);
        compute(0, n / 2);
        other.join();
        return SUCCESS;
    });
    return result == SUCCESS ? CUBLAS_SUCCESS : CUBLAS_INVALID_VALUE;
}
