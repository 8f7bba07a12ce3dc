package import BackendInterface
import CUDABackend
import CUDARuntime
package import Tensors

/// A problem with the reference's answer, against which any device, form and chunk size is measured.
package struct Verification: Sendable {
    package let problem: VerificationProblem
    private let given: VerificationInputs
    private let answer: Answer

    /// Everything that comes out of one call forward and one back.
    private struct Answer: Sendable {
        var output: Tensor
        var finalState: ExpandedState?
        var gradients: AttentionGradients

        /// The bytes of every tensor.
        var bits: [[UInt8]] {
            let states = [finalState, gradients.initialState].compactMap(\.self).flatMap { [$0.S, $0.z, $0.exponent] }
            return ([output, gradients.q, gradients.k, gradients.v] + states + (gradients.logG.map { [$0] } ?? []))
                .map { [UInt8](UnsafeRawBufferPointer(start: $0.pointer(to: UInt8.self), count: $0.storage.byteCount)) }
        }
    }

    /// One way to compute the answer.
    package struct Variant: Sendable, Hashable, CustomStringConvertible {
        package var form: AttentionConfiguration.Form
        package var chunkSize: Int?

        package init(_ form: AttentionConfiguration.Form, chunkSize: Int? = nil) {
            self.form = form
            self.chunkSize = chunkSize
        }

        package var description: String { form.rawValue + (chunkSize.map { " c=\($0)" } ?? "") }
    }

    /// How far one tensor is from the reference, and how far it may be.
    package struct Measurement: Sendable, CustomStringConvertible {
        package let tensor: String
        package let error: Double
        package var limit: Double

        package var passes: Bool { error <= limit }
        /// The error over its limit.
        package var share: Double { error / limit }
        package var description: String { "\(tensor): \(error) (limit \(limit))" }
    }

    package init(_ problem: VerificationProblem) throws(PowerAttentionError) {
        self.problem = problem
        given = try problem.makeInputs()
        let reference = try AttentionOperator(problem.configuration(), device: .reference)
        answer = try Self.run(reference, problem, given)
    }

    package var variants: [Variant] { problem.variants }

    private func run(_ variant: Variant, on device: Device) throws(PowerAttentionError) -> Answer {
        let configuration = problem.configuration(form: variant.form, chunkSize: variant.chunkSize)
        return try Self.run(AttentionOperator(configuration, device: device), problem, given)
    }

    /// Whether the same bits are promised for two runs.
    package func isReproducible(on device: Device) throws(PowerAttentionError) -> Bool {
        guard device == .cuda else { return true }
        let attention = try AttentionOperator(problem.configuration(), device: device)
        return try CUDABackend.shared().isReproducible(attentionProblem(attention), given.inputs)
    }

    private func attentionProblem(_ attention: AttentionOperator) throws(PowerAttentionError) -> AttentionProblem {
        try attention.problem(given.inputs, cuSeqlens: problem.cuSeqlens, finalState: problem.states)
    }

    /// Whether two runs give the same bits, in all outputs and gradients.
    package func isDeterministic(_ variant: Variant, on device: Device) throws(PowerAttentionError) -> Bool {
        let (first, second) = (try run(variant, on: device).bits, try run(variant, on: device).bits)
        return first == second
    }

    /// The errors of every output and gradient.
    package func measure(_ variant: Variant, on device: Device) throws(PowerAttentionError) -> [Measurement] {
        let result = try run(variant, on: device)
        let limits = Tolerance(problem.dataType)
        var measurements: [Measurement] = []
        func compare(_ tensor: String, _ x: Tensor?, _ reference: Tensor?, _ limit: Double) {
            guard let reference else { return }
            // A gradient that is zero by cancellation has no relative error: it must be finite.
            let denominator = problem.vanishing.contains(tensor) ? nil : reference
            measurements.append(
                Measurement(tensor: tensor, error: x.map { relativeError($0, denominator ?? $0) } ?? .infinity, limit: limit))
        }
        func rounded(_ tensor: Tensor) -> Tensor { tensor.converted(to: problem.dataType) }
        compare("y", rounded(result.output), answer.output, limits.output)
        compare("dq", rounded(result.gradients.q), answer.gradients.q, limits.gradient)
        compare("dk", rounded(result.gradients.k), answer.gradients.k, limits.gradient)
        compare("dv", rounded(result.gradients.v), answer.gradients.v, limits.gradient)
        compare("dlog_g", result.gradients.logG, answer.gradients.logG, limits.gateGradient)
        let (degree, reference) = (problem.configuration().mechanism.degree ?? 0, answer)
        let (state, initial) = (result.finalState, result.gradients.initialState)
        compare("S", state?.scaled(\.S, degree), reference.finalState?.scaled(\.S, degree), limits.output)
        compare("z", state?.scaled(\.z, degree), reference.finalState?.scaled(\.z, degree), limits.output)
        compare("dS", initial?.S, reference.gradients.initialState?.S, limits.gradient)
        compare("dz", initial?.z, reference.gradients.initialState?.z, limits.gradient)
        return measurements
    }

    /// Compiles what a device needs for many measurements, all at once; devices without kernels need nothing. What a device cannot
    /// serve is left for the measurement to report.
    package static func prepare(
        _ measurements: [(verification: Verification, variants: [Variant])], on device: Device
    ) throws(PowerAttentionError) {
        guard device == .cuda else { return }
        let backend = try CUDABackend.shared()
        var kernels: [KernelSource] = []
        for (verification, variants) in measurements {
            let (problem, given) = (verification.problem, verification.given)
            for variant in variants {
                let attention = try AttentionOperator(
                    problem.configuration(form: variant.form, chunkSize: variant.chunkSize), device: device)
                let needed = try? backend.kernels(
                    verification.attentionProblem(attention), given.inputs, movesState: problem.states)
                kernels += needed ?? []
            }
        }
        try? backend.context.prepare(kernels)
    }

    private static func run(
        _ attention: AttentionOperator, _ problem: VerificationProblem, _ given: VerificationInputs
    ) throws(PowerAttentionError) -> Answer {
        let forward = try attention.forward(given.inputs, cuSeqlens: problem.cuSeqlens, finalState: problem.states)
        let gradients = try attention.backward(
            given.inputs, context: forward.context, outputGradient: given.outputGradient, cuSeqlens: problem.cuSeqlens,
            finalStateGradient: given.finalStateGradient(for: forward.finalState, degree: problem.mechanism.degree ?? 0))
        return Answer(output: forward.context.output, finalState: forward.finalState, gradients: gradients)
    }
}

