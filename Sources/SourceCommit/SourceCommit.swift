import Foundation

/// Where measurements come from.
package enum SourceCommit {
    /// The commit that the program was built from, with `-dirty` where its sources differed; `unknown` where they were no checkout of their
    /// own. What the environment says in `POWER_COMMIT` goes before it.
    package static var description: String { ProcessInfo.processInfo.environment["POWER_COMMIT"] ?? builtFrom }
}
