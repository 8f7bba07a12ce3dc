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
    /// Touched by the command's own thread only.
    private nonisolated(unsafe) var sources: [(signal: Int32, source: any DispatchSourceSignal)] = []

    /// - Parameter message: what to tell the user at the first signal.
    init(message: String) {
        let queue = DispatchQueue(label: "power.interruption", qos: .userInteractive)
        for number in [SIGINT, SIGTERM] {
            var previous = sigaction()
            sigaction(number, nil, &previous)
            guard !Self.isIgnored(previous) else { continue }
            Self.set(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { [weak self] in
                guard let self else { return }
                let isFirst = requested.withLock { requested in
                    defer { requested = requested ?? number }
                    return requested == nil
                }
                guard isFirst else { _exit(128 + number) }
                Terminal.standardError.line("power: \(message)")
            }
            source.activate()
            sources.append((number, source))
        }
    }

    /// Exits with the status of the signal if one asked to stop.
    func exitIfRequested() throws {
        if let signal { throw ExitStatus.stopped(by: signal) }
    }

    /// Gives the signals their ordinary meaning again.
    func end() {
        for (signal, source) in sources {
            source.cancel()
            Self.set(signal, SIG_DFL)
        }
        sources = []
    }

    private static func isIgnored(_ action: sigaction) -> Bool {
        #if canImport(Darwin)
            let handler = action.__sigaction_u.__sa_handler
        #elseif canImport(Musl)
            let handler = action.__sa_handler.sa_handler
        #else
            let handler = action.__sigaction_handler.sa_handler
        #endif
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// A dispatch source sees signals only where the default action does not end the process first.
    private static func set(_ number: Int32, _ handler: (@convention(c) (Int32) -> Void)?) {
        #if canImport(Glibc)
            Glibc.signal(number, handler)
        #elseif canImport(Musl)
            Musl.signal(number, handler)
        #else
            Darwin.signal(number, handler)
        #endif
    }
}
