import CUDARuntime
import Foundation
import Synchronization
import Tensors
import TestSupport
import Testing

@Suite struct KernelCacheTests {
    let folder: TemporaryFolder
    let cache: KernelCache

    init() throws {
        folder = try TemporaryFolder()
        cache = KernelCache(folder: folder.file("deep/kernels"))
    }

    private var entries: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: cache.folder).sorted()) ?? []
    }

    @Test func theSecondProcessCompilesNothing() throws {
        let first = PretendingCompiler()
        let compiled = try first.kernelCompiler(cache).compile(
            [PretendingCompiler.kernel(1), PretendingCompiler.kernel(2)], architecture: "sm_90a")
        let second = PretendingCompiler()
        let found = try second.kernelCompiler(cache).compile(
            [PretendingCompiler.kernel(2), PretendingCompiler.kernel(1)], architecture: "sm_90a")
        #expect(first.compilations == 2 && second.compilations == 0)
        #expect(compiled.map(\.image) == found.reversed().map(\.image))
        #expect(found.allSatisfy { $0.isFromCache && $0.report?.registers == 42 })
        #expect(cache.usage.entries == 2 && cache.usage.bytes > 0)
        #expect(entries.allSatisfy { $0.hasSuffix(".kernel") })
    }

    /// Everything that the compiler is given is in the key.
    @Test func whatChangesTheCodeChangesTheKey() throws {
        let kernel = PretendingCompiler.kernel()
        _ = try PretendingCompiler().kernelCompiler(cache).compile([kernel], architecture: "sm_90a")
        let changedHeader = KernelFiles(["f.cu": "#include \"f.cuh\"\nkernel", "f.cuh": "#include \"g.cuh\"", "g.cuh": "two"])
        let changedFile = KernelFiles(["f.cu": "#include \"f.cuh\"\nkernel ", "f.cuh": "#include \"g.cuh\"", "g.cuh": "one"])
        let cases: [(PretendingCompiler, KernelFiles, KernelSource, String)] = [
            (PretendingCompiler(), changedHeader, kernel, "sm_90a"), (PretendingCompiler(), changedFile, kernel, "sm_90a"),
            (PretendingCompiler(), PretendingCompiler.files, PretendingCompiler.kernel(2), "sm_90a"),
            (PretendingCompiler(), PretendingCompiler.files, kernel, "sm_80"),
            (PretendingCompiler(build: "newer"), PretendingCompiler.files, kernel, "sm_90a"),
        ]
        for (compiler, files, kernel, architecture) in cases {
            _ = try compiler.kernelCompiler(cache, files: files).compile([kernel], architecture: architecture)
            #expect(compiler.compilations == 1)
        }
        let same = PretendingCompiler()
        _ = try same.kernelCompiler(cache).compile([kernel], architecture: "sm_90a")
        #expect(same.compilations == 0)
    }

    @Test func damagedEntriesAreRebuilt() throws {
        let kernel = PretendingCompiler.kernel()
        let image = try PretendingCompiler().kernelCompiler(cache).compile([kernel], architecture: "sm_90a")[0].image
        let name = try #require(entries.first)
        let path = "\(cache.folder)/\(name)"
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        var mutator = Mutator(seed: 7)
        var damaged = (0..<200).map { _ in mutator.mutated(whole) }.filter { $0 != whole }
        damaged += [[], Array(whole.dropLast()), Array(whole.prefix(40)), whole + [0], Array(repeating: 0, count: whole.count)]
        for bytes in damaged {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let compiler = PretendingCompiler()
            let rebuilt = try compiler.kernelCompiler(cache).compile([kernel], architecture: "sm_90a")[0]
            #expect(rebuilt.image == image && !rebuilt.isFromCache && compiler.compilations == 1)
        }
        #expect([UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) == whole)
    }

    @Test func anEntryUnderAnotherNameIsNotTaken() throws {
        _ = try PretendingCompiler().kernelCompiler(cache).compile([PretendingCompiler.kernel(1)], architecture: "sm_90a")
        let first = try #require(entries.first)
        _ = try PretendingCompiler().kernelCompiler(cache).compile([PretendingCompiler.kernel(2)], architecture: "sm_90a")
        let second = try #require(entries.first { $0 != first })
        try Data(contentsOf: URL(fileURLWithPath: "\(cache.folder)/\(first)")).write(
            to: URL(fileURLWithPath: "\(cache.folder)/\(second)"))
        let compiler = PretendingCompiler()
        _ = try compiler.kernelCompiler(cache).compile([PretendingCompiler.kernel(2)], architecture: "sm_90a")
        #expect(compiler.compilations == 1)
    }

    @Test func manyAtOnceDoNotDisturbEachOther() throws {
        let kernels = (0..<8).map { PretendingCompiler.kernel($0) }
        let expected = try PretendingCompiler().kernelCompiler().compile(kernels, architecture: "sm_90a").map(\.image)
        let wrong = Mutex(0)
        let cache = cache
        parallelFor(32) { _ in
            let compiled = try? PretendingCompiler().kernelCompiler(cache).compile(kernels, architecture: "sm_90a")
            if compiled?.map(\.image) != expected { wrong.withLock { $0 += 1 } }
        }
        #expect(wrong.withLock { $0 } == 0)
        #expect(entries.count == 8 && entries.allSatisfy { $0.hasSuffix(".kernel") })
    }

    @Test func aFolderThatCannotBeWrittenIsNoError() throws {
        // A file in the way stops root as well, whom permissions do not.
        let blocked = KernelCache(folder: try folder.write([1], to: "file") + "/kernels")
        let compiler = PretendingCompiler()
        let kernels = compiler.kernelCompiler(blocked)
        let reports = Mutex<[PowerAttentionError]>([])
        kernels.cacheObserver = { error in reports.withLock { $0.append(error) } }
        let compiled = try kernels.compile(
            [PretendingCompiler.kernel(1), PretendingCompiler.kernel(2)], architecture: "sm_90a")
        #expect(compiled.count == 2 && compiler.compilations == 2)
        #expect(reports.withLock { $0.map(\.code) } == [.inputOutput])
        #expect(blocked.usage == (0, 0))
    }

    @Test func theFolderFollowsTheEnvironment() {
        let home = ["HOME": "/home/a"]
        #expect(KernelCache.standard(environment: home)?.folder == "/home/a/.cache/power-attention/kernels")
        let set = ["HOME": "/home/a", "XDG_CACHE_HOME": "/c"]
        #expect(KernelCache.standard(environment: set)?.folder == "/c/power-attention/kernels")
        let relative = ["HOME": "/home/a", "XDG_CACHE_HOME": "c"]
        #expect(KernelCache.standard(environment: relative)?.folder == "/home/a/.cache/power-attention/kernels")
        #expect(KernelCache.standard(environment: [:]) == nil)
    }
}
