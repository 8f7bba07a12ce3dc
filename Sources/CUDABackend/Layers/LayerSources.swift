import CUDARuntime
import Tensors

/// The kernels of layers, as they are compiled.
enum LayerSources {
    /// - Parameter vector: numbers that a thread reads at once: one, or 16 bytes of them.
    static func source(
        _ file: String, _ function: String, _ activations: DataType, vector: Int, _ macros: [(String, Int)] = []
    ) -> KernelSource {
        KernelSource(
            "layers/\(file).cu", function, macros: [("ACTIVATION", activations.kernelInput), ("VECTOR", vector)] + macros)
    }

    /// All of them, for rows of common widths.
    static func all(_ activations: DataType, _ limits: CardLimits) throws(PowerAttentionError) -> [KernelSource] {
        var sources: [KernelSource] = []
        for vector in [16 / activations.byteCount, 1] {
            func add(_ file: String, _ functions: [String], _ macros: [(String, Int)] = []) {
                sources += functions.map { source(file, $0, activations, vector: vector, macros) }
            }
            add(
                "pointwise",
                ["gelu", "gelu_backward", "swiglu", "swiglu_backward", "add_bias", "rotate", "set_columns"])
            add("gate", ["log_sigmoid", "log_sigmoid_backward", "log_sigmoid_backward_columns"])
            add("sums", ["add_partial_sums", "sum_columns", "add_sum"])
            add("embedding", ["embed", "count_digits", "sort_by_digit", "embed_backward", "join_embed_backward"])
            add("optimizer", ["square_sums", "decide_update", "adamw"])
            for (threads, keepsRow) in [(64, 0), (512, 0)] + (vector > 1 ? [(64, 1), (512, 1)] : []) {
                add("loss", ["cross_entropy"], [("THREADS", threads), ("KEPT", keepsRow)])
            }
            for width in [32, 64, 96, 128, 1024] {
                let configuration = try NormConfiguration(width: width * vector, vector: vector)
                for isCentered in [0, 1] {
                    add("norm", ["normalize", "norm_backward"], configuration.macros + [("CENTERED", isCentered)])
                }
            }
        }
        if activations == .bfloat16 {
            for tiles in [1, 2] {
                sources.append(source("gate", "project_gates", activations, vector: 1, [("TILES", tiles)]))
            }
            if limits.isHopper {
                sources += [TiledProduct.odds.source, TiledProduct.projections.source]
                sources += CUDALayers.oddsFunctions.map { source("odds", $0, activations, vector: 8) }
            }
        }
        return sources
    }
}
