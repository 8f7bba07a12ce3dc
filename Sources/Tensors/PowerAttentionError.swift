/// The one error type of the package: it names the argument (or the file), what was given, and what is legal.
///
/// ```swift
/// do { _ = try AttentionOperator(.power(degree: 9)) } catch { print(error) }
/// // degree: 9 given, expected 1, 2, 3 or 4
/// ```
public struct PowerAttentionError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure this is. New codes may be added; switch with a default.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String
        private init(_ description: String) { self.description = description }

        /// An argument, shape, type or configuration value outside of what is legal.
        public static let invalidArgument = Code("invalid argument")
        /// A legal request that this backend or machine cannot serve.
        public static let unsupported = Code("unsupported")
        /// A file whose bytes are not what its format promises.
        public static let damagedFile = Code("damaged file")
        /// The operating system refused a read, a write or an allocation.
        public static let inputOutput = Code("input/output")
        /// Arithmetic that left the finite numbers: a training run that diverged.
        public static let nonFinite = Code("not finite")
        /// A failure that the driver of a card reports: what it was asked, and its own name and text for what went wrong.
        public static let device = Code("device")
        /// A card without room for what was asked. The process, and what it holds on the card, stay usable.
        public static let outOfMemory = Code("out of memory")
    }

    public let code: Code
    /// The argument, configuration key or file that is at fault.
    public let argument: String
    /// What was found there.
    public let given: String
    /// What would have been legal, or what to do about it.
    public let expected: String
    /// The error below this one, if there is one.
    public let cause: (any Error)?

    public init(
        _ code: Code = .invalidArgument, argument: String, given: String, expected: String, cause: (any Error)? = nil
    ) {
        self.code = code
        self.argument = argument
        self.given = given
        self.expected = expected
        self.cause = cause
    }

    /// One line: control characters, which names out of files can hold, are escaped.
    public var description: String {
        text.unicodeScalars.reduce(into: "") { line, scalar in
            line += scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
        }
    }

    private var text: String {
        let reason = cause.map { " (\($0))" } ?? ""
        switch code {
        case .inputOutput, .damagedFile, .device, .outOfMemory: return "\(argument): \(given), expected \(expected)\(reason)"
        default: return "\(argument): \(given) given, expected \(expected)\(reason)"
        }
    }
}
