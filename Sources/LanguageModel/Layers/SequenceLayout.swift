/// How the rows of activations are cut into sequences: `batch` of them, `length` tokens each, at consecutive positions.
package struct SequenceLayout {
    package let batch, length: Int
    package let positions: RotaryPositions

    package init(batch: Int, length: Int, positions: RotaryPositions) {
        self.batch = batch
        self.length = length
        self.positions = positions
    }

    /// The number of tokens.
    package var rows: Int { batch * length }
}
