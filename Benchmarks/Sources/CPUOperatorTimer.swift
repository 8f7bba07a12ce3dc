import PowerAttention

/// Times the operator on the processor by the wall clock; the first run of each is not counted.
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

    func time(_ pass: OperatorPass, rounds: Int) throws(PowerAttentionError) -> [Double] {
        let context = pass == .backward ? try attention.forward(inputs).context : nil
        var seconds: [Double] = []
        for round in 0...rounds {
            let start = ContinuousClock.now
            switch pass {
            case .forward: _ = try attention.forward(inputs)
            case .decode: _ = try attention.forward(inputs, finalState: true)
            case .backward, .both:
                let context = if let context { context } else { try attention.forward(inputs).context }
                _ = try attention.backward(inputs, context: context, outputGradient: gradient)
            }
            if round > 0 { seconds.append((ContinuousClock.now - start) / .seconds(1)) }
        }
        return seconds
    }
}
