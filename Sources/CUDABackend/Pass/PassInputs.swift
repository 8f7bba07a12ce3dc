package import CUDARuntime
import Tensors

/// The tensors of one call in the memory of the card, in the layout that they have outside, aligned to 16 bytes. They stay as they are
/// until the backward pass is done.
package struct PassInputs: Sendable {
    package let q, k, v: DevicePointer
    package let logG: DevicePointer?
    let initialState: DeviceState?
    /// The largest magnitudes of rows of q and k, in float32, where they are known.
    let magnitudes: (q: DevicePointer, k: DevicePointer)?
    /// What holds the memory, where the caller does not.
    private let owner: (any Sendable)?

    package init(
        q: DevicePointer, k: DevicePointer, v: DevicePointer, logG: DevicePointer?,
        magnitudes: (q: DevicePointer, k: DevicePointer)? = nil
    ) {
        self.init(q: q, k: k, v: v, logG: logG, initialState: nil, magnitudes: magnitudes, owner: nil)
    }

    init(
        q: DevicePointer, k: DevicePointer, v: DevicePointer, logG: DevicePointer?, initialState: DeviceState?,
        magnitudes: (q: DevicePointer, k: DevicePointer)? = nil, owner: (any Sendable)?
    ) {
        self.magnitudes = magnitudes
        self.owner = owner
        self.q = q
        self.k = k
        self.v = v
        self.logG = logG
        self.initialState = initialState
    }
}

/// Queries or keys as the kernels read them: as they were given, or copies divided by powers of two where one of the rows needs that.
struct PreparedRows: Sendable {
    let given: DevicePointer
    let scaled: DevicePointer?
}

/// Inputs as the kernels read them.
final class PreparedInputs: Sendable {
    /// `[tokens, hq, padded d]` and `[tokens, h, padded d]` in scratch precision.
    let queries, keys: PreparedRows
    /// `[tokens, h, padded e]` in scratch precision.
    let values: DevicePointer
    /// Whether the kernels take the scaled queries, and the scaled keys: two numbers that the card decides; without them all rows are
    /// as they were given.
    let isScaled: DevicePart?
    /// What holds them where they are not the inputs themselves.
    private let memory: [DeviceMemory]
    /// The exponents of query rows `[tokens, hq]`, of the keys of chunks `[chunks, h]`, of final states `[n, h]`; none for exponentials.
    let queryExponents, finalExponents: DeviceMemory?
    let keyExponents: DevicePart?
    /// Cumulative log-gates `[h, tokens]`, two floats each.
    let gates: DeviceMemory?
    /// Decays to the last of 64 tokens, `[h, tokens]`; where kernels of Hopper run.
    let decays: DeviceMemory?
    /// The first key that a query sees, `[h, tokens]`; exponential attention with gates or a window.
    let firstVisible: DeviceMemory?

    init(
        queries: PreparedRows, keys: PreparedRows, values: DevicePointer, isScaled: DevicePart?, memory: [DeviceMemory],
        queryExponents: DeviceMemory?, keyExponents: DevicePart?, finalExponents: DeviceMemory?, gates: DeviceMemory?,
        decays: DeviceMemory?, firstVisible: DeviceMemory?
    ) {
        self.queries = queries
        self.keys = keys
        self.values = values
        self.isScaled = isScaled
        self.memory = memory
        self.queryExponents = queryExponents
        self.keyExponents = keyExponents
        self.finalExponents = finalExponents
        self.gates = gates
        self.decays = decays
        self.firstVisible = firstVisible
    }

    /// The inputs themselves.
    convenience init(given inputs: PassInputs) {
        self.init(
            queries: .init(given: inputs.q, scaled: nil), keys: .init(given: inputs.k, scaled: nil), values: inputs.v,
            isScaled: nil, memory: [], queryExponents: nil, keyExponents: nil, finalExponents: nil, gates: nil, decays: nil,
            firstVisible: nil)
    }
}

/// Where rows of results go: to the first of them, and the number of elements from one token to the next.
package struct RowPlace: Sendable {
    let first: DevicePointer
    let stride: Int

    package init(first: DevicePointer, stride: Int) {
        self.first = first
        self.stride = stride
    }
}

/// Where rows of the gradients of queries and keys go, turned back by the angles of rotary positions: see `TurnedGradients`.
package struct TurnedPlaces: Sendable {
    let queries, keys: RowPlace
    let cosines, sines: DevicePointer
    let length: Int

    package init(queries: RowPlace, keys: RowPlace, cosines: DevicePointer, sines: DevicePointer, length: Int) {
        self.queries = queries
        self.keys = keys
        self.cosines = cosines
        self.sines = sines
        self.length = length
    }
}

/// What the forward pass leaves.
package struct PassOutput: Sendable {
    /// y `[tokens, hq, e]` in the type of the inputs.
    package let y: DeviceMemory
    /// y before rounding, in float32, where the backward pass will need it; y itself from a library.
    package let exact: DeviceMemory?
    /// `[tokens, hq]` in float32: 1 over the normalizer, or the log-sum in base 2; a library's own.
    package let statistics: DeviceMemory
    let prepared: PreparedInputs
    /// The states before every chunk, in scratch precision, where a chunk reads one.
    let states: DeviceMemory?
    let finalState: DeviceState?
}

/// The gradients of one call in the memory of the card, in the type of the inputs; of gates in float32.
package struct PassGradients: Sendable {
    /// None where a gradient went to a place that was given.
    package let q, k, v: DeviceMemory?
    package let logG: DeviceMemory?
    let initialState: DeviceState?
}
