/// How the rows of activations are cut into sequences: `batch` of them, `length` tokens each, at consecutive positions.
package struct SequenceLayout {
    package let batch, length: Int
    package let positions: RotaryPositions

    /// The number of tokens.
    package var rows: Int { batch * length }
}
