import BackendInterface
import PowerAttention
import Tensors
import Testing

/// Every device in every form against the reference, over the whole table of problems.
@Suite struct AgreementTests {
    @Test(arguments: VerificationProblem.table) func cpu(_ problem: VerificationProblem) throws {
        try check(problem, on: .cpu)
    }

    @Test(.enabled(if: Device.available.contains(.cuda)), arguments: VerificationProblem.table)
    func cuda(_ problem: VerificationProblem) throws {
        try check(problem, on: .cuda)
    }

    private func check(_ problem: VerificationProblem, on device: Device) throws {
        let verification = try Verification(problem)
        for variant in verification.variants {
            for measurement in try verification.measure(variant, on: device) where !measurement.passes {
                Issue.record("\(problem), \(variant): \(measurement)")
            }
        }
    }
}
