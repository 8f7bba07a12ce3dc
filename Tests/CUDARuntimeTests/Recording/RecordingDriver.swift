import CUDARuntime
import Synchronization

/// A driver that pretends: it writes down what it is asked, in order, and hands out numbers for handles and addresses.
///
/// Memory begins at 0x10000 and never comes twice, so that traces can name blocks. Asking and looking things up is not written down.
final class RecordingDriver: Sendable {
    private struct State {
        var trace: [String] = []
        var nextAddress: UInt64 = 0x10000
        var nextHandle: Driver.Handle = 1
        var sizes: [UInt64: Int] = [:]
        var capacity = 1 << 40
        var failures: [String: Driver.Result] = [:]
        var parameterSizes: [Int]?
        var encodesTensorMaps = false
        var functions: [Driver.Handle: String] = [:]
    }

    private let state = Mutex(State())

    /// What was asked since this was last read.
    func takeTrace() -> [String] {
        state.withLock { state in
            defer { state.trace = [] }
            return state.trace
        }
    }

    /// The bytes that the card has.
    var capacity: Int {
        get { state.withLock { $0.capacity } }
        set { state.withLock { $0.capacity = newValue } }
    }

    /// Bytes that were asked for and not given back.
    var held: Int { state.withLock { $0.sizes.values.reduce(0, +) } }

    /// Lets `call` fail with `result` from now on; 0 lets it succeed again.
    func fail(_ call: String, with result: Driver.Result) {
        state.withLock { $0.failures[call] = result == 0 ? nil : result }
    }

    /// The sizes of every function's parameters; nil where this driver cannot tell.
    var parameterSizes: [Int]? {
        get { state.withLock { $0.parameterSizes } }
        set { state.withLock { $0.parameterSizes = newValue } }
    }

    /// Whether this driver has tensor maps.
    var encodesTensorMaps: Bool {
        get { state.withLock { $0.encodesTensorMaps } }
        set { state.withLock { $0.encodesTensorMaps = newValue } }
    }

    private func parameter(_ index: Int, _ offset: Driver.Out<Int>, _ size: Driver.Out<Int>) -> Driver.Result {
        guard let sizes = parameterSizes, index < sizes.count else { return 1 }
        (offset.pointee, size.pointee) = (8 * index, sizes[index])
        return 0
    }

    private func record(_ call: String, _ detail: String = "") -> Driver.Result {
        state.withLock { state in
            state.trace.append(detail.isEmpty ? call : "\(call) \(detail)")
            return state.failures[call] ?? 0
        }
    }

    private func handle(_ call: String, _ out: Driver.Out<Driver.Handle>, _ detail: String = "") -> Driver.Result {
        let result = record(call, detail)
        guard result == 0 else { return result }
        out.pointee = state.withLock { state in
            defer { state.nextHandle += 1 }
            return state.nextHandle
        }
        return 0
    }

    private func allocate(_ out: Driver.Out<UInt64>, _ count: Int) -> Driver.Result {
        let result = record("memAlloc", "\(count)")
        guard result == 0 else { return result }
        let address = state.withLock { state -> UInt64? in
            guard state.sizes.values.reduce(count, +) <= state.capacity else { return nil }
            let address = state.nextAddress
            state.sizes[address] = count
            state.nextAddress += (UInt64(count) + 0xFFFF) / 0x10000 * 0x10000
            return address
        }
        guard let address else { return Driver.Failure.outOfMemory }
        out.pointee = address
        return 0
    }

    private func free(_ address: UInt64) -> Driver.Result {
        let isKnown = state.withLock { $0.sizes.removeValue(forKey: address) != nil }
        let result = record("memFree", Self.hex(address))
        return isKnown ? result : 1
    }

    static func hex(_ address: UInt64) -> String { "0x" + String(address, radix: 16) }
}

extension RecordingDriver {
    private static let texts: [Driver.Result: (StaticString, StaticString)] = [
        1: ("CUDA_ERROR_INVALID_VALUE", "invalid argument"),
        2: ("CUDA_ERROR_OUT_OF_MEMORY", "out of memory"),
        100: ("CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"),
        700: ("CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"),
        901: ("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"),
    ]

    private static func text(_ text: StaticString?, _ out: Driver.Out<Driver.Text?>) -> Driver.Result {
        guard let text else { return 1 }
        out.pointee = UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
        return 0
    }

    /// Attributes of the card: one of capability 9.0 with 132 multiprocessors.
    private static let attributes: [CInt: CInt] = [1: 1024, 16: 132, 75: 9, 76: 0, 81: 233_472, 82: 65_536, 97: 232_448]
    /// Attributes of every function: threads, static shared memory, local memory, registers.
    private static let functionAttributes: [CInt: CInt] = [0: 256, 1: 1024, 3: 0, 4: 64]

