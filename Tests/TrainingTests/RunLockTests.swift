import Foundation
import Tensors
import TestSupport
import Testing
import Training

@Suite struct RunLockTests {
    @Test func aFolderHasOneWriter() throws {
        let folder = try TemporaryFolder()
        let lock = try RunLock(folder.path)
        #expect(throws: PowerAttentionError.self) { try RunLock(folder.path) }
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
            #expect(throws: Never.self) { try RunLock(folder.path) }
            for copy in copies { close(copy) }
        }
    #endif
}
