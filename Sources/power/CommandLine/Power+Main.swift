import ArgumentParser

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension Power {
    /// Runs the command that the arguments name.
    ///
    /// Errors go to the standard error in one line, and every kind has its exit status (``ExitStatus``), so commands only throw.
    /// A reader that goes away, as in `power … | head`, ends the command quietly: SIGPIPE has its ordinary meaning even where
    /// the parent process ignored it.
    static func main() async {
        signal(SIGPIPE, SIG_DFL)
        do {
            var command = try await asyncParseAsRoot(nil)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            guard let status = ExitStatus(of: error) else { exit(withError: error) }
            Terminal.standardError.line("power: \(error)")
            exit(withError: status.code)
        }
    }
}
