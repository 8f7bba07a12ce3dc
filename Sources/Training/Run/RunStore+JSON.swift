package import Foundation
package import Tensors

extension RunStore {
    /// The content of `config.json`.
    ///
    /// - Throws: `inputOutput` where there is none, `damagedFile` where it is not JSON.
    package func readConfiguration() throws(PowerAttentionError) -> ConfigurationValue {
        let file = try OpenFile(reading: configurationPath)
        return try ConfigurationValue(json: Data(try file.bytes(0..<file.byteCount)), path: configurationPath)
    }

    /// Writes one of the run's JSON files for people and programs: indented, keys in order.
    package func writeJSON(_ value: some Encodable, to path: String) throws(PowerAttentionError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        var data: Data
        do { data = try encoder.encode(value) } catch {
            throw PowerAttentionError(
                .nonFinite, argument: path, given: "a number that is not finite", expected: "finite numbers", cause: error)
        }
        data.append(UInt8(ascii: "\n"))
        try AtomicFile.write(data, to: path)
    }
}

extension ConfigurationValue {
    /// The largest configuration file that is read; real ones have a few hundred bytes.
    package static let largestFile = 1 << 20

    /// - Throws: `damagedFile` where the bytes are not JSON.
    package init(json data: Data, path: String) throws(PowerAttentionError) {
        guard data.count <= Self.largestFile else {
            throw .damaged(path, "\(data.count) bytes", "a configuration of at most \(Self.largestFile) bytes")
        }
        do { self = try JSONDecoder().decode(Self.self, from: data) } catch {
            throw .damaged(path, "not valid JSON", "a table of sections", error)
        }
    }
}
