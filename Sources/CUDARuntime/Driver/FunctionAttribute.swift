/// What the driver is asked about a function, and told, by its numbers of `CUfunction_attribute`.
enum FunctionAttribute: CInt {
    case threadsPerBlock = 0
    case sharedBytes = 1
    case localBytes = 3
    case registers = 4
    case largestDynamicSharedBytes = 8
}
