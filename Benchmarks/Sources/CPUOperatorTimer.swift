import PowerAttention

/// Times the operator on the processor by the wall clock; the first run of each pass is not counted.
struct CPUOperatorTimer: OperatorTimer {
    private let attention: AttentionOperator
    private let inputs: AttentionInputs
    private let gradient: Tensor
    private let machine = Machine()

    init(_ benchmark: OperatorBenchmark, device: Device) throws(PowerAttentionError) {
        attention = try AttentionOperator(benchmark.configuration, device: device)
        inputs = benchmark.inputs()
        gradient = benchmark.outputGradient()
    }

    var cardName: String { "\(machine.processor), \(machine.cores) cores" }
    var driverVersion: String { machine.system }

    func prepare() throws(PowerAttentionError) -> Double { 0 }

    func time(_ pass: OperatorPass, rounds: Int, calls: Int) throws(PowerAttentionError) -> [Double] {
        let context = pass == .backward ? try attention.forward(inputs).context : nil
        var seconds: [Double] = []
        for round in 0...rounds {
            let start = ContinuousClock.now
            for _ in 0..<calls { try run(pass, context) }
            if round > 0 { seconds.append((ContinuousClock.now - start) / .seconds(calls)) }
        }
        return seconds
    }

    private func run(_ pass: OperatorPass, _ context: AttentionContext?) throws(PowerAttentionError) {
        switch pass {
        case .forward: _ = try attention.forward(inputs)
        case .decode: _ = try attention.forward(inputs, finalState: true)
        case .backward, .both:
            let context = if let context { context } else { try attention.forward(inputs).context }
            _ = try attention.backward(inputs, context: context, outputGradient: gradient)
        }
    }

    func timeCopy(bytes: Int, rounds: Int, calls: Int) -> [Double] {
        let source = [UInt8](repeating: 1, count: max(bytes / 2, 1))
        var destination = [UInt8](repeating: 0, count: source.count)
        let share = (source.count + machine.cores - 1) / machine.cores
        return source.withUnsafeBufferPointer { source in
            destination.withUnsafeMutableBufferPointer { destination in
                guard let from = source.baseAddress, let to = destination.baseAddress else { return [] }
                let (source, count, target) = (SharedReadOnly(from), source.count, Shared(to))
                return (0...rounds).map { _ in
                    Timing.seconds {
                        for _ in 0..<calls {
                            parallelFor(machine.cores) { core in
                                let start = min(core * share, count)
                                (target.pointer + start).update(from: source.pointer + start, count: min(share, count - start))
                            }
                        }
                    } / Double(calls)
                }.suffix(rounds)
            }
        }
    }
}
