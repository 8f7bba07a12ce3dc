import Foundation

/// Lines of results, written at once: they are there if what is measured next ends the process.
enum StandardOutput {
    static func line(_ text: String) throws {
        try FileHandle.standardOutput.write(contentsOf: Data("\(text)\n".utf8))
    }
}
