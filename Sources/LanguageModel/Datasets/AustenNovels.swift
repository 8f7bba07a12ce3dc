import Foundation
package import Tensors

/// The six novels by Jane Austen that come with the package (Project Gutenberg's texts, public domain): 4 MB.
package enum AustenNovels {
    /// The name by which configurations know them.
    package static let name = "austen"

    /// The novels in the order of their publication; the last one, Persuasion, is the one that is held out.
    private static let files = ["sensesensibility", "prideprejudice", "mansfieldpark", "emma", "northangerabbey", "persuasion"]

    /// Every novel as one document, which ends with the tokenizer's end of text.
    ///
    /// - Throws: `PowerAttentionError` where the package's resources are missing.
    package static func load(_ tokenizer: any Tokenizer) throws(PowerAttentionError) -> TokenList {
        let folder = try PackageResources.path(of: name)
        var list = TokenList()
        for name in files {
            let file = try OpenFile(reading: "\(folder)/\(name).txt")
            list.append(tokenizer.encode(bytes: try file.bytes(0..<file.byteCount)) + [tokenizer.endOfText])
        }
        return list
    }
}
