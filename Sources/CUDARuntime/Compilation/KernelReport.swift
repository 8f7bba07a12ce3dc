/// What a compiled kernel takes of a multiprocessor, as the assembler reports it.
package struct KernelReport: Sendable, Hashable, CustomStringConvertible {
    /// Registers of a thread.
    package var registers = 0
    /// Bytes a thread that go to local memory, and come back from it, because registers ran out.
    package var spillStores = 0
    package var spillLoads = 0
    /// Bytes of local memory of a thread.
    package var stackBytes = 0
    /// Bytes of shared memory that a block always takes, beside what its launch asks for.
    package var sharedBytes = 0

    package init() {}

    package var hasSpills: Bool { spillStores > 0 || spillLoads > 0 }

    package var description: String {
        var parts = ["\(registers) registers"]
        if hasSpills { parts.append("spills \(spillStores) bytes out, \(spillLoads) in") }
        if stackBytes > 0 { parts.append("\(stackBytes) bytes stack") }
        if sharedBytes > 0 { parts.append("\(sharedBytes) bytes shared") }
        return parts.joined(separator: ", ")
    }

    /// Reads what `ptxas -v` says about `function`; nil where it says nothing (the compiler stopped at PTX).
    ///
    ///     ptxas info    : Compiling entry function 'f' for 'sm_90a'
    ///     ptxas info    : Function properties for f
    ///         16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
    ///     ptxas info    : Used 40 registers, used 1 barriers, 4096 bytes smem
    package init?(log: String, function: String) {
        var isOurs = false
        var isFound = false
        for line in log.split(whereSeparator: \.isNewline) {
            if let name = Self.entry(in: line) { isOurs = name == function }
            guard isOurs else { continue }
            for part in line.split(whereSeparator: { ",:".contains($0) }) {
                let words = part.split(separator: " ")
                if words.count >= 3, words[0] == "Used", words[2].hasPrefix("register"), let count = Int(words[1]) {
                    registers = count
                    isFound = true
                }
                guard words.count >= 3, words[1] == "bytes", let bytes = Int(words[0]) else { continue }
                switch words[2...].joined(separator: " ") {
                case "stack frame": stackBytes = bytes
                case "spill stores": spillStores = bytes
                case "spill loads": spillLoads = bytes
                case "smem": sharedBytes = bytes
                default: break
                }
            }
        }
        guard isFound else { return nil }
    }

    private static func entry(in line: Substring) -> Substring? {
        let parts = line.split(separator: "'", omittingEmptySubsequences: false)
        return parts.count >= 3 && parts[0].hasSuffix("Compiling entry function ") ? parts[1] : nil
    }
}
