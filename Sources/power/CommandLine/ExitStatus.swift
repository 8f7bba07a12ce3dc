import ArgumentParser
import Tensors

/// How the process ends after an error, as in BSD's sysexits.h.
enum ExitStatus: Int32, CaseIterable {
    /// The arguments or the configuration are wrong.
    case usage = 64
    /// An input file is not what it should be.
    case data = 65
    /// This machine or backend cannot do it.
    case unavailable = 69
    /// Arithmetic or the program itself failed.
    case software = 70
    /// A file could not be read or written.
    case inputOutput = 74

    /// `nil` for errors that are not the package's: the argument parser knows what to do with its own.
    init?(of error: any Error) {
        guard let error = error as? PowerAttentionError else { return nil }
        switch error.code {
        case .invalidArgument: self = .usage
        case .damagedFile: self = .data
        case .unsupported: self = .unavailable
        case .inputOutput: self = .inputOutput
        default: self = .software
        }
    }

    var code: ExitCode { ExitCode(rawValue) }

    /// The status of a process that stopped because a signal asked it to, as shells report it.
    static func stopped(by signal: Int32) -> ExitCode { ExitCode(128 + signal) }
}