    /// The table that does all this.
    var driver: Driver {
        var driver = complete
        if parameterSizes == nil { driver.funcGetParamInfo = nil }
        if encodesTensorMaps {
            // An odd number of rows is what this driver refuses.
            driver.tensorMapEncodeTiled = { words, _, _, address, extents, _, _, _, _, _, _, _ in
                words[0] = address
                return extents[1].isMultiple(of: 2) ? 0 : 1
            }
        }
        return driver
    }

    private var complete: Driver {
        Driver(
            initialize: { _ in 0 },
            driverGetVersion: { version in
                version.pointee = 13_000
                return 0
            },
            getErrorName: { result, out in Self.text(Self.texts[result]?.0, out) },
            getErrorString: { result, out in Self.text(Self.texts[result]?.1, out) },
            deviceGetCount: { count in
                count.pointee = 1
                return 0
            },
            deviceGet: { device, ordinal in
                device.pointee = ordinal
                return 0
            },
            deviceGetName: { name, count, _ in
                for (index, byte) in "Recorder".utf8CString.enumerated() where index < count { name[index] = byte }
                return 0
            },
            deviceGetAttribute: { value, attribute, _ in
                value.pointee = Self.attributes[attribute] ?? 0
                return 0
            },
            deviceTotalMem: { total, _ in
                total.pointee = self.capacity
                return 0
            },
            devicePrimaryCtxRetain: { context, _ in self.handle("contextRetain", context) },
            devicePrimaryCtxRelease: { _ in self.record("contextRelease") },
            ctxSetCurrent: { _ in 0 },
            memGetInfo: { free, total in
                total.pointee = self.capacity
                free.pointee = self.capacity - self.held
                return 0
            },
            memAlloc: { address, count in self.allocate(address, count) },
            memFree: { address in self.free(address) },
            memHostAlloc: { out, count, _ in
                out.pointee = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 64)
                return self.record("memHostAlloc", "\(count)")
            },
            memFreeHost: { pointer in
                pointer?.deallocate()
                return self.record("memFreeHost")
            },
            memcpyHtoDAsync: { to, _, count, _ in self.record("copyToCard", "\(Self.hex(to)) \(count)") },
            memcpyDtoHAsync: { _, from, count, _ in self.record("copyToHost", "\(Self.hex(from)) \(count)") },
            memcpyDtoDAsync: { to, from, count, _ in
                self.record("copy", "\(Self.hex(from)) to \(Self.hex(to)) \(count)")
            },
            memsetD8Async: { to, byte, count, _ in self.record("fill", "\(Self.hex(to)) with \(byte) \(count)") },
            streamCreate: { stream, _ in self.handle("streamCreate", stream) },
            streamDestroy: { _ in self.record("streamDestroy") },
            streamSynchronize: { _ in self.record("synchronize") },
            streamBeginCapture: { _, mode in self.record("beginCapture", "mode \(mode)") },
            streamEndCapture: { _, graph in self.handle("endCapture", graph) },
            graphInstantiate: { executable, _, _ in self.handle("instantiate", executable) },
            graphLaunch: { _, _ in self.record("graphLaunch") },
            graphExecDestroy: { _ in self.record("graphExecDestroy") },
            graphDestroy: { _ in self.record("graphDestroy") },
            eventCreate: { event, _ in self.handle("eventCreate", event) },
            eventRecord: { _, _ in self.record("eventRecord") },
            eventSynchronize: { _ in self.record("eventSynchronize") },
            eventElapsedTime: { milliseconds, _, _ in
                milliseconds.pointee = 1.5
                return self.record("eventElapsedTime")
            },
            eventDestroy: { _ in self.record("eventDestroy") },
            moduleLoadData: { module, _ in self.handle("moduleLoad", module) },
            moduleUnload: { _ in self.record("moduleUnload") },
            moduleGetFunction: { function, _, name in
                let name = String(cString: name)
                let result = self.handle("function", function, name)
                let handle = function.pointee
                self.state.withLock { $0.functions[handle] = name }
                return result
            },
            funcGetAttribute: { value, attribute, _ in
                value.pointee = Self.functionAttributes[attribute] ?? 0
                return 0
            },
            funcSetAttribute: { _, attribute, value in self.record("setAttribute", "\(attribute) to \(value)") },
            funcGetParamInfo: { _, index, offset, size in self.parameter(index, offset, size) },
            launchKernel: { function, grid, block, sharedBytes, _, _, startsEarly in
                let name = self.state.withLock { $0.functions[function] } ?? "unknown"
                return self.record(
                    "launch",
                    "\(name) \(grid.x)x\(grid.y)x\(grid.z) \(block.x) \(sharedBytes)\(startsEarly ? " early" : "")")
            })
    }
}
