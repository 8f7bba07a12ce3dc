import CKernels
package import Tensors

extension CPUBackend {
    package func embed(_ tokens: Tensor, table: Tensor) -> Tensor {
        let (type, width) = (table.dataType.kernelCode, table.rowWidth)
        var y = Tensor(uninitialized: [tokens.count, width], table.dataType)
        let (tokens, source, output) = (tokens.storage, table.storage, y.uniqueStorage())
        RowPartition(rows: y.shape[0], width: width).forEach { _, first, end in
            embed_rows(type, tokens.tokens, source.pointer, output.pointer, first, end, width)
        }
        return y
    }

    /// Every part takes the tokens of one residue class, in order: no row is written by two parts, and the order of the additions
    /// to it does not depend on the number of parts.
    package func embedBackward(_ tokens: Tensor, gradient: Tensor, tableGradient: inout Tensor) {
        let (type, width) = (gradient.dataType.kernelCode, gradient.rowWidth)
        let (rows, tokens) = (tokens.count, tokens.storage)
        let (source, output) = (gradient.storage, tableGradient.uniqueStorage())
        let parts = min(2 * coreCount, RowPartition(rows: rows, width: width).count)
        parallelFor(parts) { part in
            embed_rows_backward(type, tokens.tokens, source.pointer, output.pointer, rows, width, part, parts)
        }
    }

    package func rotate(_ x: inout Tensor, cosines: Tensor, sines: Tensor, inverse: Bool) {
        let (type, headWidth, length) = (x.dataType.kernelCode, 2 * cosines.rowWidth, cosines.shape[0])
        let (rows, width) = (x.shape[0], x.rowWidth)
        let (cosines, sines, output) = (cosines.storage, sines.storage, x.uniqueStorage())
        RowPartition(rows: rows, width: width).forEach { _, first, end in
            rotate_pairs(
                type, output.pointer, cosines.pointer, sines.pointer, inverse ? -1 : 1, first, end, length, width / headWidth,
                headWidth)
        }
    }

    package func addBias(_ x: inout Tensor, bias: Tensor) {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth)
        let rows = x.count / width
        let (bias, output) = (bias.storage, x.uniqueStorage())
        RowPartition(rows: rows, width: width).forEach { _, first, end in
            add_bias(type, output.pointer, bias.pointer, first, end, width)
        }
    }

    package func addBiasBackward(gradient: Tensor, from first: Int, biasGradient: inout Tensor) {
        let (type, width) = (gradient.dataType.kernelCode, gradient.rowWidth)
        let sums = ColumnSums(RowPartition(rows: gradient.count / width, width: width), columns: width, gradient.dataType)
        let source = gradient.storage
        sums.forEach { partial, start, end in sum_columns(type, source.pointer, partial, start, end, width) }
        sums.add(to: &biasGradient, firstColumn: first)
    }
}
