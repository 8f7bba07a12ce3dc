import CUDARuntime
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct LibrarySearchTests {
    private let absent = CUDALibrary(
        title: "libabsent", names: ["libabsent.so.2", "libabsent.so.1"], anchor: "absent",
        installation: "absence: nothing to do")

    @Test func oneErrorSaysWhatWhereAndHow() throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: PowerAttentionError.self) {
            try LibrarySearch(environment: ["POWER_CUDA_PATH": folder.path]).open(absent)
        }
        let text = error?.description ?? ""
        #expect(error?.code == .unsupported)
        #expect(
            text.hasPrefix(
                "libabsent: no library (looked for libabsent.so.2, libabsent.so.1 in \(folder.path) (POWER_CUDA_PATH), "))
        #expect(text.contains("the loader's path") && text.hasSuffix("expected absence: nothing to do"))
    }

    @Test func aFileThatIsNoLibraryIsNamedWithItsReason() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Array("not a library".utf8), to: "libabsent.so.1")
        let error = #expect(throws: PowerAttentionError.self) {
            try LibrarySearch(environment: ["POWER_CUDA_PATH": "/nowhere:\(folder.path)"]).open(absent)
        }
        #expect(error?.given.hasPrefix("no library that opens: \(path) cannot be opened: ") == true)
    }

    @Test func foldersOfToolkitsAndEnvironmentsAreSearched() throws {
        let folder = try TemporaryFolder()
        let files = [
            "toolkit/lib64/x", "venv/lib/python3.12/site-packages/nvidia/cu13/lib/x", "venv/bin/python3",
            "base/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib/x", "base/bin/python3",
        ]
        for file in files { try folder.write([], to: file) }
        try folder.write(
            Array("home = \(folder.file("base/bin"))\ninclude-system-site-packages = true\n".utf8), to: "venv/pyvenv.cfg")
        for python in ["venv/bin/python3", "base/bin/python3"] {
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.file(python))
        }
        let packages = [files[1], files[3]].map { folder.file(($0 as NSString).deletingLastPathComponent) }
        let byVariable = LibrarySearch(
            environment: ["CUDA_HOME": folder.file("toolkit"), "VIRTUAL_ENV": folder.file("venv")])
        #expect(byVariable.folders.first == folder.file("toolkit/lib64"))
        #expect(byVariable.folders.suffix(2) == packages)
        let byPath = LibrarySearch(environment: ["PATH": "/nowhere:\(folder.file("venv/bin"))"])
        #expect(byPath.folders.suffix(2) == packages)
        #expect(!LibrarySearch(environment: [:]).folders.contains { $0.hasPrefix(folder.path) })
    }

    @Test func describingAMachineNeverFails() throws {
        let folder = try TemporaryFolder()
        let installation = CUDAInstallation.current(cache: KernelCache(folder: folder.file("none")))
        #expect(installation.libraries.map(\.name) == ["libcuda", "libnvrtc", "libcublasLt", "libcudnn"])
        #expect(installation.libraries.allSatisfy { ($0.path == nil) == ($0.problem != nil) })
        #expect(installation.cache?.entries == 0 && installation.cache?.bytes == 0)
        #expect(!installation.cards.isEmpty || installation.problem != nil || installation.driverVersion != nil)
    }
}
