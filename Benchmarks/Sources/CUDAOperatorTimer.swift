import BackendInterface
import CUDABackend
import CUDARuntime
import PowerAttention
import Tensors

/// Times the operator on an NVIDIA card with inputs that are in its memory: by events, the second-level cache flushed before every run.
struct CUDAOperatorTimer: OperatorTimer {
    private let context: CUDAContext
    private let pass: AttentionPass?
    private let step: StepPass?
    private let inputs: DeviceTensors
    private let flushed: DeviceMemory

    /// The tensors of the benchmark on the card.
    private struct DeviceTensors: Sendable {
        let q, k, v, y, dy: DeviceMemory
        let logG: DeviceMemory?
        let S, z, exponents: DeviceMemory?

        var inputs: PassInputs {
            PassInputs(q: q.pointer, k: k.pointer, v: v.pointer, logG: logG?.pointer)
        }
    }

    init(_ benchmark: OperatorBenchmark) throws(PowerAttentionError) {
        let context = try CUDABackend.shared().context
        self.context = context
        let given = benchmark.inputs()
        let attention = try AttentionOperator(benchmark.configuration, device: .cuda)
        let problem = try attention.problem(given, cuSeqlens: nil, finalState: given.initialState != nil)
        let (type, isGated) = (benchmark.dataType, benchmark.gated)
        if given.initialState != nil {
            (pass, step) = (nil, try StepPass(context, problem, dataType: type, isGated: isGated))
        } else {
            (pass, step) = (try AttentionPass(context, problem, dataType: type, isGated: isGated), nil)
        }
        let dy = benchmark.outputGradient()
        inputs = DeviceTensors(
            q: try context.upload(given.q), k: try context.upload(given.k), v: try context.upload(given.v),
            y: try context.upload(dy), dy: try context.upload(dy),
            logG: try given.logG.map { tensor throws(PowerAttentionError) in try context.upload(tensor) },
            S: try given.initialState.map { state throws(PowerAttentionError) in try context.upload(state.S) },
            z: try given.initialState.map { state throws(PowerAttentionError) in try context.upload(state.z) },
            exponents: try given.initialState.map { state throws(PowerAttentionError) in try context.upload(state.exponent) })
        flushed = try context.allocate(256 << 20)
    }

    var cardName: String { context.properties.name }
    var driverVersion: String { CUDAInstallation.current(cache: nil).driverRelease ?? "unknown" }

    func prepare() throws(PowerAttentionError) -> Double {
        let start = ContinuousClock.now
        try pass?.prepare()
        try step?.prepare()
        return (ContinuousClock.now - start) / .seconds(1)
    }

    func time(_ kind: OperatorPass, rounds: Int, calls: Int) throws(PowerAttentionError) -> [Double] {
        let forward = kind == .backward ? try pass?.forward(inputs.inputs) : nil
        return try time(rounds: rounds, calls: calls) { () throws(PowerAttentionError) in try run(kind, forward) }
    }

    func timeCopy(bytes: Int, rounds: Int, calls: Int) throws(PowerAttentionError) -> [Double] {
        let source = try context.allocate(max(bytes / 2, 1)), destination = try context.allocate(source.byteCount)
        try context.fill(source.pointer, byte: 0, byteCount: source.byteCount)
        return try time(rounds: rounds, calls: calls) { () throws(PowerAttentionError) in
            try context.copy(source.pointer, to: destination.pointer, byteCount: source.byteCount)
        }
    }

    /// The seconds of a call on the device in some runs, after two that are not counted.
    private func time(
        rounds: Int, calls: Int, _ call: () throws(PowerAttentionError) -> Void
    ) throws(PowerAttentionError) -> [Double] {
        var seconds: [Double] = []
        for round in -2..<rounds {
            try context.fill(flushed.pointer, byte: UInt8(truncatingIfNeeded: round), byteCount: flushed.byteCount)
            let start = try context.recordEvent()
            for _ in 0..<calls { try call() }
            let end = try context.recordEvent()
            let milliseconds = try end.milliseconds(since: start)
            if round >= 0 { seconds.append(milliseconds / 1e3 / Double(calls)) }
        }
        return seconds
    }

    private func run(_ kind: OperatorPass, _ forward: PassOutput?) throws(PowerAttentionError) {
        if let step, let S = inputs.S, let z = inputs.z, let exponents = inputs.exponents {
            return try step.advance(
                inputs.inputs, S: S.pointer, z: z.pointer, exponents: exponents.pointer, isUsed: nil, into: inputs.y.pointer)
        }
        guard let pass else { return }
        let output = if let forward { forward } else { try pass.forward(inputs.inputs, forBackward: kind != .forward) }
        if kind != .forward { _ = try pass.backward(inputs.inputs, output, dy: inputs.dy.pointer) }
    }
}
