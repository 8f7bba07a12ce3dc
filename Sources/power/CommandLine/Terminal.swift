import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The standard error: lines that stay and, where it is a terminal, one line at the bottom that is drawn over again and again.
///
/// Where it is not a terminal nothing but plain lines is written.
final class Terminal: Sendable {
    static let standardError = Terminal(descriptor: STDERR_FILENO)

    let isInteractive: Bool
    private let descriptor: Int32
    private let liveLine = Mutex("")

    init(descriptor: Int32) {
        self.descriptor = descriptor
        let kind = ProcessInfo.processInfo.environment["TERM"] ?? ""
        isInteractive = isatty(descriptor) == 1 && kind != "dumb" && !kind.isEmpty
    }

    /// Writes a line that stays, above the live line.
    func line(_ text: String) {
        liveLine.withLock { live in
            put(live.isEmpty ? "\(text)\n" : "\(Self.erase)\(text)\n\(live)")
        }
    }

    /// Draws the live line, in place of the one before; an empty one removes it. Nothing happens where this is not a terminal.
    func show(_ text: String) {
        guard isInteractive else { return }
        liveLine.withLock { live in
            guard live != text else { return }
            live = String(text.prefix(columns - 1))
            put(Self.erase + live)
        }
    }

    private static let erase = "\r\u{1B}[K"

    private var columns: Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 1 else { return 80 }
        return Int(size.ws_col)
    }

    private func put(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            // There is nowhere to report that the standard error cannot be written to.
            guard count > 0 || errno == EINTR else { return }
            bytes = bytes.dropFirst(max(count, 0))
        }
    }
}
