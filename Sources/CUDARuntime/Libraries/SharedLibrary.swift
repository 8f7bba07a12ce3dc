import Foundation
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A library opened at run time. It stays open until the process ends: NVIDIA's libraries start threads and register handlers
/// that do not survive being closed.
package struct SharedLibrary: Sendable {
    package let name: String
    /// The file that the loader mapped.
    package let path: String
    private let handle: UInt

    /// Opens `file`, a path or a name for the loader.
    ///
    /// - Returns: nil where the loader refuses, with its reason in `reason`.
    init?(opening file: String, anchor: String, reason: inout String) {
        guard let handle = dlopen(file, RTLD_NOW | RTLD_LOCAL) else {
            reason = dlerror().map { String(cString: $0) } ?? "refused without a reason"
            return nil
        }
        self.handle = UInt(bitPattern: handle)
        name = file.split(separator: "/").last.map(String.init) ?? file
        path = Self.path(of: anchor, in: handle) ?? file
    }

    /// The file that `symbol` was mapped from, links resolved; nil on systems that do not list their mappings.
    private static func path(of symbol: String, in handle: UnsafeMutableRawPointer) -> String? {
        guard let address = dlsym(handle, symbol).map({ UInt(bitPattern: $0) }),
            let mappings = try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        else { return nil }
        for line in mappings.split(separator: "\n") {
            let bounds = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard bounds.count == 2, bounds[0] <= address, address < bounds[1], let slash = line.firstIndex(of: "/") else {
                continue
            }
            return String(line[slash...])
        }
        return nil
    }

    /// The function `name` as a C function of type `type`, nil where the library has none of that name.
    func function<Function>(ifPresent name: String, as type: Function.Type) -> Function? {
        guard let address = dlsym(UnsafeMutableRawPointer(bitPattern: handle), name) else { return nil }
        precondition(MemoryLayout<Function>.size == MemoryLayout<UnsafeRawPointer>.size, "not a C function")
        return unsafeBitCast(address, to: type)
    }

    /// The function `name` as a C function of type `type`.
    ///
    /// - Throws: `unsupported` where the library has none of that name.
    func function<Function>(_ name: String, as type: Function.Type) throws(PowerAttentionError) -> Function {
        if let function = function(ifPresent: name, as: type) { return function }
        throw PowerAttentionError(
            .unsupported, argument: path, given: "a library without \(name)", expected: "a newer one: CUDA 12.0 or later")
    }
}
