import Foundation
import Inference

/// Generated text on the standard output, as it comes. Control characters that a model makes up, which could take over a
/// terminal, are written as U+FFFD; tabs and ends of lines stay.
struct TextOutput {
    private var text = UTF8Stream()
    private var endsLine = true

    mutating func write(_ bytes: [UInt8]) throws { try put(text.append(bytes)) }

    /// Writes what is left and ends the line.
    mutating func finish() throws {
        try put(text.finish())
        if !endsLine { try put("\n") }
    }

    private mutating func put(_ text: String) throws {
        guard !text.isEmpty else { return }
        var printable = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = scalar.properties.generalCategory == .control && !"\n\r\t".unicodeScalars.contains(scalar)
            printable.append(isControl ? "\u{FFFD}" : scalar)
        }
        endsLine = printable.last == "\n"
        try FileHandle.standardOutput.write(contentsOf: Data(String(printable).utf8))
    }
}
