import Logging

/// Log messages as lines on the standard error, above the live line: `power: warning: …`.
struct TerminalLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let label = event.level >= .warning ? "power: \(event.level): " : ""
        Terminal.standardError.line("\(label)\(event.message)")
    }

    /// The logger of the commands.
    static let logger = Logger(label: "power") { _ in TerminalLog() }
}
