import ArgumentParser
import CUDARuntime
import Foundation

/// `power device`: what this machine has for computing on NVIDIA cards.
struct DeviceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device",
        abstract: "List the NVIDIA cards, the libraries found for them, and the cache of compiled kernels.",
        discussion: """
            Libraries are looked for in the folders of POWER_CUDA_PATH (separated by colons), where the loader looks, in CUDA_HOME, \
            CUDA_PATH and /usr/local/cuda, and in the folders nvidia/*/lib of the Python environment in use. NVRTC \
            compiles the kernels, and tells from its version which of those on disk it would compile anew. cuBLASLt multiplies the \
            matrices of language models; cuDNN computes exponential attention where it can (POWER_CUDNN=off: nowhere; \
            POWER_CUDNN=require: or the call fails with its reason).
            """)

    func run() throws {
        let installation = CUDAInstallation.current()
        for card in installation.cards {
            print("card \(card.ordinal): \(card.name)")
            print("  compute capability \(card.computeCapability), \(card.architecture)")
            print(
                "  \(card.multiprocessorCount) multiprocessors, \(card.sharedMemoryPerBlock / 1024) KB of shared memory a block"
            )
            print("  \(card.totalMemory / 1_000_000) MB of memory, \(card.l2Bytes / 1_000_000) MB of second-level cache")
        }
        if installation.cards.isEmpty { print("no NVIDIA card: the operator runs on the CPU") }
        if let release = installation.driverRelease { print("driver \(release)") }
        for library in installation.libraries {
            if let path = library.path, let version = library.version {
                print("\(library.name) \(version): \(path)")
            } else {
                print("\(library.name): \(library.problem.map { "\($0)" } ?? "not found")")
            }
        }
        guard let cache = installation.cache else { return print("kernel cache: none, as there is no home folder") }
        print(
            "kernel cache: \(cache.entries) kernels, \(String(format: "%.1f", Double(cache.bytes) / 1e6)) MB in \(cache.folder)"
        )
    }
}
