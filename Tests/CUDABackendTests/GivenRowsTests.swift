import BackendInterface
import CUDABackend
import CUDARuntime
import Foundation
import PowerAttention
import Synchronization
import Tensors
import Testing

private let isHopper = (try? CUDABackend.shared())?.context.properties.architecture.hasPrefix("sm_90") == true

/// Where no kernel reads a state, Hopper's try queries and keys as they were given, and scale them only where a sum of weights is not of
/// ordinary size. Whatever the magnitudes, outputs and gradients are those of the definition in float64.
@Suite(.enabled(if: isHopper)) struct GivenRowsTests {
    enum Rows: CaseIterable {
        case ordinary, small, large, opposite, largeKey, unseenLargeKey, hiddenLargeKeys
        case someZeroQueries, zeroQueries, zeroFirstKeys

        /// Whether a number is large, or the sum of weights of a row that is not all zeros is small.
        var needsScaling: Bool { ![.ordinary, .someZeroQueries, .zeroQueries].contains(self) }

        /// What the numbers of a token's queries are multiplied by.
        func queryFactor(_ token: Int, _ degree: Int) -> Double {
            switch self {
            case .small: 0x1p-30
            case .large: 0x1p30
            case .opposite: 0x1p40
            // Nobody but the last query sees the last key.
            case .unseenLargeKey: token == GivenRowsTests.tokens - 1 ? 0 : Self.far(degree)
            // The sums of those that see a gate that hides the large keys before it are ordinary.
            case .hiddenLargeKeys: token < GivenRowsTests.closedGate ? 1 : Self.far(degree)
            case .someZeroQueries: token % 3 == 0 ? 0 : 1
            case .zeroQueries: 0
            default: 1
            }
        }

        /// What the numbers of a token's keys are multiplied by.
        func keyFactor(_ token: Int, _ degree: Int) -> Double {
            switch self {
            case .small: 0x1p-30
            case .large: 0x1p30
            case .opposite: 0x1p-40
            case .largeKey: token == 100 ? Self.far(degree) * Self.far(degree) : 1
            case .unseenLargeKey: token == GivenRowsTests.tokens - 1 ? Self.far(degree) : 1 / Self.far(degree)
            case .hiddenLargeKeys: token < GivenRowsTests.closedGate ? Self.far(degree) : 1 / Self.far(degree)
            case .zeroFirstKeys: token < 5 ? 0 : 1
            default: 1
            }
        }

        /// Keys that are as much smaller than one as others are larger still have a power in float32 beside those.
        private static func far(_ degree: Int) -> Double { degree == 2 ? 0x1p20 : 0x1p9 }
    }

    private static let (tokens, queryHeads, keyHeads, width) = (300, 4, 2, 32)
    /// In the middle of 64 tokens of the last sequence.
    private static let closedGate = 220

    struct Launch: Sendable {
        let function: String
        let startsEarly: Bool
        /// What the two last arguments point to.
        let last: [DevicePointer?]
    }

    @Test(arguments: Rows.allCases, [(2, false), (2, true), (4, false), (4, true)])
    func agreesWithTheDefinition(rows: Rows, call: (degree: Int, gated: Bool)) throws {
        let problem = Self.problem(call.degree)
        let (inputs, dy) = Self.inputs(rows, call.degree, gated: call.gated)
        // One of its own, in which no other test launches anything.
        let context = try CUDAContext(driver: .system(), compiler: .shared, ordinal: 0)
        let launches = Mutex<[Launch]>([])
        context.launchObserver = { launch in
            let last: [DevicePointer?] = launch.arguments.suffix(2).map {
                if case .pointer(let pointer, _) = $0 { pointer } else { nil }
            }
            launches.withLock {
                $0.append(Launch(function: launch.kernel.function, startsEarly: launch.startsEarly, last: last))
            }
        }
        let pass = try AttentionPass(context, problem, dataType: .bfloat16, isGated: call.gated)
        let given = try ([inputs.q, inputs.k, inputs.v, dy] + [inputs.logG].compactMap(\.self)).map { try context.upload($0) }
        let pointers = PassInputs(
            q: given[0].pointer, k: given[1].pointer, v: given[2].pointer, logG: call.gated ? given[4].pointer : nil)
        let output = try pass.forward(pointers)

        let all = launches.withLock { $0 }
        #expect(
            all.map(\.function) == (call.gated ? ["measure_inputs"] : []) + [
                "attention_forward", "measure_inputs", "convert_inputs", "attention_forward",
            ])
        #expect(all.map(\.startsEarly) == (call.gated ? [false] : []) + [call.gated, true, true, true])
        let (first, second) = (all[all.count - 4], all[all.count - 1])
        #expect(first.last[1] == nil && second.last[0] == nil && first.last[0] == second.last[1])
        let flag = try Self.bytes(#require(first.last[0]), 4, context)
        #expect(flag == [rows.needsScaling ? 1 : 0, 0, 0, 0])

        let results = try withExtendedLifetime(given) { try pass.backward(pointers, output, dy: given[3].pointer) }
        func tensor(_ memory: DeviceMemory, like given: Tensor) throws -> Tensor {
            let numbers = try Self.bytes(memory.pointer, memory.byteCount, context).withUnsafeBytes { bytes in
                given.dataType == .float32
                    ? Array(bytes.bindMemory(to: Float.self))
                    : bytes.bindMemory(to: UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
            }
            return Tensor(given.shape, numbers)
        }
        try Self.check(
            output: tensor(output.y, like: dy),
            AttentionGradients(
                q: tensor(#require(results.q), like: inputs.q), k: tensor(#require(results.k), like: inputs.k),
                v: tensor(#require(results.v), like: inputs.v),
                logG: results.logG.map { try tensor($0, like: #require(inputs.logG)) }, initialState: nil), problem, inputs, dy)
    }

    /// A recorded call looks at the rows that it finds, at every replay anew: its bits are those of a call that is not recorded.
    @Test func everyReplayDecides() throws {
        let context = try CUDABackend.shared().context
        let pass = try AttentionPass(context, Self.problem(2), dataType: .bfloat16, isGated: true)
        try pass.prepare()
        func upload(_ rows: Rows) throws -> [DeviceMemory] {
            let (inputs, dy) = Self.inputs(rows, 2, gated: true)
            return try [inputs.q, inputs.k, inputs.v, dy, #require(inputs.logG)].map { try context.upload($0) }
        }
        func run(_ memory: [DeviceMemory]) throws(PowerAttentionError) -> [DeviceMemory] {
            let inputs = PassInputs(
                q: memory[0].pointer, k: memory[1].pointer, v: memory[2].pointer, logG: memory[4].pointer)
            let output = try pass.forward(inputs)
            let gradients = try pass.backward(inputs, output, dy: memory[3].pointer)
            return [output.y, output.statistics] + [gradients.q, gradients.k, gradients.v, gradients.logG].compactMap(\.self)
        }
        func bits(_ memory: [DeviceMemory]) throws -> [[UInt8]] {
            try memory.map { try Self.bytes($0.pointer, $0.byteCount, context) }
        }
        let recorded = try upload(.ordinary)
        var results: [DeviceMemory] = []
        let graph = try context.capture { () throws(PowerAttentionError) in results = try run(recorded) }
        for rows in [Rows.ordinary, .opposite, .small, .ordinary] {
            let given = try upload(rows)
            let expected = try bits(run(given))
            for (memory, part) in zip(recorded, given) {
                try context.copy(part.pointer, to: memory.pointer, byteCount: part.byteCount)
            }
            try context.replay(graph)
            #expect(try bits(results) == expected, "\(rows)")
        }
    }

    /// The backward pass of tensors of the host goes by the statistics of its own forward pass.
    @Test(arguments: [Rows.ordinary, .opposite, .small]) func agreesWithTheDefinitionOnTheHost(rows: Rows) throws {
        let problem = Self.problem(2)
        let (inputs, dy) = Self.inputs(rows, 2, gated: true)
        let backend = try CUDABackend.shared()
        let result = try backend.forward(problem, inputs, finalState: false)
        let gradients = try backend.backward(
            problem, inputs, context: result.context, outputGradient: dy, finalStateGradient: nil)
        try Self.check(output: result.context.output, gradients, problem, inputs, dy)
    }

    /// A state has the units of its keys, which are measured before they are added to it.
    @Test(arguments: [Rows.ordinary, .opposite]) func aWantedStateIsOfMeasuredRows(rows: Rows) throws {
        let problem = Self.problem(2)
        let inputs = Self.inputs(rows, 2, gated: true).0
        let result = try CUDABackend.shared().forward(problem, inputs, finalState: true)
        let expected = try ReferenceBackend().forward(problem, inputs, finalState: true)
        #expect(relativeError(result.context.output, expected.context.output) <= Tolerance(.bfloat16).output)
        let (state, reference) = (try #require(result.finalState), try #require(expected.finalState))
        #expect(relativeError(Self.numbers(state), Self.numbers(reference)) <= Tolerance(.bfloat16).output)
    }

    /// S times the powers of two that it is divided by.
    private static func numbers(_ state: ExpandedState) -> Tensor {
        var S = state.S.converted(to: .float64)
        let exponents = state.exponent.withElements(of: Int32.self) { Array($0) }
        let size = S.count / exponents.count
        S.withMutableElements(of: Double.self) { numbers in
            for index in numbers.indices { numbers[index] *= exp2(2 * Double(exponents[index / size])) }
        }
        return S
    }

    private static func check(
        output: Tensor, _ gradients: AttentionGradients, _ problem: AttentionProblem, _ inputs: AttentionInputs, _ dy: Tensor
    ) throws {
        let reference = ReferenceBackend()
        let context = try reference.forward(problem, inputs, finalState: false).context
        let expected = try reference.backward(
            problem, inputs, context: context, outputGradient: dy, finalStateGradient: nil)
        let limits = Tolerance(.bfloat16)
        for (name, tensor, expected, limit) in [
            ("y", output, context.output, limits.output), ("dq", gradients.q, expected.q, limits.gradient),
            ("dk", gradients.k, expected.k, limits.gradient), ("dv", gradients.v, expected.v, limits.gradient),
        ] {
            #expect(relativeError(tensor, expected) <= limit, "\(name)")
        }
        if let gates = expected.logG {
            #expect(try relativeError(#require(gradients.logG), gates) <= limits.gateGradient, "dlogG")
        }
    }

    private static func problem(_ degree: Int) -> AttentionProblem {
        AttentionProblem(
            mechanism: .power(degree: degree), normalization: .sum, form: .attention, scale: 0.25, chunkSize: 64, tile: 1,
            sequences: [0..<130, 130..<130, 130..<131, 131..<tokens], tokenCount: tokens, queryHeads: queryHeads,
            keyHeads: keyHeads, keyWidth: width, valueWidth: width)
    }

    private static func bytes(_ pointer: DevicePointer, _ count: Int, _ context: CUDAContext) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBytes { try context.copy(pointer, to: $0) }
        return bytes
    }

    private static func inputs(_ rows: Rows, _ degree: Int, gated: Bool) -> (AttentionInputs, dy: Tensor) {
        var random = RandomGenerator(seed: 21)
        func tensor(_ heads: Int, _ factor: (Int) -> Double = { _ in 1 }) -> Tensor {
            var tensor = random.normal([1, tokens, heads, width], .float64)
            tensor.withMutableElements(of: Double.self) { numbers in
                for index in numbers.indices { numbers[index] *= factor(index / (heads * width)) }
            }
            return tensor.converted(to: .bfloat16)
        }
        let q = tensor(queryHeads) { rows.queryFactor($0, degree) }
        let k = tensor(keyHeads) { rows.keyFactor($0, degree) }
        let (v, dy) = (tensor(keyHeads), tensor(queryHeads))
        let gates = Tensor(
            [1, tokens, keyHeads],
            (0..<tokens * keyHeads).map {
                let isClosed = rows == .hiddenLargeKeys && $0 / keyHeads == closedGate
                return isClosed ? -.infinity : -0.01 * Float($0 % 7)
            })
        return (AttentionInputs(q: q, k: k, v: v, logG: gated ? gates : nil), dy)
    }
}
