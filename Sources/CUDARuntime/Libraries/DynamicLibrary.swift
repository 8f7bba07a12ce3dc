import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A shared library that was opened while the program runs, and stays open as long as it does.
package struct DynamicLibrary: Sendable {
    /// Where it was found: a path, or the name under which the loader knows it.
    package let path: String
    private let handle: UInt

    private init(path: String, handle: UInt) {
        self.path = path
        self.handle = handle
    }

    /// The library at a path or, without a slash, wherever the loader looks for the name; `nil` where there is none.
    init?(_ path: String) {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL) else { return nil }
        self.init(path: path, handle: UInt(bitPattern: handle))
    }

    /// A function of the library as a C function of type `Function`.
    func function<Function>(_ name: String, as type: Function.Type = Function.self) throws(PowerAttentionError) -> Function {
        guard let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: handle), name) else {
            throw PowerAttentionError(
                .unsupported, argument: path, given: "a library without \(name)", expected: "a newer version of it")
        }
        return unsafeBitCast(symbol, to: type)
    }
}
