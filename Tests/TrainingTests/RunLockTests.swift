import Foundation
import Synchronization
import Tensors
import TestSupport
import Testing
import Training

@Suite struct RunLockTests {
    @Test func aFolderHasOneWriter() throws {
        let folder = try TemporaryFolder()
        let lock = try RunLock(folder.path)
        let start = ContinuousClock.now
        let error = #expect(throws: PowerAttentionError.self) { try RunLock(folder.path, patience: .milliseconds(200)) }
        #expect(error?.argument == folder.path && error?.given.contains("another process") == true)
        #expect(ContinuousClock.now - start >= .milliseconds(200))
        withExtendedLifetime(lock) {}
    }

    /// What is refused closes its own descriptor once: a second time it would be somebody else's.
    @Test func aRefusalClosesNothingElse() throws {
        let folder = try TemporaryFolder()
        let lock = try RunLock(folder.path)
        let isDone = Atomic(false)
        let lost = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: 2) { index in
            if index == 0 {
                for _ in 0..<5000 { _ = try? RunLock(folder.path, patience: .zero) }
                isDone.store(true, ordering: .relaxed)
            } else {
                while !isDone.load(ordering: .relaxed) {
                    let file = open("/dev/null", O_RDONLY)
                    if close(file) != 0 { lost.add(1, ordering: .relaxed) }
                }
            }
        }
        #expect(lost.load(ordering: .relaxed) == 0)
        withExtendedLifetime(lock) {}
    }

    /// As that of a process that was killed, whose memory on a card is being freed.
    @Test(arguments: [200, 1500]) func aLockThatIsLetGoSoonIsWaitedFor(milliseconds: Int) throws {
        let folder = try TemporaryFolder()
        let other = open(folder.path, O_RDONLY | O_DIRECTORY)
        #expect(flock(other, LOCK_EX | LOCK_NB) == 0)
        let start = ContinuousClock.now
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { close(other) }
        var words = 0
        let lock = try RunLock(folder.path) { words += 1 }
        let waited = ContinuousClock.now - start
        #expect(waited >= .milliseconds(milliseconds - 10))
        // A machine that is busy lets go late.
        if waited > .milliseconds(1200) { #expect(words == 1) } else if waited < .seconds(1) { #expect(words == 0) }
        #expect(throws: PowerAttentionError.self) { try RunLock(folder.path, patience: .zero) }
        withExtendedLifetime(lock) {}
    }

    #if os(Linux)
        /// The lock ends with its owner even while a copy of the descriptor is open, as in a process that is being started.
        @Test func aCopyOfTheDescriptorDoesNotKeepTheLock() throws {
            let folder = try TemporaryFolder()
            let path = URL(fileURLWithPath: folder.path).resolvingSymlinksInPath().path
            var lock: RunLock? = try RunLock(folder.path)
            #expect(lock != nil)
            let own = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path
            }
            let copies = own.compactMap { Int32($0) }.map { dup($0) }
            #expect(copies.count == 1)
            lock = nil
            #expect(throws: Never.self) { try RunLock(folder.path, patience: .zero) }
            for copy in copies { close(copy) }
        }
    #endif
}
