package import Foundation
package import PowerAttention
package import Tensors

/// What `state.json` of a checkpoint says: where the run stood, its configuration, and the sizes and checksums by which the
/// checkpoint's files are known to be complete.
///
/// Checksums are CRC-32 as in zlib. `checksum` is that of `state.json` itself, with eight zeros in the place of its digits.
package struct CheckpointState: Sendable, Hashable, Codable {
    package struct FileSummary: Sendable, Hashable, Codable {
        package var bytes: Int
        package var crc32: String
    }

    package var step: Int
    package var tokens: Int
    package var seconds: Double
    package var flops: Double
    /// Steps that changed nothing, and the norms by which the next ones are judged.
    package var skipped: Int?
    package var norms: NormHistory?
    /// Where the steps up to here were made; older checkpoints do not say it.
    package var device: Device?
    package var configuration: ConfigurationValue
    package var files: [String: FileSummary] = [:]
    private var checksum = Self.placeholder

    private static let placeholder = "00000000"
    private static let prefix = Data("\"checksum\":\"".utf8)

    package init(
        step: Int, tokens: Int, seconds: Double, flops: Double, skipped: Int? = nil, norms: NormHistory? = nil,
        device: Device? = nil, configuration: ConfigurationValue
    ) {
        self.skipped = skipped
        self.norms = norms
        self.device = device
        self.step = step
        self.tokens = tokens
        self.seconds = seconds
        self.flops = flops
        self.configuration = configuration
    }

    /// The bytes of `state.json`, one line.
    package func encoded() throws(PowerAttentionError) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var blank = self
        blank.checksum = Self.placeholder
        var data: Data
        do { data = try encoder.encode(blank) } catch {
            throw PowerAttentionError(
                .nonFinite, argument: "step \(step)", given: "a number that is not finite", expected: "finite numbers",
                cause: error)
        }
        if let digits = Self.digits(in: data) { data.replaceSubrange(digits, with: Data(Self.checksum(of: data).utf8)) }
        return data
    }

    /// - Throws: `damagedFile` where the bytes are not what ``encoded()`` wrote.
    package init(_ data: Data, path: String) throws(PowerAttentionError) {
        guard let digits = Self.digits(in: data) else { throw .damaged(path, "no checksum", "a checkpoint's state") }
        var blank = data
        blank.replaceSubrange(digits, with: Data(Self.placeholder.utf8))
        let found = Self.checksum(of: blank)
        let stated = String(decoding: data[digits], as: UTF8.self)
        guard found == stated else { throw .damaged(path, "a checksum of \(found)", "\(stated)") }
        do { self = try JSONDecoder().decode(Self.self, from: data) } catch {
            throw .damaged(path, "not a checkpoint's state", "the keys of this version", error)
        }
    }

    private static func digits(in data: Data) -> Range<Int>? {
        guard let prefix = data.range(of: prefix), prefix.upperBound + placeholder.count <= data.endIndex else { return nil }
        return prefix.upperBound..<prefix.upperBound + placeholder.count
    }

    private static func checksum(of data: Data) -> String {
        data.withUnsafeBytes { Checksum.bytes($0) }
    }
}

extension PowerAttentionError {
    static func damaged(
        _ path: String, _ given: String, _ expected: String, _ cause: (any Error)? = nil
    ) -> PowerAttentionError {
        PowerAttentionError(.damagedFile, argument: path, given: given, expected: expected, cause: cause)
    }
}
