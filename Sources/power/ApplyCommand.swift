import ArgumentParser
import CUDABackend
import CUDARuntime
import Foundation
import PowerAttention
import Tensors

/// `power apply`: the operator on safetensors files.
struct ApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Apply power attention, forward and backward, to tensors in a safetensors file.",
        discussion: """
            IN holds q [b, t, hq, d], k [b, t, h, d] and v [b, t, h, e] in float32, float16 or bfloat16; optionally log_g [b, t, h] \
            (float32, the logarithms of the gates), dy [b, t, hq, e], and cu_seqlens (int32, the offsets from 0 to t of sequences \
            that are packed into a batch of one).

            OUT gets y [b, t, hq, e], and with dy also dq, dk, dv, and dlog_g where there are gates, in the type of the inputs \
            (dlog_g in float32).

              power apply in.safetensors -o out.safetensors --degree 2
              power apply first.safetensors -o y1.safetensors --degree 2 --state-out state.safetensors
              power apply second.safetensors -o y2.safetensors --degree 2 --state-in state.safetensors
            """)

    @Argument(help: ArgumentHelp("The file with the inputs.", valueName: "in")) var input: String
    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "out")) var output: String
    @Option(help: "The power p: 1, 2, 3 or 4.") var degree: Int
    @Option(help: "Multiplies the inner products of queries and keys; 1/√d if not given.") var scale: Double?
    @Option(help: "Tokens in a chunk; chosen by cost if not given.") var chunkSize: Int?
    @Option(help: "How to compute it: auto, attention, chunked or recurrent.") var form = AttentionConfiguration.Form.automatic
    @Option(help: "What the weighted sum is divided by: the sum of the weights, or none. Sum for even degrees, none for odd.")
    var normalization: AttentionConfiguration.Normalization?
    @Option(help: "The tile of the symmetric power, which sets the size of the state; 1 is the smallest.") var tile = 1
    @Option(help: "Where to compute it: cpu, cuda, or reference (float64, slow).") var device = Device.cpu
    @Flag(help: "Say which form is chosen and why and, on a GPU, print every kernel that is launched.") var verbose = false
    @Option(help: ArgumentHelp("A state to start from, as --state-out wrote it.", valueName: "file")) var stateIn: String?
    @Option(help: ArgumentHelp("Where to write the state after the last token.", valueName: "file")) var stateOut: String?

    func run() throws {
        if let stateOut, Self.location(stateOut) == Self.location(output) {
            throw PowerAttentionError(argument: "state-out", given: stateOut, expected: "another file than the output")
        }
        let attention = try AttentionOperator(
            AttentionConfiguration(
                .power(degree: degree), normalization: normalization, scale: scale, form: form, chunkSize: chunkSize,
                tile: tile),
            device: device)
        let inputs = try ApplyInputs(contentsOf: input)
        if verbose { try explain(attention, inputs) }
        let initialState = try stateIn.map { try RecurrentState.read($0) }
        var result = SafetensorsFile()
        var finalState: RecurrentState?
        if stateOut != nil {
            let (y, state) = try attention.forwardWithState(
                q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, cuSeqlens: inputs.cuSeqlens,
                initialState: initialState)
            result.tensors["y"] = y
            finalState = state
        } else {
            result.tensors["y"] = try attention.forward(
                q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, cuSeqlens: inputs.cuSeqlens,
                initialState: initialState)
        }
        if let dy = inputs.dy {
            let gradients = try attention.backward(
                q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, cuSeqlens: inputs.cuSeqlens,
                initialState: initialState, dy: dy)
            result.tensors["dq"] = gradients.q
            result.tensors["dk"] = gradients.k
            result.tensors["dv"] = gradients.v
            result.tensors["dlog_g"] = gradients.logG?.converted(to: .float32)
        }
        var outputFile = try result.staged(for: output)
        if let stateOut, let finalState {
            var stateFile = try finalState.safetensors.staged(for: stateOut)
            try stateFile.commit()
        }
        try outputFile.commit()
    }

    /// Tells the standard error what is going to happen.
    private func explain(_ attention: AttentionOperator, _ inputs: ApplyInputs) throws {
        let (q, k, v) = (inputs.q.shape, inputs.k.shape, inputs.v.shape)
        if q.count == 4, k.count == 4, v.count == 4, inputs.cuSeqlens == nil {
            let shape = AttentionShape(
                batch: q[0], length: q[1], heads: q[2], keyHeads: k[2], width: q[3], valueWidth: v[3])
            Terminal.standardError.line("power: \(try attention.describeForm(of: shape))")
        }
        guard device == .cuda else { return }
        try CUDABackend.shared().context.launchObserver = { Terminal.standardError.line("power: \($0)") }
    }

    /// The file that a path names, however it is spelled.
    private static func location(_ path: String) -> String {
        let url = URL(fileURLWithPath: path).standardizedFileURL
        return url.deletingLastPathComponent().resolvingSymlinksInPath().appendingPathComponent(url.lastPathComponent)
            .resolvingSymlinksInPath().path
    }
}
