import Foundation
package import Tensors

/// The files that come with the package: the GPT-2 vocabulary and the novels.
package enum PackageResources {
    /// Names a folder that is searched first.
    package static let environmentVariable = "POWER_ATTENTION_RESOURCES"

    /// Where the files may be: where the environment says, beside the executable as SwiftPM and a hand-made installation place
    /// them, and in the checkout that the program was built from.
    private static var folders: [String] {
        let named = ProcessInfo.processInfo.environment[environmentVariable].map { [$0] } ?? []
        let beside = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent().path ?? "."
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
        return named + [
            beside + "/power-attention_LanguageModel.resources/Resources", beside + "/Resources", source + "/Resources",
        ]
    }

    /// The path of a file or folder among the resources.
    ///
    /// - Throws: `PowerAttentionError` that lists the folders searched.
    package static func path(of name: String) throws(PowerAttentionError) -> String {
        for folder in folders where FileManager.default.fileExists(atPath: "\(folder)/\(name)") { return "\(folder)/\(name)" }
        throw PowerAttentionError(
            .inputOutput, argument: name, given: "a file that is in none of \(folders.joined(separator: ", "))",
            expected: "the package's Resources folder beside the executable, or its path in \(environmentVariable)")
    }
}
