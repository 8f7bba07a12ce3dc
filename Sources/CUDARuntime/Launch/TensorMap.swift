package import Tensors

/// A matrix of bfloat16 in a card's memory as its tensor memory accelerator knows it: a kernel's argument, `TensorMap` of `common/hopper.cuh`.
package struct TensorMap: Sendable {
    /// `CUtensorMap`.
    let words: [UInt64]
    let address: DevicePointer
    /// What keeps the memory there.
    let owner: (any Sendable)?
    static let wordCount = 16
}

extension CUDAContext {
    /// Whether kernels of this card can be given a ``TensorMap``.
    package var hasTensorMaps: Bool { properties.major >= 9 && session.driver.tensorMapEncodeTiled != nil }

    /// The matrix `[rows, columns]` at `address`, of which kernels copy boxes of `boxRows` rows and 64 columns.
    ///
    /// - Throws: `device` where the driver refuses it: the address and rows are to be multiples of 16 bytes, boxes to have
    ///   at most 256 rows.
    package func tensorMap(
        _ address: DevicePointer, rows: Int, columns: Int, boxRows: Int, heldBy owner: (any Sendable)? = nil
    ) throws(PowerAttentionError) -> TensorMap {
        guard let encode = session.driver.tensorMapEncodeTiled else {
            throw PowerAttentionError(
                .unsupported, argument: "tensor map", given: "a driver without cuTensorMapEncodeTiled",
                expected: "one of CUDA 12 or newer")
        }
        let extents = [UInt64(columns), UInt64(rows)]
        let rowBytes = [2 * UInt64(columns)]
        let box = [64, CUnsignedInt(boxRows)]
        try session.makeCurrent()
        // The driver wants them at a multiple of 64 bytes.
        let result: (status: Driver.Result, words: [UInt64]) = withUnsafeTemporaryAllocation(
            byteCount: 8 * TensorMap.wordCount, alignment: 64
        ) { bytes in
            let words = bytes.bindMemory(to: UInt64.self)
            words.initialize(repeating: 0)
            // BFLOAT16, of two indices; no interleaving, SWIZZLE_128B, L2_PROMOTION_128B, zeros beyond the matrix.
            let status = encode(words.baseAddress!, 9, 2, address.address, extents, rowBytes, box, [1, 1], 0, 3, 2, 0)
            return (status, Array(words))
        }
        try session.check(result.status, "cuTensorMapEncodeTiled", "[\(rows), \(columns)] in boxes of \(boxRows) rows")
        return TensorMap(words: result.words, address: address, owner: owner)
    }
}
