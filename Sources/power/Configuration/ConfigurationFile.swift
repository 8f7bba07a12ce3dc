import Foundation
import TOMLKit
package import Tensors
package import Training

/// A configuration file: TOML or JSON, by the ending of its name.
package enum ConfigurationFile {
    /// - Throws: `inputOutput` where the file cannot be read, `damagedFile` where it is not TOML or JSON, `invalidArgument`
    ///   for another ending.
    package static func read(_ path: String) throws(PowerAttentionError) -> ConfigurationValue {
        let file = try OpenFile(reading: path)
        guard file.byteCount <= ConfigurationValue.largestFile else {
            throw damaged(path, "\(file.byteCount) bytes", "at most \(ConfigurationValue.largestFile) bytes")
        }
        let bytes = try file.bytes(0..<file.byteCount)
        switch URL(fileURLWithPath: path).pathExtension.lowercased() {
        case "json": return try ConfigurationValue(json: Data(bytes), path: path)
        case "toml": return try toml(bytes, path: path)
        default:
            throw PowerAttentionError(
                argument: "configuration file", given: path, expected: "a name that ends in .toml or .json")
        }
    }

    package static func toml(_ bytes: [UInt8], path: String) throws(PowerAttentionError) -> ConfigurationValue {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw damaged(path, "bytes that are not UTF-8", "TOML in UTF-8")
        }
        if let (line, reason) = TOMLSubset.firstViolation(in: text) {
            throw damaged(path, "\(reason) in line \(line)", "[section] headers and lines of the form key = value")
        }
        let table: TOMLTable
        do { table = try TOMLTable(string: text) } catch {
            let reason = (error as? TOMLParseError)?.debugDescription ?? "\(error)"
            throw damaged(path, "not valid TOML: \(reason)", "[section] headers and lines of the form key = value")
        }
        // One reader for both syntaxes: what has no counterpart in JSON becomes a string, which has the wrong type everywhere.
        let json = table.convert(to: .json, options: [.quoteDateAndTimes, .quoteInfinitesAndNaNs])
        return try ConfigurationValue(json: Data(json.utf8), path: path)
    }

    private static func damaged(_ path: String, _ given: String, _ expected: String) -> PowerAttentionError {
        PowerAttentionError(.damagedFile, argument: path, given: given, expected: expected)
    }
}
