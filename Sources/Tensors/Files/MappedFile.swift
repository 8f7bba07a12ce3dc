#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file that is read as memory: pages come from the disk when they are first touched, so that it may be larger than memory.
///
/// The files of this package are replaced, never changed in place. A file that another program shortens while it is mapped
/// ends this process with a bus error, as it does for every program that maps files.
package final class MappedFile: Sendable {
    package let path: String
    package let byteCount: Int
    private let address: UInt

    /// - Throws: `inputOutput` where the file cannot be opened or mapped, or is not a regular file.
    package init(_ path: String) throws(PowerAttentionError) {
        let file = try OpenFile(reading: path)
        if file.byteCount > 0 {
            guard let start = mmap(nil, file.byteCount, PROT_READ, MAP_SHARED, file.descriptor, 0), start != MAP_FAILED else {
                throw System.failure(path, "mapped", expected: "a file that can be mapped")
            }
            address = UInt(bitPattern: start)
        } else {
            address = 0
        }
        self.path = path
        byteCount = file.byteCount
    }

    deinit {
        if let start = UnsafeMutableRawPointer(bitPattern: address) { munmap(start, byteCount) }
    }

    /// The bytes of the file. The caller keeps the file alive while they are in use.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: byteCount)
    }
}
