import BackendInterface

/// How much there is to do when the chunks are walked: what decides how the states are cut into blocks.
package struct StateWork: Sendable, Hashable {
    /// Features of a state, near enough.
    let features: Int
    /// Walks at once: one for every sequence and key head.
    let walks: Int

    package init(features: Int, walks: Int) {
        self.features = features
        self.walks = walks
    }

    /// The work of a problem; at degree 2 its features are those of ``FeatureBlocks``, otherwise about as many.
    init(_ problem: AttentionProblem) {
        features =
            problem.degree == 2 ? FeatureBlocks.count(ofDegreeTwo: problem.keyWidth) : problem.expansion?.dimension ?? 0
        walks = problem.keyHeads * problem.sequences.count
    }
}
