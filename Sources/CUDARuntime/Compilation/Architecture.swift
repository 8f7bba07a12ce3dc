package import Tensors

/// What kernels are compiled for: machine code of one compute capability, or PTX that the driver finishes.
package struct Architecture: Sendable, Hashable, CustomStringConvertible {
    /// `sm_90a`, or `compute_90` for PTX.
    package let name: String
    package var isPTX: Bool { name.hasPrefix("compute_") }
    package var description: String { name }

    /// The name that suits a card. Capabilities 9.0 and 10.0 have instructions that later ones lack; their names end in `a`.
    package static func name(major: Int, minor: Int) -> String {
        let hasOwnInstructions = minor == 0 && (major == 9 || major == 10)
        return "sm_\(major)\(minor)\(hasOwnInstructions ? "a" : "")"
    }

    /// The best that a compiler can do for `name`: the code itself, or PTX of the newest capability below that it knows.
    ///
    /// - Parameters:
    ///   - name: `sm_80`, `sm_90a`, ….
    ///   - capabilities: those that the compiler knows, 90 for 9.0.
    /// - Throws: `invalidArgument` for a name of another form, `unsupported` where the compiler is too new for the card.
    package init(_ name: String, capabilities: [Int]) throws(PowerAttentionError) {
        let digits = name.dropFirst("sm_".count).prefix { "0"..."9" ~= $0 }
        let suffix = name.dropFirst("sm_".count + digits.count)
        guard name.hasPrefix("sm_"), (2...3).contains(digits.count), let capability = Int(digits),
            suffix.isEmpty || suffix == "a" || suffix == "f"
        else {
            throw PowerAttentionError(
                argument: "arch", given: name,
                expected:
                    "one of \(capabilities.map { "sm_\($0)" }.joined(separator: ", ")), with an a behind for sm_90a, sm_100a")
        }
        if capabilities.contains(capability) {
            self.name = name
        } else if let below = capabilities.last(where: { $0 < capability }) {
            self.name = "compute_\(below)"
        } else {
            let oldest = capabilities.first.map { "sm_\($0) or newer" } ?? "a compiler that knows a card"
            throw PowerAttentionError(
                .unsupported, argument: "arch", given: name, expected: "\(oldest), or an older NVRTC that still knows this one")
        }
    }
}
