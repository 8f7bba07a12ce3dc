import Foundation
import Synchronization
package import Tensors

/// A card, with one queue of work and the memory and kernels on it. May be used from many threads: their work is done in the
/// order of the calls.
///
/// Calls queue work and return; ``synchronize()`` waits, and so does copying to the host. What goes wrong on the card is reported
/// by a later call, which names the kernels that were launched before it.
package final class CUDAContext: Sendable {
    package let properties: DeviceProperties
    let session: DriverSession
    let stream: Stream
    let allocator: DeviceAllocator
    let compiler: KernelCompiler
    /// Held by every call that queues work, and for its whole body by a capture, into which no other thread may queue anything.
    private let order = NSRecursiveLock()
    /// Held while kernels are compiled and loaded, so that two threads do not compile the same.
    let loading = NSRecursiveLock()
    let state = Mutex(State())

    struct State {
        var kernels: [KernelSource: LoadedKernel] = [:]
        var observer: (@Sendable (KernelLaunch) -> Void)?
        var capture: CaptureRecord?
        /// Opened where a plan is asked for.
        var cudnn: CUDNNSession?
    }

    /// The card of this number among those that `CUDA_VISIBLE_DEVICES` leaves, opened once a process.
    ///
    /// - Throws: `unsupported` without a driver or a card, `invalidArgument` for a number that no card has. The next call tries
    ///   again.
    package static func card(_ ordinal: Int = 0) throws(PowerAttentionError) -> CUDAContext {
        try cards.withLock { cards throws(PowerAttentionError) in
            if let card = cards[ordinal] { return card }
            let card = try CUDAContext(driver: .system(), compiler: .shared, ordinal: ordinal)
            cards[ordinal] = card
            return card
        }
    }

    private static let cards = Mutex<[Int: CUDAContext]>([:])

    package init(driver: Driver, compiler: KernelCompiler, ordinal: Int) throws(PowerAttentionError) {
        properties = try DeviceProperties(driver, ordinal: ordinal)
        session = try DriverSession(driver, device: DeviceProperties.device(driver, ordinal))
        try session.makeCurrent()
        stream = try Stream(session)
        allocator = DeviceAllocator(session)
        self.compiler = compiler
    }

    /// Code must not be unloaded while the card runs it.
    deinit { session.release { $0.streamSynchronize(stream.handle) } }

    /// Called before every launch, on the thread that launches.
    package var launchObserver: (@Sendable (KernelLaunch) -> Void)? {
        get { state.withLock { $0.observer } }
        set { state.withLock { $0.observer = newValue } }
    }

    /// Runs `body` while no other thread queues work, with the card's context current.
    func inOrder<R: ~Copyable>(_ body: () throws(PowerAttentionError) -> R) throws(PowerAttentionError) -> R {
        order.lock()
        defer { order.unlock() }
        try session.makeCurrent()
        return try body()
    }

    /// Whether this thread, which is in ``inOrder(_:)``, captures a graph.
    var isCapturing: Bool { state.withLock { $0.capture != nil } }

    /// Refuses what a graph cannot contain.
    func refuseCapture(_ action: String) throws(PowerAttentionError) {
        guard isCapturing else { return }
        throw PowerAttentionError(argument: action, given: "within the capture of a graph", expected: "before or after it")
    }

    /// Waits until the card has done all that was queued.
    ///
    /// - Throws: `device` where something of it failed.
    package func synchronize() throws(PowerAttentionError) {
        try inOrder { () throws(PowerAttentionError) in
            try refuseCapture("synchronize")
            try session.check(session.driver.streamSynchronize(stream.handle), "cuStreamSynchronize")
            session.clearHistory()
        }
    }

    /// Marks a point in the work that is queued so far, to be waited for or timed.
    package func recordEvent() throws(PowerAttentionError) -> Event {
        try inOrder { () throws(PowerAttentionError) in
            try refuseCapture("recordEvent")
            let event = try Event(session)
            try event.record(in: stream)
            return event
        }
    }
}