extension VerificationInputs {
    /// The same gradient of the true state for a state with any exponents E: that of its stored numbers is `2^(p·E)` times it.
    fileprivate func finalStateGradient(for state: ExpandedState?, degree: Int) -> ExpandedState? {
        guard let finalStateGradient, let state else { return nil }
        let exponents = zip(state.exponent.array(of: Int32.self), finalStateGradient.exponent.array(of: Int32.self))
            .map { $0 - $1 }
        let gradient = ExpandedState(
            S: finalStateGradient.S, z: finalStateGradient.z, exponent: Tensor(state.exponent.shape, exponents))
        return ExpandedState(
            S: gradient.scaled(\.S, degree).converted(to: state.S.dataType),
            z: gradient.scaled(\.z, degree).converted(to: state.S.dataType), exponent: state.exponent)
    }
}

extension ExpandedState {
    /// `S` or `z` times `2^(degree·exponent)`, in float64.
    fileprivate func scaled(_ part: KeyPath<ExpandedState, Tensor>, _ degree: Int) -> Tensor {
        var result = self[keyPath: part].converted(to: .float64)
        let exponents = exponent.array(of: Int32.self)
        guard !exponents.isEmpty else { return result }
        let size = result.count / exponents.count
        result.withMutableElements(of: Double.self) { elements in
            for index in elements.indices {
                elements[index] *= Double(sign: .plus, exponent: degree * Int(exponents[index / size]), significand: 1)
            }
        }
        return result
    }
}
