import CKernels

/// An element type whose cached keys and values a query can attend to.
package protocol CacheElement: MatrixElement {
    /// The answer `y [e]` to one query from `count` tokens, `stride` rows apart, of which the last is the query's own. The degree
    /// is 0 for the exponential; `workspace` holds `2·count` numbers.
    static func attend(
        _ q: UnsafePointer<Self>, keys: UnsafePointer<Self>, values: UnsafePointer<Self>, gates: UnsafePointer<Self>,
        stride: Int, d: Int, e: Int, count: Int, degree: Int, normalize: Bool, scale: Double,
        workspace: UnsafeMutablePointer<Double>, into y: UnsafeMutablePointer<Self>)
}

extension Float: CacheElement {
    package static func attend(
        _ q: UnsafePointer<Float>, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, gates: UnsafePointer<Float>,
        stride: Int, d: Int, e: Int, count: Int, degree: Int, normalize: Bool, scale: Double,
        workspace: UnsafeMutablePointer<Double>, into y: UnsafeMutablePointer<Float>
    ) {
        attend_cache_float(
            q, keys, values, gates, stride, d, e, count, Int32(degree), normalize ? 1 : 0, scale, workspace, y)
    }
}

extension Double: CacheElement {
    package static func attend(
        _ q: UnsafePointer<Double>, keys: UnsafePointer<Double>, values: UnsafePointer<Double>, gates: UnsafePointer<Double>,
        stride: Int, d: Int, e: Int, count: Int, degree: Int, normalize: Bool, scale: Double,
        workspace: UnsafeMutablePointer<Double>, into y: UnsafeMutablePointer<Double>
    ) {
        attend_cache_double(
            q, keys, values, gates, stride, d, e, count, Int32(degree), normalize ? 1 : 0, scale, workspace, y)
    }
}
