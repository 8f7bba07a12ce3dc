import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// SIGINT and SIGTERM as a request to stop in good order. A second one stops at once.
///
/// A signal that the parent process had set to be ignored stays ignored, as for `nohup` and shells' background jobs.
final class Interruption: Sendable {
    /// The signal that asked to stop, if one did.
    var signal: Int32? { requested.withLock { $0 } }

    private let requested = Mutex<Int32?>(nil)
    private nonisolated(unsafe) var sources: [any DispatchSourceSignal] = []

    /// - Parameter message: what to tell the user at the first signal.
    init(message: String) {
        let queue = DispatchQueue(label: "power.interruption", qos: .userInteractive)
        for number in [SIGINT, SIGTERM] {
            var previous = sigaction()
            sigaction(number, nil, &previous)
            guard !Self.isIgnored(previous) else { continue }
            Self.ignore(number)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { [weak self] in
                guard let self else { return }
                let isFirst = requested.withLock { requested in
                    defer { requested = requested ?? number }
                    return requested == nil
                }
                guard isFirst else { _exit(128 + number) }
                Terminal.standardError.write(line: "power: \(message)")
            }
            source.activate()
            sources.append(source)
        }
    }

    /// Exits with the status of the signal if one asked to stop.
    func exitIfRequested() throws {
        if let signal { throw ExitStatus.stopped(by: signal) }
    }

    private static func isIgnored(_ action: sigaction) -> Bool {
        #if canImport(Darwin)
            let handler = action.__sigaction_u.__sa_handler
        #else
            let handler = action.__sigaction_handler.sa_handler
        #endif
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// A dispatch source sees signals only where the default action does not end the process first.
    private static func ignore(_ number: Int32) {
        #if canImport(Glibc)
            Glibc.signal(number, SIG_IGN)
        #elseif canImport(Musl)
            Musl.signal(number, SIG_IGN)
        #else
            Darwin.signal(number, SIG_IGN)
        #endif
    }
}
