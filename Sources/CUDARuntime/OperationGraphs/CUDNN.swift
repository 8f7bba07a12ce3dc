import Synchronization
package import Tensors

/// The functions of cuDNN that this package calls, as a table that tests can replace. Names are the library's without `cudnn`; handles and
/// descriptors are integers, as nobody here reads through them. Results are 0 or a number of `cudnnStatus_t`.
package struct CUDNN: Sendable {
    package typealias Status = CInt
    package typealias Handle = UInt
    package typealias Out<Value> = UnsafeMutablePointer<Value>

    package var getVersion: @Sendable () -> Int
    package var getLastErrorString: @Sendable (Out<CChar>, Int) -> Void
    package var create: @Sendable (Out<Handle>) -> Status
    package var destroy: @Sendable (Handle) -> Status
    package var setStream: @Sendable (Handle, Driver.Handle) -> Status
    package var createDescriptor: @Sendable (CInt, Out<Handle>) -> Status
    package var destroyDescriptor: @Sendable (Handle) -> Status
    /// Descriptor, attribute, type, number of elements, elements.
    package var setAttribute: @Sendable (Handle, CInt, CInt, Int64, UnsafeRawPointer) -> Status
    /// Descriptor, attribute, type, room for elements, their number, elements.
    package var getAttribute: @Sendable (Handle, CInt, CInt, Int64, Out<Int64>, UnsafeMutableRawPointer) -> Status
    package var finalize: @Sendable (Handle) -> Status
    /// Handle, plan, tensors.
    package var execute: @Sendable (Handle, Handle, Handle) -> Status

    /// A table of one's own: every function has to be there.
    package init(
        getVersion: @escaping @Sendable () -> Int, getLastErrorString: @escaping @Sendable (Out<CChar>, Int) -> Void,
        create: @escaping @Sendable (Out<Handle>) -> Status, destroy: @escaping @Sendable (Handle) -> Status,
        setStream: @escaping @Sendable (Handle, Driver.Handle) -> Status,
        createDescriptor: @escaping @Sendable (CInt, Out<Handle>) -> Status,
        destroyDescriptor: @escaping @Sendable (Handle) -> Status,
        setAttribute: @escaping @Sendable (Handle, CInt, CInt, Int64, UnsafeRawPointer) -> Status,
        getAttribute: @escaping @Sendable (Handle, CInt, CInt, Int64, Out<Int64>, UnsafeMutableRawPointer) -> Status,
        finalize: @escaping @Sendable (Handle) -> Status, execute: @escaping @Sendable (Handle, Handle, Handle) -> Status
    ) {
        self.getVersion = getVersion
        self.getLastErrorString = getLastErrorString
        self.create = create
        self.destroy = destroy
        self.setStream = setStream
        self.createDescriptor = createDescriptor
        self.destroyDescriptor = destroyDescriptor
        self.setAttribute = setAttribute
        self.getAttribute = getAttribute
        self.finalize = finalize
        self.execute = execute
    }

    /// The library of this machine, opened on the first call.
    ///
    /// - Throws: `unsupported` where there is none; it is looked for again on the next call.
    package static func system() throws(PowerAttentionError) -> CUDNN { try loaded().table }

    /// The library of this machine with the file that it came from.
    static func loaded() throws(PowerAttentionError) -> (table: CUDNN, library: SharedLibrary) {
        try cached.withLock { cached throws(PowerAttentionError) in
            if let cached { return cached }
            let library = try LibrarySearch().open(.operationGraphs)
            let found = (try CUDNN(library), library)
            cached = found
            return found
        }
    }

    private static let cached = Mutex<(table: CUDNN, library: SharedLibrary)?>(nil)

    private init(_ library: SharedLibrary) throws(PowerAttentionError) {
        typealias OfHandle = @convention(c) @Sendable (Handle) -> Status
        getVersion = try library.function("cudnnGetVersion", as: (@convention(c) @Sendable () -> Int).self)
        getLastErrorString = try library.function(
            "cudnnGetLastErrorString", as: (@convention(c) @Sendable (Out<CChar>, Int) -> Void).self)
        create = try library.function("cudnnCreate", as: (@convention(c) @Sendable (Out<Handle>) -> Status).self)
        destroy = try library.function("cudnnDestroy", as: OfHandle.self)
        setStream = try library.function(
            "cudnnSetStream", as: (@convention(c) @Sendable (Handle, Driver.Handle) -> Status).self)
        createDescriptor = try library.function(
            "cudnnBackendCreateDescriptor", as: (@convention(c) @Sendable (CInt, Out<Handle>) -> Status).self)
        destroyDescriptor = try library.function("cudnnBackendDestroyDescriptor", as: OfHandle.self)
        setAttribute = try library.function(
            "cudnnBackendSetAttribute",
            as: (@convention(c) @Sendable (Handle, CInt, CInt, Int64, UnsafeRawPointer) -> Status).self)
        getAttribute = try library.function(
            "cudnnBackendGetAttribute",
            as: (@convention(c) @Sendable (Handle, CInt, CInt, Int64, Out<Int64>, UnsafeMutableRawPointer) -> Status).self)
        finalize = try library.function("cudnnBackendFinalize", as: OfHandle.self)
        execute = try library.function(
            "cudnnBackendExecute", as: (@convention(c) @Sendable (Handle, Handle, Handle) -> Status).self)
    }

    /// Major · 10000 + minor · 100 + patch.
    package static func text(version: Int) -> String { "\(version / 10_000).\(version / 100 % 100).\(version % 100)" }

    /// Throws where `status` is a failure, with the library's own words for it.
    func check(
        _ status: Status, _ call: String, _ subject: @autoclosure () -> String = ""
    ) throws(PowerAttentionError) {
        guard status != 0 else { return }
        var words = [CChar](repeating: 0, count: 4096)
        getLastErrorString(&words, words.count - 1)
        let text = String(decoding: words.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let subject = subject()
        throw PowerAttentionError(
            .device, argument: "cudnn\(call)" + (subject.isEmpty ? "" : " of \(subject)"),
            given: "status \(status)" + (text.isEmpty ? "" : ", \(text)"), expected: "success")
    }
}
